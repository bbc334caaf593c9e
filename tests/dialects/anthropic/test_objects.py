"""Text that is spliced into a request is one JSON object, whatever it holds."""

from __future__ import annotations

import pytest

from trunkline.dialects.anthropic.objects import object_text, typed_object
from trunkline.dialects.wire import dumps, loads
from trunkline.errors import GatewayError

TEXTS = (
    '{"type":"object"}',
    ' {"type":"object"} ',
    '{"properties":{"type":{}},"type":"object"}',
    '{"type":"object"},"injected":{"a":1}',
    '{"type":"object"}}',
    '{"type":"object"',
    '{"type":"',
    '{"type":"object"} {"b":2}',
    '{"type":null}',
    '{"a":1}//',
    "{",
    "[]",
    "1",
    "",
    " ",
    '{"type":"\x00"}',
    '{"type":"\\ud800"}',
    "{" * 2000,
    '{"type":' * 2000,
)


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_spliced_is_what_the_text_says(text: str) -> None:
    """What is written stays one value of the object around it, and says what the text alone says."""
    for written in (typed_object(text), object_text(text)):
        if written is not None:
            value = {} if text.isspace() or not text else loads(text)
            assert isinstance(value, dict)
            assert loads(dumps({"before": 1, "it": written, "behind": 2})) == {"before": 1, "it": value, "behind": 2}


@pytest.mark.parametrize("text", TEXTS)
def test_a_typed_object_is_found_where_there_is_one(text: str) -> None:
    """An object counts as typed exactly where it says a type; one that the strict reader refuses counts as none."""
    try:
        value = loads(text)
    except GatewayError:
        value = None
    typed = isinstance(value, dict) and value.get("type") is not None and "\\ud800" not in text
    assert (typed_object(text) is not None) == typed
