"""Flags, environment and file, joined into one valid configuration."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from trunkline.config.check import cross_check, unknown_kinds
from trunkline.config.explain import explain
from trunkline.config.model import Config
from trunkline.config.problem import ConfigError, Problem, dotted, near_miss
from trunkline.config.settings import SETTINGS, Setting
from trunkline.config.source import Source, read


def load(path: FilePath | None, environ: Mapping[str, str], flags: Mapping[str, str], kinds: Collection[str]) -> Config:
    """The configuration that these give together: flags before environment before file before defaults.

    `flags` are by their names as typed, such as `--http-address`; see `settings.SETTINGS`. A variable that is empty
    counts as unset. `kinds` are the kinds of provider there are. Raises `ConfigError` with every problem found.
    """
    _only_known(flags)
    source = Source(data={"discover": True}) if path is None else read(path, environ)
    for setting in SETTINGS:
        if setting.flag in flags and not setting.secret:
            _put(source, setting, flags[setting.flag], setting.flag)
        elif environ.get(setting.variable):
            _put(source, setting, environ[setting.variable], setting.variable)
    problems = [*source.problems, *cross_check(source.data), *unknown_kinds(source.data, kinds)]
    try:
        config = Config.model_validate(source.data)
    except ValidationError as error:
        problems += explain(error)
    if problems:
        raise ConfigError(_lines(source, problems))
    return config


def _only_known(flags: Mapping[str, str]) -> None:
    known = [setting.flag for setting in SETTINGS if not setting.secret]
    unknown = [flag for flag in flags if flag not in known]
    if unknown:
        raise ConfigError(f"{flag}: is not a flag{near_miss(flag, known)}" for flag in unknown)


def _put(source: Source, setting: Setting, value: str, origin: str) -> None:
    """Set one value, making the sections around it; a section that is no mapping is left for the models to refuse."""
    section: Any = source.data
    for depth, name in enumerate(setting.path[:-1], 1):
        if section.get(name) is None:
            section[name] = {}
            source.origins[setting.path[:depth]] = origin
        section = section[name]
        if not isinstance(section, dict):
            return
    section[setting.path[-1]] = value
    source.origins[setting.path] = origin
    source.referenced.discard(setting.path)
    source.problems = [problem for problem in source.problems if problem.path != setting.path]


def _lines(source: Source, problems: Iterable[Problem]) -> list[str]:
    """The problems as text, in the order of the file, the first at each path."""
    first: dict[object, Problem] = {}
    for problem in problems:
        first.setdefault(problem.path, problem)
    placed = [(source.origin(problem.path), problem) for problem in first.values()]
    return [_line(source, origin, problem) for origin, problem in sorted(placed, key=lambda pair: _order(pair[0]))]


def _line(source: Source, origin: str, problem: Problem) -> str:
    where = f"{origin}: " if origin else ""
    what = f"`{dotted(problem.path)}`: " if problem.path else ""
    return f"{where}{what}{problem.text(secret=problem.path in source.referenced)}"


def _order(origin: str) -> tuple[bool, int]:
    """By line; what has none, being from outside the file, goes after it."""
    line = origin.rpartition(":")[2]
    return (False, int(line)) if line.isdigit() else (True, 0)
