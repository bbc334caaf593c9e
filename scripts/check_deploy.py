"""Lints the chart, renders it, checks that by the schemas of Kubernetes, and looks at the compose file, offline."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import helm_python
import kubernetes_validate
import yaml

DEPLOY: Final = Path(__file__).parents[1] / "deploy"
CHART: Final = DEPLOY / "helm/trunkline"

VERSIONS: Final = ("1.29", "1.37")
"""The oldest and the newest Kubernetes that the chart is for."""

VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "as it comes": {},
    "without disks": {"journal": {"persistent": False}},
    "all of it": {
        "autoscaling": {"enabled": True},
        "admin": {"secretName": "trunkline"},
        "env": [{"name": "OPENAI_API_KEY", "valueFrom": {"secretKeyRef": {"name": "providers", "key": "openai"}}}],
        "envFrom": [{"secretRef": {"name": "more"}}],
        "imagePullSecrets": [{"name": "registry"}],
        "journal": {"persistent": True, "storageClassName": "fast"},
        "nodeSelector": {"disk": "ssd"},
        "podAnnotations": {"prometheus.io/scrape": "true"},
        "service": {"annotations": {"a": "b"}},
        "tolerations": [{"operator": "Exists"}],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "trunkline"}},
            }
        ],
    },
}

RELEASE: Final = "gateway"


def main() -> int:
    """Prints what is wrong, a line each; the exit code tells whether there is anything."""
    problems = [*lint(), *compose()]
    for name, values in VARIANTS.items():
        problems += [f"chart, {name}: {problem}" for problem in checked(rendered(values))]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


def lint() -> Iterator[str]:
    """What Helm's linter finds."""
    found = helm_python.lint(CHART, strict=True)
    for one in found["messages"]:
        if one["severity"] > 1:
            yield f"helm lint: {one['path']}: {one['error']}"
    yield from (f"helm lint: {error}" for error in found["errors"])


def rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    """The manifests that the chart makes of `values`."""
    with helm_python.Chart.load(CHART) as chart:
        made = chart.render(values, name=RELEASE, namespace="default")
    texts = [text for path, text in sorted(made.items()) if path.endswith(".yaml")]
    return [one for text in texts for one in yaml.safe_load_all(text) if one]


def checked(manifests: list[dict[str, Any]]) -> Iterator[str]:
    """What Kubernetes would refuse, or would not find."""
    for one in manifests:
        name = f"{one['kind']} {one['metadata']['name']}"
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{name}: Kubernetes {version}: {error.message}"
    kinds = {one["kind"]: one for one in manifests}
    workload = kinds.get("StatefulSet") or kinds["Deployment"]
    pod = workload["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    for one in manifests:
        selector = one["spec"].get("selector", {}) if "spec" in one else {}
        wanted = selector.get("matchLabels", selector)
        if not wanted.items() <= labels:
            yield f"{one['kind']} selects other pods"
    [container] = pod["spec"]["containers"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    there = {volume["name"] for volume in pod["spec"]["volumes"]}
    there |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())}
    if mounted != there:
        yield f"the volumes {sorted(there)} are not those that are mounted, {sorted(mounted)}"
    if workload["kind"] == "Deployment" and workload["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] != 0:
        yield "a rolling update takes a pod away before another is there"


def compose() -> Iterator[str]:
    """Whether the compose file holds together."""
    text = (DEPLOY / "compose.yaml").read_text()
    told = yaml.safe_load(text)
    services, volumes = told["services"], told["volumes"]
    ports: set[str] = set()
    for name, service in services.items():
        if "healthcheck" not in service:
            yield f"compose: {name} has no health check"
        for other in service.get("depends_on", ()):
            if other not in services:
                yield f"compose: {name} depends on {other}, which there is not"
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source not in volumes and not (DEPLOY / source).exists():
                yield f"compose: {name} mounts {source}, which there is not"
        for port in service.get("ports", ()):
            if port.rpartition(":")[0] in ports:
                yield f"compose: two services take {port}"
            ports.add(port.rpartition(":")[0])
    for variable in re.findall(r"\$\{(\w+)\}", text):
        yield f"compose: {variable} has neither a default nor a message that it is missing"


if __name__ == "__main__":
    sys.exit(main())
