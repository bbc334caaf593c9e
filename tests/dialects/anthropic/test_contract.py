"""The contract's side: what Anthropic can say comes back from it as it was."""

from __future__ import annotations

from typing import Any

from dialects.anthropic.cases import framed, read_answer, read_request, read_stream, whole, write_answer, write_request
from dialects.anthropic.cases import write_stream as frames_of
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.fold import unfold
from trunkline.dialects.wire import text_of
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import (
    ChatRequest,
    ChatResponse,
    Choice,
    Finish,
    Function,
    ReasoningConfig,
    Sampling,
    Tool,
    ToolChoice,
    Usage,
)
from trunkline.v1.content_pb2 import CacheBreakpoint, Citation, Media, Message, Opaque, Part, Reasoning, ToolCall

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(lambda text: not text.isspace())
NAME = st.from_regex(r"[a-zA-Z0-9_-]{1,16}", fullmatch=True)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(NAME, inner, max_size=2)),
    max_leaves=4,
)
OBJECT = st.dictionaries(NAME, JSON, max_size=3).map(text_of)
EXTRAS = st.dictionaries(st.just("anthropic"), JSON.map(lambda value: text_of({"new_key": [value]})), max_size=1)
CACHE = st.sampled_from([None, None, CacheBreakpoint()])


def ttl(seconds: int) -> CacheBreakpoint:
    """A mark that is kept for `seconds`."""
    mark = CacheBreakpoint()
    mark.ttl.seconds = seconds
    return mark


MARKS = st.one_of(CACHE, st.sampled_from([300, 3600]).map(ttl))
MEDIA = st.one_of(
    st.builds(lambda data: Media(media_type="image/png", uri=f"data:image/png;base64,{data}"), NAME),
    st.builds(lambda name: Media(media_type="image/*", uri=f"https://x/{name}"), NAME),
    st.builds(lambda name: Media(media_type="image/*", file_id=name), NAME),
    st.builds(lambda text, title: Media(media_type="text/plain", data=text.encode(), filename=title), TEXT, TEXT),
    st.builds(lambda name: Media(media_type="application/pdf", uri=f"https://x/{name}"), NAME),
)
TEXTS = st.builds(lambda text, cache, extras: Part(text=text, cache=cache, extras=extras), TEXT, MARKS, EXTRAS)
USERS = st.one_of(TEXTS, st.builds(lambda media, cache: Part(media=media, cache=cache), MEDIA, MARKS))
SIGNED = st.one_of(
    st.builds(
        lambda text, sign: Part(reasoning=Reasoning(text=text), extras={"anthropic": sign}),
        st.text(),
        TEXT.map(lambda sign: text_of({"signature": sign})),
    ),
    TEXT.map(lambda data: Part(reasoning=Reasoning(redacted=True), extras={"anthropic": text_of({"data": data})})),
)
BLOCKS = st.builds(
    lambda data: Part(opaque=Opaque(dialect="anthropic", json=text_of({"type": "server_tool_use", "input": data}))),
    JSON,
)
CITED = st.builds(
    lambda text, quote, address: Part(
        text=text,
        citations=[
            Citation(
                uri=address,
                title=quote,
                cited_text=quote,
                extras={"anthropic": '{"type":"web_search_result_location","encrypted_index":"E"}'},
            )
        ],
    ),
    TEXT,
    TEXT,
    TEXT,
)


