"""Strategies for JSON, and for the messages of the contract that OpenAI's dialect can hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from trunkline.dialects.wire import text_of
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse, Choice, Finish, Sampling, Tool, Usage
from trunkline.v1.content_pb2 import Message, Part, TokenLogprob

_WORDS = st.text(max_size=12)
_NAMES = st.text(min_size=1, max_size=12)
_COUNTS = st.integers(0, 2**30 - 1)
_IMAGES = ("image/png", "image/*")
_OTHERS = ("video/*", "audio/wav", "application/pdf", "file")

SCALARS = st.one_of(
    st.booleans(), st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False), _WORDS
)


def json_values() -> st.SearchStrategy[Any]:
    """Any JSON value but null, which is as good as absent."""
    return st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(_WORDS, inner, min_size=1, max_size=3),
        max_leaves=8,
    )


def json_objects(least: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """Any JSON object."""
    return st.dictionaries(_WORDS, json_values(), min_size=least, max_size=3)


def object_texts() -> st.SearchStrategy[str]:
    """The text of any JSON object."""
    return json_objects().map(text_of)


@st.composite
def own_extras(draw: st.DrawFn) -> dict[str, str]:
    """Extras of OpenAI's dialect: keys that nobody models."""
    unknown = draw(json_objects())
    return {"openai": text_of({f"x_{key}": value for key, value in unknown.items()})} if unknown else {}


def foreign_extras() -> st.SearchStrategy[dict[str, str]]:
    """Extras of other dialects, which hold a word that must not leak."""
    return st.dictionaries(
        st.sampled_from(["anthropic", "gemini", "responses", "bedrock"]),
        json_objects().map(lambda fields: text_of({"secret": "hunter2", **fields})),
        max_size=2,
    )


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    """Any request within the dialect's reach."""
    request = ChatRequest(model=draw(_NAMES), extras=draw(own_extras()))
    request.messages.extend(draw(st.lists(st.one_of(asking(), answering(), resulting()), max_size=4)))
    request.tools.extend(draw(st.lists(tools(), max_size=2)))
    match draw(st.integers(0, 2)):
        case 1:
            request.tool_choice.mode = draw(st.sampled_from([1, 2, 3]))
        case 2:
            request.tool_choice.name = draw(_NAMES)
    match draw(st.integers(0, 2)):
        case 1:
            request.response_format.json_object.SetInParent()
        case 2:
            schema = request.response_format.json_schema
            schema.name, schema.description = draw(_NAMES), draw(_WORDS)
            schema.schema_json = draw(object_texts() | st.just(""))
            _maybe(draw, schema, "strict", st.booleans())
    sampling = draw(samplings())
    if sampling.ListFields():
        request.sampling.CopyFrom(sampling)
    effort = draw(_WORDS)
    if effort:
        request.reasoning.effort = effort
    request.stop_sequences.extend(draw(st.lists(_WORDS, max_size=2)))
    request.user, request.service_tier = draw(_WORDS), draw(_WORDS)
    _maybe(draw, request, "max_output_tokens", st.integers(1, 2**31 - 1))
    _maybe(draw, request, "choice_count", st.integers(1, 128))
    _maybe(draw, request, "parallel_tool_calls", st.booleans())
    _maybe(draw, request, "top_logprobs", st.integers(0, 20))
    return request


@st.composite
def samplings(draw: st.DrawFn) -> Sampling:
    """Any way to pick words."""
    sampling = Sampling()
    _maybe(draw, sampling, "temperature", st.floats(0, 1e300))
    _maybe(draw, sampling, "top_p", st.floats(0, 1))
    _maybe(draw, sampling, "top_k", st.integers(-1, 2**31 - 1))
    _maybe(draw, sampling, "frequency_penalty", st.floats(-2, 2))
    _maybe(draw, sampling, "presence_penalty", st.floats(-2, 2))
    _maybe(draw, sampling, "seed", st.integers(-(2**63), 2**63 - 1))
    return sampling


