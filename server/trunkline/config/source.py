"""A configuration file as plain data, with the line that each value came from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final

import yaml

from trunkline.config.problem import ConfigError, Path, Problem
from trunkline.config.reference import BadReferenceError, resolve

LARGEST: Final = 4 * 1024 * 1024
"""The most bytes that a configuration file may have."""

_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"
_SCALARS = frozenset(f"tag:yaml.org,2002:{tag}" for tag in ("str", "int", "float", "bool", "null"))
_QUOTED = re.compile(r"""\s*(['"])(?!<)[^'"]{2,}\1""")
_TAB = "found character '\\t' that cannot start any token"


class _Loader(yaml.SafeLoader):
    """The safe loader, for which a date is text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, Any]]] = {  # noqa: RUF012 - it overrides the parent's
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(slots=True)
class Source:
    """What was given: the data, where each piece is from (`trunkline.yaml:12`), and what is wrong with it so far.

    `referenced` holds the paths whose values came out of the environment by a reference, and so may be secrets.
    """

    data: dict[str, object] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    referenced: set[Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def origin(self, path: Path) -> str:
        """Where the value at `path` is from, or else the nearest one around it; empty where there is none."""
        while path not in self.origins and path:
            path = path[:-1]
        return self.origins.get(path, "")


def read(path: FilePath, environ: Mapping[str, str]) -> Source:
    """Read a YAML file. Raises `ConfigError` where it cannot be read as a mapping of settings."""
    text = _text(path)
    try:
        # A subclass of the safe loader, driven by hand: only its nodes know their lines.
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                raise ConfigError([f"{path}: holds no settings"])
            if not isinstance(root, yaml.MappingNode):
                line = root.start_mark.line + 1
                raise ConfigError([f"{path}:{line}: must be a mapping of settings, such as `http: ...`"])
            source = Source()
            source.data = _Reader(str(path), loader, environ, source).mapping(root, ())
            source.origins[()] = str(path)
            return source
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise ConfigError([f"{where}: is not valid YAML: {_complaint(error)}"]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError([f"{path}:{line}: is not valid YAML: holds a control character"]) from None
    except RecursionError:
        raise ConfigError([f"{path}: is nested too deeply"]) from None


def _complaint(error: yaml.MarkedYAMLError) -> str:
    """What the parser says, without the line it quotes or the names in it: unquoted, a secret may pass for an alias."""
    if error.problem == _TAB:
        return "a tab where YAML takes spaces only"
    said = " ".join(part for part in (error.problem, error.context) if part)
    return _QUOTED.sub("", said)


def _text(path: FilePath) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(content) > LARGEST:
        raise ConfigError([f"{path}: is larger than {LARGEST} bytes"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: is not UTF-8 text"]) from None


class _Reader:
    """Turns YAML nodes into plain data, noting lines and problems in `source`."""

    def __init__(self, file: str, loader: _Loader, environ: Mapping[str, str], source: Source) -> None:
        self._file = file
        self._loader = loader
        self._environ = environ
        self._source = source
        self._open: set[int] = set()

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        values: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key, name, value in self._entries(node, path):
            line = key.start_mark.line + 1
            here = (*path, name)
            if name in lines:
                self._add(here, line, f"is given twice, first on line {lines[name]}")
                continue
            lines[name] = line
            self._source.origins[here] = f"{self._file}:{line}"
            values[name] = self._value(value, here)
        return values

    def _entries(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[yaml.Node, str, yaml.Node]]:
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._add((*path, "?"), line, "is a list or mapping, which cannot be the name of a setting")
            elif key.tag == _MERGE:
                self._add((*path, "<<"), line, "is not taken here; write the settings out")
            else:
                # Taken as written, so that `on` or `1` can be the name of a model.
                yield key, key.value, value

    def _value(self, node: yaml.Node, path: Path) -> object:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        line = node.start_mark.line + 1
        if id(node) in self._open:
            self._add(path, line, "is an alias of what it is within")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            return [self._element(element, (*path, index)) for index, element in enumerate(node.value)]
        finally:
            self._open.remove(id(node))

    def _element(self, node: yaml.Node, path: Path) -> object:
        self._source.origins[path] = f"{self._file}:{node.start_mark.line + 1}"
        return self._value(node, path)

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        line = node.start_mark.line + 1
        try:
            value: object = self._loader.construct_object(node) if node.tag in _SCALARS else node
        except (ValueError, LookupError):
            value = node
        if value is node:
            self._add(path, line, "cannot be read as text or a number; put it in quotes if it is text")
            return None
        if not isinstance(value, str):
            return value
        try:
            text, found = resolve(value, self._environ)
        except BadReferenceError as error:
            self._add(path, line, str(error))
            return value
        if found:
            self._source.referenced.add(path)
        return text

    def _add(self, path: Path, line: int, message: str) -> None:
        self._source.origins[path] = f"{self._file}:{line}"
        self._source.problems.append(Problem(path, message))