def calling(number: int) -> st.SearchStrategy[Part]:
    """A tool call with an id of its own."""
    return st.builds(
        lambda name, arguments, extras: Part(
            tool_call=ToolCall(id=f"toolu_{number}", name=name, arguments_json=arguments), extras=extras
        ),
        NAME,
        OBJECT,
        EXTRAS,
    )


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Instructions, then users and assistants in turn, with results for all calls."""
    messages: list[Message] = []
    if draw(st.booleans()):
        messages.append(Message(role=content_pb2.ROLE_SYSTEM, parts=draw(st.lists(TEXTS, min_size=1, max_size=2))))
    for number in range(draw(st.integers(1, 3))):
        messages.append(Message(role=content_pb2.ROLE_USER, parts=draw(st.lists(USERS, min_size=1, max_size=2))))
        parts = draw(st.lists(st.one_of(SIGNED, BLOCKS, TEXTS, CITED), min_size=1, max_size=3))
        calls = [draw(calling(number * 10 + place)) for place in range(draw(st.integers(0, 2)))]
        messages.append(Message(role=content_pb2.ROLE_ASSISTANT, parts=[*parts, *calls]))
        if calls:
            outcome = Message(role=content_pb2.ROLE_TOOL)
            for one in calls:
                part = outcome.parts.add()
                part.tool_result.tool_call_id = one.tool_call.id
                part.tool_result.parts.extend(draw(st.lists(USERS, max_size=2)))
                part.tool_result.failed = draw(st.booleans())
            messages += [outcome, Message(role=content_pb2.ROLE_ASSISTANT, parts=[Part(text="so")])]
    messages.append(Message(role=content_pb2.ROLE_USER, parts=[Part(text="?")]))
    return messages


TOOLS = st.one_of(
    st.builds(
        lambda name, description, schema, cache: Tool(
            function=Function(
                name=name, description=description, parameters_json=text_of({"type": "object", "properties": schema})
            ),
            cache=cache,
        ),
        NAME,
        st.text(max_size=5),
        st.dictionaries(NAME, st.just({"type": "string"}), max_size=2),
        MARKS,
    ),
    st.just(Tool(native=Opaque(dialect="anthropic", json='{"type":"bash_20250124","name":"bash"}'))),
)
CHOICES = st.one_of(
    st.none(),
    st.sampled_from(
        [chat_pb2.ToolChoice.MODE_AUTO, chat_pb2.ToolChoice.MODE_REQUIRED, chat_pb2.ToolChoice.MODE_NONE]
    ).map(lambda mode: ToolChoice(mode=mode)),
    NAME.map(lambda name: ToolChoice(name=name)),
)
REASONINGS = st.sampled_from(
    [
        {"budget_tokens": 2048},
        {"budget_tokens": 2048, "effort": "low", "summary": "auto"},
        {"enabled": True},
        {"enabled": True, "effort": "max", "summary": "none"},
        {"enabled": False},
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    """A request within what the API can say to a model that takes all of it."""
    request = ChatRequest(model="claude-opus-4-6", messages=draw(conversations()), max_output_tokens=4096)
    request.stop_sequences.extend(draw(st.lists(TEXT, max_size=2)))
    request.user = draw(st.text(max_size=5))
    request.service_tier = draw(st.sampled_from(["", "auto", "default"]))
    request.extras.update(draw(EXTRAS))
    request.tools.extend(draw(st.lists(TOOLS, max_size=2)))
    choice = draw(CHOICES) if request.tools else None
    if choice is not None:
        request.tool_choice.CopyFrom(choice)
        if choice.mode != chat_pb2.ToolChoice.MODE_NONE:
            request.parallel_tool_calls = draw(st.booleans())
    forced = choice is not None and (choice.name or choice.mode == chat_pb2.ToolChoice.MODE_REQUIRED)
    if not forced and draw(st.booleans()):
        request.reasoning.CopyFrom(ReasoningConfig(**draw(REASONINGS)))
    elif draw(st.booleans()):
        sampling: list[Any] = [{"temperature": 0.25, "top_k": 7}, {"top_p": 0.5}, {"temperature": 1}]
        request.sampling.CopyFrom(Sampling(**draw(st.sampled_from(sampling))))
    return request


@given(requests())
def test_requests_survive(request: ChatRequest) -> None:
    """Writing and reading a request that Anthropic can say gives it back, without a loss."""
    losses: list[Any] = []
    assert read_request(write_request(request, request.model, losses)) == request
    assert losses == []


@st.composite
def responses(draw: st.DrawFn) -> ChatResponse:
    """An answer within what the API can say."""
    blocks = st.one_of(SIGNED, BLOCKS, TEXTS.map(uncached), CITED)
    parts = [*draw(st.lists(blocks, max_size=4)), *[draw(calling(number)) for number in range(draw(st.integers(0, 2)))]]
    reason, word = draw(
        st.sampled_from(
            [
                (chat_pb2.FINISH_REASON_STOP, "end_turn"),
                (chat_pb2.FINISH_REASON_TOOL_CALLS, "tool_use"),
                (chat_pb2.FINISH_REASON_LENGTH, "model_context_window_exceeded"),
                (chat_pb2.FINISH_REASON_STOP, "stop_sequence"),
                (chat_pb2.FINISH_REASON_OTHER, "pause_turn"),
            ]
        )
    )
    finish = Finish(reason=reason, native_reason=word, stop_sequence="END" if word == "stop_sequence" else "")
    choice = Choice(message=Message(role=content_pb2.ROLE_ASSISTANT, parts=parts), finish=finish)
    return ChatResponse(
        id=draw(NAME),
        model=draw(NAME),
        choices=[choice],
        usage=Usage(input_tokens=9, cached_input_tokens=draw(st.sampled_from([None, 0, 4])), output_tokens=3),
        service_tier=draw(st.sampled_from(["", "standard"])),
        extras=draw(EXTRAS),
    )


def uncached(part: Part) -> Part:
    """`part` without a mark: answers have none."""
    part.ClearField("cache")
    return part


@given(responses())
def test_answers_survive(response: ChatResponse) -> None:
    """Writing and reading an answer that Anthropic can say gives it back, whole and streamed."""
    assert read_answer(write_answer(response)) == response
    assert whole(read_stream(framed(frames_of(unfold(response))))) == response
