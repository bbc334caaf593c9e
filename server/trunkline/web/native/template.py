"""Path templates of `google.api.http`, such as `/v1/{name=shelves/*}/books/{book}:read`, and how a path meets them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from trunkline.errors import invalid_request

ONE: Final = "*"
MANY: Final = "**"

_TOKEN: Final = re.compile(r"\*\*|\*|[{}/:=]|[^{}/:=*]+")
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a template: a literal, or any one segment, or any number of them."""

    kind: Literal["literal", "one", "many"]
    literal: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """A field of the request, by its dotted path, and the segments `[start, end)` of the template that fill it."""

    field: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template. `verb` is what follows the last colon, empty where there is none."""

    text: str
    segments: tuple[Segment, ...]
    variables: tuple[Variable, ...]
    verb: str

    @property
    def rank(self) -> tuple[tuple[int, ...], bool]:
        """Sorts the narrower template first: literals before `*` before `**`, and a verb before none."""
        order = {"literal": 0, "one": 1, "many": 2}
        return tuple(order[segment.kind] for segment in self.segments), not self.verb

    def match(self, path: Sequence[str]) -> dict[str, str] | None:
        """The text of each variable where the decoded segments `path` fit, else None."""
        if self.verb:
            last = path[-1].removesuffix(f":{self.verb}")
            if last == path[-1] or not last:
                return None
            path = [*path[:-1], last]
        spare = len(path) - len(self.segments)
        ends: list[int] = [0]
        for segment in self.segments:
            at = ends[-1]
            match segment.kind:
                case "many":
                    ends.append(at + 1 + spare)
                    continue
                case "literal" if at < len(path) and path[at] != segment.literal:
                    return None
            ends.append(at + 1)
        if ends[-1] != len(path) or spare < -1:
            return None
        return {
            variable.field: "/".join(path[ends[variable.start] : ends[variable.end]]) for variable in self.variables
        }


def parse(text: str) -> Template:
    """Read a template. Raises `ValueError` where it breaks the grammar of `google/api/http.proto`."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text or tokens[:1] != ["/"]:
        raise ValueError(f"path template {text!r} does not begin with a slash, or holds a stray character")
    verb = ""
    if len(tokens) > 2 and tokens[-2] == ":" and tokens[-1] not in "{}/:=":
        verb = tokens[-1]
        tokens = tokens[:-2]
    segments: list[Segment] = []
    variables: list[Variable] = []
    position = 1
    while True:
        if position < len(tokens) and tokens[position] == "{":
            position = _variable(text, tokens, position + 1, segments, variables)
        else:
            segments.append(_segment(text, tokens, position))
            position += 1
        if position == len(tokens):
            break
        _expect(text, tokens, position, "/")
        position += 1
    if sum(segment.kind == "many" for segment in segments) > 1:
        raise ValueError(f"path template {text!r} holds `**` twice")
    return Template(text, tuple(segments), tuple(variables), verb)


def segments_of(raw_path: str) -> list[str]:
    """The decoded segments of a path as it was sent; an escaped slash does not part them.

    Raises `GatewayError` (INVALID_REQUEST) where an escape is malformed or the result is not UTF-8.
    """
    if _BAD_ESCAPE.search(raw_path):
        raise invalid_request("The path holds a malformed percent escape.")
    try:
        return [unquote_to_bytes(part).decode() for part in raw_path.removeprefix("/").split("/")]
    except UnicodeDecodeError:
        raise invalid_request("The path is not UTF-8.") from None


def _variable(text: str, tokens: list[str], position: int, segments: list[Segment], variables: list[Variable]) -> int:
    start = len(segments)
    if position >= len(tokens) or not _FIELD.fullmatch(tokens[position]):
        raise ValueError(f"path template {text!r} has a variable without a field")
    field = tokens[position]
    position += 1
    if position < len(tokens) and tokens[position] == "=":
        while True:
            segments.append(_segment(text, tokens, position + 1))
            position += 2
            if position >= len(tokens) or tokens[position] != "/":
                break
    else:
        segments.append(Segment("one"))
    _expect(text, tokens, position, "}")
    if any(variable.field == field for variable in variables):
        raise ValueError(f"path template {text!r} names `{field}` twice")
    variables.append(Variable(field, start, len(segments)))
    return position + 1


def _segment(text: str, tokens: list[str], position: int) -> Segment:
    token = tokens[position] if position < len(tokens) else ""
    if token == ONE:
        return Segment("one")
    if token == MANY:
        return Segment("many")
    if not token or token in "{}/:=":
        raise ValueError(f"path template {text!r} has an empty segment")
    return Segment("literal", token)


def _expect(text: str, tokens: list[str], position: int, token: str) -> None:
    if position >= len(tokens) or tokens[position] != token:
        raise ValueError(f"path template {text!r} lacks a `{token}`")
