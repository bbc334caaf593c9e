"""Fails where the locks under `requirements/` do not fit what the pyproject files ask for; uses no network."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).parents[1]
LOCAL = {"trunkline", "trunkline-contracts"}
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def main() -> int:
    """Prints what is wrong, a line each; the exit code tells whether there is anything."""
    runtime, dev = wanted()
    only_runtime = sorted(pins("runtime").keys() - pins("dev").keys())
    problems = [
        *fit("runtime", runtime),
        *fit("dev", runtime + dev),
        *(f"requirements/dev.txt lacks {pin} of requirements/runtime.txt" for pin in only_runtime),
    ]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


def wanted() -> tuple[list[Requirement], list[Requirement]]:
    """What the server and its installation ask for, and what its developers add."""
    server = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = tomllib.loads((ROOT / "gen/python/pyproject.toml").read_text())
    groups = server["dependency-groups"]
    runtime = [*server["project"]["dependencies"], *contracts["project"]["dependencies"], *groups["build"]]
    dev = [line for line in groups["dev"] if isinstance(line, str)]
    return requirements(runtime), requirements(dev)


def requirements(lines: list[str]) -> list[Requirement]:
    """The requirements that a registry answers."""
    return [asked for asked in map(Requirement, lines) if canonicalize_name(asked.name) not in LOCAL]


def pins(lock: str) -> dict[str, Requirement]:
    """The pins of one lock by their text, without hashes."""
    lines = (ROOT / f"requirements/{lock}.txt").read_text().splitlines()
    texts = [line.removesuffix("\\").strip() for line in lines if not line.startswith((" ", "#"))]
    return {text: Requirement(text) for text in texts}


def fit(lock: str, asked: list[Requirement]) -> Iterator[str]:
    """What is missing in a lock, too old or too new, unhashed, or left over."""
    path = f"requirements/{lock}.txt"
    versions: dict[NormalizedName, str] = {}
    for text, pin in pins(lock).items():
        [specifier] = pin.specifier
        if pin.marker is None or pin.marker.evaluate():
            versions[canonicalize_name(pin.name)] = specifier.version
        if pin.url or specifier.operator != "==":
            yield f"{path}: {text} is no exact version"
    yield from unhashed(path)

    needed: set[NormalizedName] = set()
    for requirement in closure(asked):
        name = canonicalize_name(requirement.name)
        needed.add(name)
        if name not in versions:
            yield f"{path} lacks {requirement}"
        elif not requirement.specifier.contains(versions[name], prereleases=True):
            yield f"{path} has {name} {versions[name]}, but {requirement} is asked for"
    for name in sorted(versions.keys() - needed):
        yield f"{path} has {name}, which nothing asks for"


def unhashed(path: str) -> Iterator[str]:
    """The lines that are neither a pin that its hashes follow, nor a hash, nor a comment."""
    expects_hash = False
    for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
        if expects_hash != bool(HASH.fullmatch(line)) or "://" in line:
            yield f"{path}:{number} is no pin with its hashes: {line}"
        if not line.startswith("#"):
            expects_hash = line.endswith("\\")


def closure(asked: list[Requirement]) -> Iterator[Requirement]:
    """What is asked for here, and what that asks for in turn, as the installed distributions say."""
    seen: set[str] = set()
    waiting = list(asked)
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        yield requirement
        try:
            inner = metadata.requires(requirement.name) or []
        except metadata.PackageNotFoundError:
            continue  # not in the lock that the environment was made from, which is told where it is missing
        extras = requirement.extras or {""}
        waiting.extend(needed for needed in map(Requirement, inner) if applies(needed, extras))


def applies(requirement: Requirement, extras: set[str]) -> bool:
    """Whether a distribution that is wanted with these extras asks for it on this platform."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)


if __name__ == "__main__":
    sys.exit(main())
