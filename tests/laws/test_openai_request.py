"""The lossless law, wire side: a request of OpenAI's language comes out of the gateway as it went in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws.openai_meaning import carried, meaning
from laws.values import json_objects
from wire.recordings import Recording, each_chat

from trunkline.call import Loss
from trunkline.core.check import Limits, check
from trunkline.dialects import openai
from trunkline.dialects.openai.request import take_stream
from trunkline.dialects.wire import Object, dumps, loads


def through(wire: bytes, profile: openai.Profile | None = None) -> dict[str, Any]:
    """`wire` as the gateway sends it on."""
    read = Object(loads(wire))
    take_stream(read)
    request = openai.decode_request(read)
    check(request, Limits())
    losses: list[Loss] = []
    sent = loads(dumps(openai.encode_request(request, profile or openai.Profile(), losses)))
    assert losses == []
    assert isinstance(sent, dict)
    return sent


@each_chat(lambda recording: recording.request is not None and recording.status < 300)
def test_a_recorded_request_comes_out_as_it_went_in(recording: Recording) -> None:
    """`encode(decode(w)) == w` up to the listed equivalences."""
    asked = msgspec.json.decode(recording.request or b"")
    if asked.get("model") is None:
        asked["model"] = "of-the-path"  # Azure's
    sent = through(dumps(asked))
    assert meaning(sent) == meaning(asked)
    assert carried(sent) == carried(asked)


@each_chat(lambda recording: recording.request is not None and b'"thinking":[' in recording.request)
def test_thinking_goes_back_to_a_server_that_takes_it_as_it_came(recording: Recording) -> None:
    """Mistral gets its blocks back, at their places; the pieces of one block as one."""
    asked = msgspec.json.decode(recording.request or b"")
    sent = through(dumps(asked), openai.Profile(reasoning="thinking"))
    for was, is_ in zip(asked["messages"], sent["messages"], strict=True):
        for block in was["content"] if isinstance(was["content"], list) else ():
            if block["type"] == "thinking":
                block["thinking"] = [{"type": "text", "text": "".join(item["text"] for item in block["thinking"])}]
        assert is_["content"] == was["content"]


_REQUEST: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "t"}],
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "r"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
}

_PLACES: list[tuple[str | int, ...]] = [
    (),
    ("messages", 0),
    ("messages", 0, "content", 0),
    ("messages", 0, "content", 0, "image_url"),
    ("messages", 1),
    ("messages", 1, "tool_calls", 0),
    ("messages", 1, "tool_calls", 0, "function"),
    ("messages", 1, "content", 0),
    ("messages", 2),
    ("tools", 0),
    ("tools", 0, "function"),
    ("tools", 0, "function", "parameters"),
    ("tool_choice",),
    ("tool_choice", "function"),
    ("response_format",),
    ("response_format", "json_schema"),
    ("response_format", "json_schema", "schema"),
]


@given(st.sampled_from(_PLACES), json_objects(least=1))
def test_an_unknown_key_is_kept_wherever_it_stands(place: tuple[str | int, ...], unknown: dict[str, Any]) -> None:
    """At any level, with any value: the order of the keys inside and integers of any size are kept."""
    asked = loads(dumps(_REQUEST))
    added = {f"x_{key}": value for key, value in unknown.items()}
    _at(asked, place).update(added)
    sent = _at(through(dumps(asked)), place)
    assert dumps({key: sent[key] for key in added}) == dumps(added)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:application/octet-stream;base64,AAAA", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:,"}},
        {"type": "video_url", "video_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "file", "file": {"file_data": "data:image/png;base64,AAAA", "filename": "a.png"}},
        {"type": "file", "file": {"file_data": "AAAA"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "refusal", "refusal": "No."},
        {"type": "text", "text": "", "cache_control": {"type": "ephemeral", "ttl": "2h"}},
        {"type": "of_its_own", "n": 2**70},
    ],
)
def test_a_part_stays_what_it_is(part: dict[str, Any]) -> None:
    """Whatever the data that it holds says of itself."""
    asked = {"model": "m", "messages": [{"role": "user", "content": [part]}]}
    assert through(dumps(asked))["messages"][0]["content"] == [part]


def _at(wire: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        wire = wire[step]
    return wire