@st.composite
def tools(draw: st.DrawFn) -> Tool:
    """A function, or a tool of the server's own."""
    if draw(st.booleans()):
        kind = draw(_NAMES.filter(lambda name: name != "function"))
        block = text_of({"type": kind, **{f"x_{key}": value for key, value in draw(json_objects()).items()}})
        return Tool(native={"dialect": "openai", "json": block})
    tool = Tool(extras=draw(own_extras()))
    tool.function.name, tool.function.description = draw(_NAMES), draw(_WORDS)
    tool.function.parameters_json = draw(object_texts() | st.just(""))
    _maybe(draw, tool.function, "strict", st.booleans())
    draw_cache(draw, tool)
    return tool


def draw_cache(draw: st.DrawFn, holder: Any) -> None:
    """Perhaps a mark, with or without one of the two times to live that the dialect has words for."""
    mark = draw(st.sampled_from([None, 0, 300, 3600]))
    if mark is not None:
        holder.cache.SetInParent()
        if mark:
            holder.cache.ttl.seconds = mark


@st.composite
def asking(draw: st.DrawFn) -> Message:
    """A turn of anyone but the model and its tools."""
    roles = [content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER, content_pb2.ROLE_USER]
    message = Message(role=draw(st.sampled_from(roles)), name=draw(_WORDS), extras=draw(own_extras()))
    message.parts.extend(draw(st.lists(st.one_of(texts(), media(), blocks()), min_size=1, max_size=3)))
    return message


@st.composite
def answering(draw: st.DrawFn) -> Message:
    """A turn of the model: reasoning, content, refusal, images and calls, in the order that the dialect reads them."""
    message = Message(role=content_pb2.ROLE_ASSISTANT, name=draw(_WORDS), extras=draw(own_extras()))
    if draw(st.booleans()):
        part = message.parts.add()
        part.reasoning.text = draw(_WORDS)
        if draw(st.booleans()):
            part.extras["openai"] = text_of({"reasoning_details": [{"type": "reasoning.text", **draw(json_objects())}]})
            part.reasoning.text = part.reasoning.text or "why"
    message.parts.extend(draw(st.lists(st.one_of(texts(), media(_OTHERS), blocks()), max_size=2)))
    if draw(st.booleans()):
        message.parts.add().refusal = draw(_NAMES)
    message.parts.extend(draw(st.lists(media(_IMAGES), max_size=2)))
    message.parts.extend(draw(st.lists(calls(), max_size=2)))
    return message


@st.composite
def resulting(draw: st.DrawFn) -> Message:
    """What one tool call returned."""
    message = Message(role=content_pb2.ROLE_TOOL, extras=draw(own_extras()))
    result = message.parts.add().tool_result
    result.tool_call_id, result.name = draw(_NAMES), draw(_WORDS)
    result.parts.extend(draw(st.lists(st.one_of(texts(), media()), min_size=1, max_size=2)))
    return message


@st.composite
def texts(draw: st.DrawFn) -> Part:
    """A text."""
    part = Part(text=draw(_WORDS), extras=draw(own_extras()))
    draw_cache(draw, part)
    return part


@st.composite
def media(draw: st.DrawFn, kinds: Sequence[str] = _IMAGES + _OTHERS) -> Part:
    """An image, a video, a sound or a document, as the dialect addresses it."""
    part = Part(extras=draw(own_extras()))
    draw_cache(draw, part)
    data = draw(st.sampled_from(["", "aGk=", "AAAA"]))
    kind = draw(st.sampled_from(kinds))
    match kind:
        case "image/*" | "video/*":
            part.media.media_type, part.media.uri = kind, f"https://a/{draw(_WORDS)}"
        case "file":
            part.media.media_type, part.media.file_id = "application/octet-stream", draw(_NAMES)
        case _:
            part.media.media_type, part.media.uri = kind, f"data:{kind};base64,{data}"
    if kind in ("file", "application/pdf"):
        part.media.filename = draw(_WORDS)
    return part


