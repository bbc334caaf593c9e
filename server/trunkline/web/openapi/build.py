"""Joins the described HTTP surfaces into one OpenAPI document."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from google.protobuf.descriptor import ServiceDescriptor

from trunkline.web.native.rules import rules_of
from trunkline.web.openapi.operations import paths_of
from trunkline.web.openapi.schemas import Schemas

_ALIASED: Final = "/v1/"
_ALIAS: Final = "/api/v1/"

_ERROR: Final = {"$ref": "#/components/responses/openai.Error"}
_ROUTER_ERROR: Final = {"$ref": "#/components/responses/openrouter.Error"}


def build(services: Sequence[ServiceDescriptor], comments: Mapping[str, str]) -> bytes:
    """The document: what `surfaces/` tells, and the routes of `services`. The same input gives the same bytes."""
    document = _surfaces()
    schemas = Schemas(comments)
    native = paths_of(rules_of(services), schemas)
    document["paths"] = {**native, **_with_aliases(document["paths"])}
    document["tags"] = [
        *({"name": service.name, **schemas.describe(service.full_name)} for service in services),
        *document["tags"],
    ]
    components = document["components"]["schemas"] | schemas.components
    document["components"]["schemas"] = {name: components[name] for name in sorted(components)}
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _surfaces() -> dict[str, Any]:
    """The hand-written parts: `openai.yaml`, and what the other files add to its tags, paths and components."""
    folder = Path(__file__).with_name("surfaces")
    document: dict[str, Any] = _read(folder / "openai.yaml")
    for path in sorted(folder.glob("*.yaml")):
        if path.name == "openai.yaml":
            continue
        part = _read(path)
        document["tags"] += part.get("tags", [])
        document["paths"] |= part.get("paths", {})
        for kind, components in part.get("components", {}).items():
            document["components"].setdefault(kind, {}).update(components)
    return document


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def _with_aliases(paths: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """`paths`, and those of the OpenAI surface once more below the prefix that OpenRouter's clients use, where errors
    are told as OpenRouter tells them."""
    aliases: dict[str, dict[str, Any]] = {}
    for path, item in paths.items():
        if path.startswith(_ALIASED):
            alias = copy.deepcopy(item)
            for operation in alias.values():
                operation["operationId"] += "Alias"
                if operation["responses"].get("default") == _ERROR:
                    operation["responses"]["default"] = {**_ROUTER_ERROR}
            aliases[_ALIAS + path.removeprefix(_ALIASED)] = alias
    # What is told of a path by its own name goes before what its like below `/v1/` tells.
    return {**paths, **{path: item for path, item in aliases.items() if path not in paths}}
