"""The lossless law, contract side: what is written is read back as it was."""

from __future__ import annotations

from typing import Any

from dialects.responses.cases import answer_of, decode, encode, request_of
from hypothesis import given
from hypothesis import strategies as st
from laws.streams import same
from laws.values import json_objects, object_texts

from trunkline.core.fold import fold, unfold
from trunkline.dialects import responses
from trunkline.dialects.wire import dumps, text_of
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse, Choice, Finish, Tool
from trunkline.v1.content_pb2 import Message, Part

_WORDS = st.text(max_size=12)
_NAMES = st.text(min_size=1, max_size=12)
_IDS = st.text("abc123_", min_size=1, max_size=8)


def _extras(draw: st.DrawFn, item: dict[str, Any] | None = None) -> dict[str, str]:
    """Keys that nobody models, and what an item tells of itself."""
    kept: dict[str, Any] = {f"x_{key}": value for key, value in draw(json_objects()).items()}
    if item is not None:
        kept["item"] = item
    return {"responses": text_of(kept)} if kept else {}


@st.composite
def texts(draw: st.DrawFn) -> Part:
    """A text of an item of its own, with or without what it rests on."""
    part = Part(text=draw(_WORDS), extras=_extras(draw, {"id": draw(_IDS), "status": "completed"}))
    for _ in range(draw(st.integers(0, 2))):
        citation = part.citations.add(uri=draw(_NAMES), title=draw(_WORDS), start_index=draw(st.integers(0, 99)))
        citation.end_index = citation.start_index
    return part


@st.composite
def thoughts(draw: st.DrawFn) -> Part:
    """Reasoning in any number of texts, as the decoder keeps it."""
    pieces = draw(st.lists(st.tuples(st.sampled_from(["summary", "content"]), _NAMES), max_size=3))
    pieces.sort(key=lambda piece: piece[0] == "content")
    kept: dict[str, Any] = {"id": draw(_IDS), "encrypted_content": draw(_NAMES)}
    if len(pieces) > 1 or any(array != "summary" for array, _ in pieces):
        kept["pieces"] = [[array, len(text)] for array, text in pieces]
    text = "\n\n".join(text for _, text in pieces)
    return Part(reasoning={"text": text}, extras={"responses": text_of(kept)})


@st.composite
def calls(draw: st.DrawFn) -> Part:
    """A call of a function or of a custom tool."""
    item: dict[str, Any] = {"id": draw(_IDS), "status": "completed"}
    if draw(st.booleans()):
        item["type"] = "custom_tool_call"
    part = Part(extras=_extras(draw, item))
    part.tool_call.id, part.tool_call.name = draw(_IDS), draw(_NAMES)
    part.tool_call.arguments_json = draw(_WORDS)
    return part


@st.composite
def blocks(draw: st.DrawFn) -> Part:
    """An item that only the provider can read."""
    block = {"type": "web_search_call", "id": draw(_IDS), **{f"x_{k}": v for k, v in draw(json_objects()).items()}}
    return Part(opaque={"dialect": "responses", "json": text_of(block)})


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    """Any request within the dialect's reach."""
    request = ChatRequest(model=draw(_NAMES), extras=_extras(draw))
    for _ in range(draw(st.integers(1, 3))):
        roles = [content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER, content_pb2.ROLE_USER]
        message = request.messages.add(role=draw(st.sampled_from(roles)), extras=_extras(draw))
        message.parts.add(text=draw(_WORDS), extras=_extras(draw))
        if draw(st.booleans()):
            message.parts.add().media.CopyFrom(content_pb2.Media(media_type="image/*", uri="https://a/b.png"))
        parts = draw(st.lists(st.one_of(texts(), thoughts(), calls(), blocks()), max_size=4))
        if parts:
            request.messages.add(role=content_pb2.ROLE_ASSISTANT, parts=parts)
    for index in range(draw(st.integers(0, 2))):
        tool = Tool(extras=_extras(draw))
        tool.function.name, tool.function.description = f"f{index}", draw(_WORDS)
        tool.function.parameters_json, tool.function.strict = draw(object_texts()), draw(st.booleans())
        request.tools.append(tool)
    if draw(st.booleans()):
        request.tool_choice.name = draw(_NAMES)
    if draw(st.booleans()):
        schema = request.response_format.json_schema
        schema.name, schema.description, schema.schema_json = draw(_NAMES), draw(_WORDS), draw(object_texts())
    if draw(st.booleans()):
        request.reasoning.effort, request.reasoning.summary = draw(_NAMES), draw(_WORDS.filter(lambda w: w != "none"))
    if draw(st.booleans()):
        request.sampling.temperature = draw(st.floats(0, 1e300))
        request.sampling.top_p = draw(st.floats(0, 1))
    if draw(st.booleans()):
        request.max_output_tokens = draw(st.integers(1, 2**31 - 1))
        request.parallel_tool_calls = draw(st.booleans())
        request.top_logprobs = draw(st.integers(0, 20))
    request.user, request.service_tier = draw(_WORDS), draw(_WORDS)
    return request


@st.composite
def answers(draw: st.DrawFn) -> ChatResponse:
    """Any answer within the dialect's reach."""
    parts = draw(st.lists(st.one_of(texts(), thoughts(), calls(), blocks()), max_size=4))
    for number, part in enumerate(parts):
        # Items are told apart by their ids.
        for dialect, text in part.extras.items():
            part.extras[dialect] = text.replace('"id":"', f'"id":"{number}')
        if part.HasField("opaque"):
            part.opaque.json = part.opaque.json.replace('"id":"', f'"id":"{number}')
    calls_tools = any(part.HasField("tool_call") for part in parts)
    reason = chat_pb2.FINISH_REASON_TOOL_CALLS if calls_tools else chat_pb2.FINISH_REASON_STOP
    message = Message(role=content_pb2.ROLE_ASSISTANT, parts=parts)
    return ChatResponse(
        id=draw(_NAMES),
        model=draw(_NAMES),
        create_time={"seconds": draw(st.integers(1, 2**31))},
        choices=[Choice(message=message, finish=Finish(reason=reason, native_reason="completed"))],
    )


def _bare(response: ChatResponse) -> ChatResponse:
    """Without the fields that every response has, which are kept as extras."""
    out = same(response)
    out.extras.clear()
    return out


@given(requests())
def test_a_request_comes_back(request: ChatRequest) -> None:
    """`decode(encode(m)) == m`."""
    losses: list[Any] = []
    back = request_of(dumps(responses.encode_request(request, losses)))
    assert losses == []
    assert _sorted(back) == _sorted(request)


def _sorted(request: ChatRequest) -> Message:
    """Its conversation, with the keys of extras in order, behind the rest of it."""
    out = ChatRequest()
    out.CopyFrom(request)
    holder = ChatResponse(choices=[Choice(message=message) for message in out.messages], extras=out.extras)
    for tool in out.tools:
        holder.choices.add(extras=tool.extras)
        tool.extras.clear()
    del out.messages[:]
    out.extras.clear()
    return Message(parts=[Part(text=str(same(holder))), Part(text=str(out))])


@given(answers())
def test_an_answer_comes_back(response: ChatResponse) -> None:
    """`decode(encode(m)) == m`."""
    assert _bare(answer_of(responses.encode_response(response))) == _bare(response)


@given(answers())
def test_a_stream_comes_back(response: ChatResponse) -> None:
    """`fold(decode(encode(unfold(m)))) == m`."""
    assert _bare(fold(decode(encode(unfold(response))))) == _bare(response)
