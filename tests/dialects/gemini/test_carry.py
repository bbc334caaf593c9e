"""What other providers need back survives Gemini's clients byte for byte, those that keep thoughts or do not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.fold import unfold
from trunkline.dialects import gemini
from trunkline.dialects.gemini.carry import SIGNATURE, unpack
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatResponse
from trunkline.v1.content_pb2 import Message, Opaque, Part, Reasoning, ToolCall

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_SIGNATURES = _TEXTS.map(lambda text: dumps({"signature": text}).decode())
_REASONING = st.builds(
    lambda text, redacted, extras: Part(
        reasoning=Reasoning(text="" if redacted else text, redacted=redacted), extras={"anthropic": extras}
    ),
    _TEXTS,
    st.booleans(),
    _SIGNATURES,
)
_OPAQUE = _TEXTS.map(
    lambda text: Part(opaque=Opaque(dialect="anthropic", json=dumps({"type": "x", "a": text}).decode()))
)
_CALLS = st.builds(
    lambda number, extras: Part(
        tool_call=ToolCall(id=f"toolu_{number}", name="f", arguments_json='{"x":1}'), extras=extras
    ),
    st.integers(0, 10**6),
    st.one_of(st.just({}), _SIGNATURES.map(lambda text: {"anthropic": text})),
)
_SAID = st.lists(st.one_of(_REASONING, _OPAQUE), max_size=3)


def answer(parts: list[Part]) -> ChatResponse:
    response = ChatResponse(id="r", model="m")
    choice = response.choices.add()
    choice.message.role = content_pb2.ROLE_ASSISTANT
    choice.message.parts.extend(parts)
    choice.finish.reason = 3
    return response


def whole(response: ChatResponse) -> list[Any]:
    """The parts as a client gets them at once."""
    found: list[Any] = loads(dumps(gemini.encode_response(response)))["candidates"][0]["content"].get("parts", [])
    return found


def streamed(response: ChatResponse) -> list[Any]:
    """The parts as a client puts them one behind the other."""
    encoder = gemini.StreamEncoder()
    chunks = [loads(chunk) for event in unfold(response) for chunk in encoder.feed(event)]
    chunks += [loads(chunk) for chunk in encoder.end()]
    return [
        part
        for chunk in chunks
        for candidate in chunk.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
    ]


def back(parts: list[Any]) -> Message:
    """What the client's next request says of the answer."""
    contents = [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": parts}]
    return gemini.decode_request(Object(loads(dumps({"contents": contents}))), "m").messages[1]


def foreign(parts: Any) -> list[Part]:
    return [part for part in parts if part.WhichOneof("kind") in ("reasoning", "opaque")]


@pytest.mark.parametrize("told", [whole, streamed])
@given(_SAID, st.lists(_CALLS, min_size=1, max_size=2, unique_by=lambda part: part.tool_call.id))
def test_nothing_is_lost(told: Any, said: list[Part], calls: list[Part]) -> None:
    """A client that sends everything back gives the reasoning, the blocks and the calls as they were."""
    message = back(told(answer([*said, *calls])))

    unique = [part for index, part in enumerate(said) if part not in said[:index]]
    assert foreign(message.parts) == unique
    assert [part for part in message.parts if part.HasField("tool_call")] == calls


@pytest.mark.parametrize("told", [whole, streamed])
@given(_SAID, _CALLS)
def test_the_call_alone_is_enough(told: Any, said: list[Part], call: Part) -> None:
    """A client that leaves thoughts out still gives them back with the call."""
    parts = [part for part in told(answer([*said, call])) if not part.get("thought")]
    message = back(parts)

    unique = [part for index, part in enumerate(said) if part not in said[:index]]
    assert foreign(message.parts) == unique
    assert [part for part in message.parts if part.HasField("tool_call")] == [call]


def test_signatures_of_google_are_its_own() -> None:
    """What the gateway did not write is passed on, and what was damaged is no crash."""
    for signature in ("c2lnbmVk", "!", "dHJ1bmtsaW5lMTr/", 5, None):
        assert unpack(signature) is None
    parts = [{"functionCall": {"name": "f", "args": {}}, SIGNATURE: "c2lnbmVk"}]
    assert back(parts).parts[0].extras == {"gemini": '{"thoughtSignature":"c2lnbmVk"}'}