@st.composite
def blocks(draw: st.DrawFn) -> Part:
    """A part of a content that the contract has no kind for."""
    kind = draw(_NAMES)
    part = Part()
    part.opaque.dialect = "openai"
    part.opaque.json = text_of({"type": f"x_{kind}", **{f"x_{key}": v for key, v in draw(json_objects()).items()}})
    return part


@st.composite
def calls(draw: st.DrawFn) -> Part:
    """A tool call."""
    part = Part(extras=draw(own_extras()))
    part.tool_call.id, part.tool_call.name = draw(_NAMES), draw(_NAMES)
    part.tool_call.arguments_json = draw(object_texts() | _WORDS)
    return part


@st.composite
def token_logprobs(draw: st.DrawFn, depth: int = 1) -> TokenLogprob:
    """The log probability of a token."""
    out = TokenLogprob(token=draw(_WORDS), logprob=draw(st.floats(-9999, 0)), raw=draw(st.binary(max_size=3)))
    if depth:
        out.top.extend(draw(st.lists(token_logprobs(depth=0), max_size=2)))
    return out


@st.composite
def responses(draw: st.DrawFn) -> ChatResponse:
    """Any answer within the dialect's reach."""
    response = ChatResponse(id=draw(_WORDS), model=draw(_WORDS), extras=draw(own_extras()))
    response.service_tier = draw(_WORDS)
    response.create_time.seconds = draw(st.integers(0, 2**33))
    for index in range(draw(st.integers(1, 2))):
        response.choices.append(draw(choices(index)))
    if draw(st.booleans()):
        response.usage.CopyFrom(draw(usages()))
    return response


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """What an answer used: every server tells both sums."""
    usage = Usage(input_tokens=draw(_COUNTS), output_tokens=draw(_COUNTS), extras=draw(own_extras()))
    _maybe(draw, usage, "cached_input_tokens", st.integers(0, usage.input_tokens))
    _maybe(draw, usage, "cache_write_input_tokens", _COUNTS)
    _maybe(draw, usage, "reasoning_output_tokens", st.integers(0, usage.output_tokens))
    return usage


@st.composite
def choices(draw: st.DrawFn, index: int) -> Choice:
    """One answer: at most one text, as the format joins several."""
    choice = Choice(index=index, extras=draw(own_extras()))
    message = choice.message
    message.role = content_pb2.ROLE_ASSISTANT
    for name, value in draw(own_extras()).items():
        message.extras[name] = value
    if draw(st.booleans()):
        part = message.parts.add()
        part.reasoning.text = draw(_NAMES)
        for name, value in draw(foreign_extras().filter(lambda extras: len(extras) < 2)).items():
            part.extras[name] = value
    if draw(st.booleans()):
        part = message.parts.add()
        part.text = draw(_NAMES)
        part.logprobs.extend(draw(st.lists(token_logprobs(), max_size=2)))
        for name, value in draw(foreign_extras()).items():
            part.extras[name] = value
    if draw(st.booleans()):
        part = message.parts.add()
        part.refusal = draw(_NAMES)
        part.logprobs.extend(draw(st.lists(token_logprobs(), max_size=2)))
    called = draw(st.lists(calls(), max_size=2, unique_by=lambda part: part.tool_call.id))
    for part in called:
        for name, value in draw(foreign_extras()).items():
            part.extras[name] = value
    message.parts.extend(called)
    reasons = [
        chat_pb2.FINISH_REASON_TOOL_CALLS if called else chat_pb2.FINISH_REASON_STOP,
        chat_pb2.FINISH_REASON_LENGTH,
        chat_pb2.FINISH_REASON_CONTENT_FILTER,
    ]
    native = draw(_NAMES.filter(lambda word: word != "function_call"))
    choice.finish.CopyFrom(Finish(reason=draw(st.sampled_from(reasons)), native_reason=native))
    return choice


def _maybe(draw: st.DrawFn, holder: Any, field: str, values: st.SearchStrategy[Any]) -> None:
    if draw(st.booleans()):
        setattr(holder, field, draw(values))
