"""JSON, and the ways in which models write it almost right."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import strategies as st

KEYS = st.from_regex(r"[a-zA-Z_$][a-zA-Z0-9_$]{0,8}", fullmatch=True) | st.text(max_size=6)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["it's", 'say "hi"', "// no comment", "# nor this", "a, b]", "{x: 1}", "```", "\\", "None", "\n"])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=10
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
ARRAYS = st.lists(VALUES, max_size=4)

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORDS = {"true": "True", "false": "False", "null": "None"}


def outside(text: str, pattern: str, by: Any) -> str:
    """`text` with `pattern` replaced wherever it stands outside of strings."""
    pieces: list[str] = []
    position = 0
    for string in _STRINGS.finditer(text):
        pieces += (re.sub(pattern, by, text[position : string.start()]), string[0])
        position = string.end()
    return "".join(pieces) + re.sub(pattern, by, text[position:])


def trailing_commas(text: str) -> str:
    """A comma behind each last item. Empty objects and arrays stay."""
    return outside(text, r"(?<![\[{\s])(\s*)([\]}])", r",\1\2") if not _STRINGS.search(text) else _commas(text)


def _commas(text: str) -> str:
    out: list[str] = []
    position, last = 0, ""
    while position < len(text):
        string = _STRINGS.match(text, position)
        piece = string[0] if string else text[position]
        if piece in "]}" and last not in "[{":
            out.append(",")
        out.append(piece)
        if not piece.isspace():
            last = piece[-1]
        position += len(piece)
    return "".join(out)


def python(value: Any) -> str:
    """The value as Python writes it."""
    return repr(value)


def python_literals(text: str) -> str:
    """Python's words for true, false and null."""
    return outside(text, r"true|false|null", lambda match: _WORDS[match[0]])


def unquoted_keys(text: str) -> str:
    """Keys that are names, without their quotes."""
    return re.sub(
        r'("(?:[^"\\]|\\.)*")(\s*:)?',
        lambda match: (
            match[1][1:-1] + match[2]
            if match[2] and re.fullmatch(r"[A-Za-z_$][\w$]*", match[1][1:-1], re.ASCII)
            else match[0]
        ),
        text,
    )


def comments(text: str) -> str:
    """A comment behind each comma and each bracket that opens."""
    return outside(text, r"[,\[{]", lambda match: f'{match[0]} /* , ] */ // it\'s "so" {{\n # and }}\n')


def unclosed(text: str) -> str:
    """Without the brackets at its end."""
    return text.rstrip("]} \n")


def single_quotes(text: str) -> str:
    """Strings in single quotes."""
    return _STRINGS.sub(lambda match: "'" + json.loads(match[0]).replace("\\", "\\\\").replace("'", "\\'") + "'", text)


def raw_newlines(text: str) -> str:
    """Line breaks within strings as they are."""
    return _STRINGS.sub(lambda match: match[0].replace("\\\\", "\\\\\\\\").replace("\\n", "\n"), text)
