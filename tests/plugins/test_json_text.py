"""JSON that a model wrote almost right."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins import damage

from trunkline.plugins.json_text import JsonText

OBJECT = frozenset({"object"})
BRACED = frozenset({"object", "array"})
ANY = frozenset({"object", "array", "string", "number", "boolean", "null"})


def healed(text: str, sorts: frozenset[str] = OBJECT, *, whole: bool = True, size: int = 0) -> tuple[str, JsonText]:
    """What `text` is written as, fed in pieces of `size`, and how."""
    one = JsonText(sorts)
    pieces = [text[place : place + size] for place in range(0, len(text), size)] if size else [text]
    return "".join(one.feed(piece) for piece in pieces) + one.end(whole=whole), one


STYLES = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])

DAMAGES: dict[str, Callable[[str], str]] = {
    "fence": lambda text: f"```json\n{text}\n```",
    "fence in a sentence": lambda text: f"Sure! Here it is:\n\n```json\n{text}\n```\nAnything else?",
    "fence without language": lambda text: f"```\n{text}\n```\n",
    "text before": lambda text: f"Here is the [answer] for {{you}}:\n{text}",
    "text after": lambda text: f"{text}\n\nI hope that this helps! {{smile}}",
    "trailing commas": damage.trailing_commas,
    "python literals": damage.python_literals,
    "unquoted keys": damage.unquoted_keys,
    "comments": damage.comments,
    "single quotes": damage.single_quotes,
    "all of it": lambda text: (
        "Well:\n```json\n"
        + damage.comments(damage.trailing_commas(damage.unquoted_keys(damage.python_literals(text))))
        + "\n```\nBye."
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
@given(value=damage.OBJECTS, style=STYLES, size=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_what_was_damaged_comes_back_equal(name: str, value: Any, style: dict[str, Any], size: int) -> None:
    """Each fault that is mended leaves the value as it was, and the text in pieces is mended as the whole."""
    text = DAMAGES[name](json.dumps(value, **style))
    out, one = healed(text)
    assert json.loads(out) == value
    again, other = healed(text, size=size)
    assert (again, other.faults) == (out, one.faults)


@given(value=damage.ARRAYS, style=STYLES)
@settings(max_examples=60, deadline=None)
def test_arrays_are_mended_too(value: Any, style: dict[str, Any]) -> None:
    """Where the answer is an array, it is cut out and mended as an object is."""
    text = json.dumps(value, **style)
    for name in ("fence", "text after", "trailing commas", "python literals", "comments"):
        assert json.loads(healed(DAMAGES[name](text), frozenset({"array"}))[0]) == value


@given(value=damage.OBJECTS)
@settings(max_examples=60, deadline=None)
def test_what_python_wrote_is_read(value: Any) -> None:
    """The text that Python writes of a value is that value."""
    text = repr(value)
    if "\\U" in text:
        return  # a character that is not printed, which JSON has no short form for
    assert json.loads(healed(text)[0]) == value


@given(value=damage.VALUES, style=STYLES, sorts=st.sampled_from([OBJECT, BRACED, ANY]), size=st.integers(0, 5))
@settings(max_examples=300, deadline=None)
def test_valid_json_is_never_touched(value: Any, style: dict[str, Any], sorts: frozenset[str], size: int) -> None:
    """Not a byte of what is JSON as it stands changes, whatever was asked for."""
    text = f" \n{json.dumps(value, **style)}\n"
    out, one = healed(text, sorts, size=size)
    assert out == text
    assert not one.faults


@given(value=damage.OBJECTS, style=STYLES)
@settings(max_examples=100, deadline=None)
def test_brackets_at_the_end_are_closed(value: Any, style: dict[str, Any]) -> None:
    """Where nothing but brackets is missing, they are written; a fence that is closed tells the same."""
    text = damage.unclosed(json.dumps(value, **style))
    assert json.loads(healed(text)[0]) == value
    assert json.loads(healed(f"```json\n{text}\n```")[0]) == value
    if text[-1] not in "{[":
        assert json.loads(healed(f"{text},")[0]) == value


@given(text=st.text(alphabet="{}[]\"':,`/*#ab1 \n\\", max_size=40), size=st.integers(1, 6), whole=st.booleans())
@settings(max_examples=500, deadline=None)
def test_pieces_make_the_whole(text: str, size: int, whole: bool) -> None:
    """How a text is divided changes nothing, whatever it holds."""
    out, one = healed(text, whole=whole)
    again, other = healed(text, whole=whole, size=size)
    assert (again, other.faults) == (out, one.faults)


@given(value=damage.OBJECTS, cut=st.integers(0, 200))
@settings(max_examples=100, deadline=None)
def test_what_was_cut_is_not_completed(value: Any, cut: int) -> None:
    """An answer that ends by its limit stays as far as it came."""
    text = json.dumps(value)[:cut]
    assert healed(text, whole=False)[0] == text


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "no end}',
        '{"a":',
        '{"a": 1, "b"',
        '{"a": tru',
        '{"a": 1.}',
        '{"a": NaN}',
        '{"a": foo}',
        '{"a": 1 "b": 2}',
        '{"a" 1}',
        '{"a": 1]',
        "There is nothing here.",
        "",
        '{"a": "x \\q"}',
        "[" * 300,
    ],
)
def test_nothing_is_made_up(text: str) -> None:
    """What cannot be understood stays as it came."""
    assert healed(text, BRACED)[0] == text


@pytest.mark.parametrize(
    ("text", "sorts", "value"),
    [
        ('"a": 1, "b": [2]}', OBJECT, {"a": 1, "b": [2]}),
        ("True", frozenset({"boolean"}), True),
        ("```\nNone\n```", frozenset({"null"}), None),
        ('```json\n"x"\n```', frozenset({"string"}), "x"),
        ('{"a": [1, {"b": 2]}', OBJECT, {"a": [1, {"b": 2}]}),
        ('{"a": "x\ny"}', OBJECT, {"a": "x\ny"}),
        ('{"a": \'it\\\'s "so"\'}', OBJECT, {"a": 'it\'s "so"'}),
        ('[{"a": 1}] {"b": 2,}', OBJECT, {"a": 1}),
        ("[true", frozenset({"array"}), [True]),
        ("{", OBJECT, {}),
        ('Use {placeholders}: {"a": 1}', OBJECT, {"a": 1}),
    ],
)
def test_what_else_is_mended(text: str, sorts: frozenset[str], value: Any) -> None:
    """Rarer faults."""
    assert json.loads(healed(text, sorts)[0]) == value
