"""The request."""

from __future__ import annotations

from typing import Final

from trunkline.call import Loss
from trunkline.dialects.drawn import shown
from trunkline.dialects.foreign import foreign_losses
from trunkline.dialects.responses.extras import DIALECT, ITEM, keep, own
from trunkline.dialects.responses.items import encode_messages
from trunkline.dialects.responses.reasoning import decode_config, encode_config
from trunkline.dialects.responses.tools import TOOLS, decode_choice, encode_choice, encode_tools
from trunkline.dialects.responses.turns import Turns
from trunkline.dialects.responses.writing import Writing
from trunkline.dialects.turn import turns_of
from trunkline.dialects.wire import Json, Object, raw, restore, text_of
from trunkline.errors import invalid_request
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Sampling
from trunkline.v1.content_pb2 import Message

LOGPROBS: Final = "message.output_text.logprobs"
"""What `include` names to have log probabilities."""

STATEFUL: Final = ("previous_response_id", "conversation")
"""The keys that go on from what the provider keeps."""

_UNKNOWN: Final = ("top_k", "frequency_penalty", "presence_penalty", "seed")
"""Fields of `Sampling` that the API does not have."""

_INSTRUCTIONS: Final = {"type": "instructions"}
"""What tells the operator's message that stands in `instructions` from those among the items."""


def take_stream(wire: Object) -> bool:
    """Take out of a request what is the surface's alone: whether the answer is streamed."""
    stream = wire.take_bool("stream") or False
    options = wire.take_object("stream_options")
    if options is not None:
        options.take_bool("include_obfuscation")
        if not options.rest():
            wire.take("stream_options")
    return stream


def decode_request(wire: Object) -> ChatRequest:
    """Read a request. Raises `GatewayError` (INVALID_REQUEST), naming the field."""
    request = ChatRequest(model=wire.need_str("model"))
    _decode_input(wire, request)
    TOOLS.read(wire, request)
    decode_choice(wire, request)
    _decode_format(wire, request)
    temperature = wire.take_number("temperature", 0)
    if temperature is not None:
        request.sampling.temperature = temperature
    top_p = wire.take_number("top_p", 0, 1)
    if top_p is not None:
        request.sampling.top_p = top_p
    reasoning = wire.take_object("reasoning")
    if reasoning is not None:
        decode_config(reasoning, request.reasoning)
        if not request.reasoning.ListFields():
            request.ClearField("reasoning")
    limit = wire.take_int("max_output_tokens", 1)
    if limit is not None:
        request.max_output_tokens = limit
    parallel = wire.take_bool("parallel_tool_calls")
    if parallel is not None:
        request.parallel_tool_calls = parallel
    request.user = wire.take_str("user") or ""
    request.service_tier = wire.take_str("service_tier") or ""
    _decode_logprobs(wire, request)
    keep(wire, request.extras)
    return request


def _decode_input(wire: Object, request: ChatRequest) -> None:
    instructions = wire.take_str("instructions")
    if instructions:
        message = request.messages.add(role=content_pb2.ROLE_SYSTEM)
        message.parts.add().text = instructions
        message.extras[DIALECT] = text_of({ITEM: _INSTRUCTIONS})
    if isinstance(wire.fields.get("input"), str):
        request.messages.add(role=content_pb2.ROLE_USER).parts.add().text = wire.take("input")
        return
    if wire.fields.get("input") is None and wire.fields.get("prompt") is None:
        raise invalid_request("`input` is required.", "input")
    stateful = any(wire.fields.get(key) is not None for key in STATEFUL)
    turns = Turns(request, stateful=stateful)
    for item in wire.take_objects("input", turns.add_plain):
        turns.add(item)
    if not (request.messages or stateful or wire.fields.get("prompt") is not None):
        raise invalid_request("`input` must hold at least one item.", "input")


def _decode_format(wire: Object, request: ChatRequest) -> None:
    text = wire.take_object("text")
    form = text.take_object("format") if text is not None else None
    if text is None or form is None:
        return
    match form.fields.get("type"):
        case "text":
            form.take("type")
        case "json_object":
            form.take("type")
            request.response_format.json_object.SetInParent()
        case "json_schema":
            form.take("type")
            schema = request.response_format.json_schema
            schema.name = form.need_str("name")
            schema.description = form.take_str("description") or ""
            fields = form.take_object("schema")
            if fields is not None:
                schema.schema_json = text_of(fields.fields)
                fields.fields = {}
            strict = form.take_bool("strict")
            if strict is not None:
                schema.strict = strict
        case str():
            pass
        case _:
            raise invalid_request(f"`{form.at('type')}` must be a string.", form.at("type"))


def _decode_logprobs(wire: Object, request: ChatRequest) -> None:
    include = wire.fields.get("include")
    if isinstance(include, list) and LOGPROBS in include:
        wire.fields["include"] = [name for name in include if name != LOGPROBS]
        if not wire.fields["include"]:
            wire.take("include")
        request.top_logprobs = wire.take_int("top_logprobs", 0) or 0


def encode_request(request: ChatRequest, losses: list[Loss] | None = None) -> dict[str, Json]:
    """Write a request; what the API cannot take is added to `losses`.

    Raises `GatewayError`: UNSUPPORTED where leaving it out would change what the conversation says, INVALID_REQUEST
    where a text of the request is not the JSON that it must be.
    """
    to = Writing([] if losses is None else losses)
    turns, tools = turns_of(request), request.tools[:]
    foreign_losses(request, turns, tools, DIALECT, to.losses)
    turns = shown(turns, to.losses)
    wire: dict[str, Json] = {"model": request.model}
    begin = 0
    if turns and _is_instructions(turns[0][0]):
        wire["instructions"] = turns[0][2][0].text
        begin = 1
    wire["input"] = encode_messages(turns, to, begin)
    written = encode_tools(tools, to)
    if written:
        wire["tools"] = written
    if request.HasField("tool_choice"):
        encode_choice(request.tool_choice, wire)
    if request.HasField("response_format"):
        _encode_format(request, wire)
    if request.HasField("sampling"):
        _encode_sampling(request.sampling, wire, to)
    if request.HasField("reasoning"):
        reasoning = encode_config(request.reasoning, to)
        if reasoning:
            wire["reasoning"] = reasoning
    if request.HasField("max_output_tokens"):
        wire["max_output_tokens"] = request.max_output_tokens
    if request.stop_sequences:
        to.lose("stop")
    if request.choice_count > 1:
        to.lose("n")
    if request.HasField("parallel_tool_calls"):
        wire["parallel_tool_calls"] = request.parallel_tool_calls
    if request.user:
        wire["user"] = request.user
    if request.service_tier:
        wire["service_tier"] = request.service_tier
    if request.top_logprobs:
        wire["top_logprobs"] = request.top_logprobs
    restore(wire, request.extras, DIALECT)
    if request.HasField("top_logprobs"):
        include(wire, LOGPROBS)
    return wire


def is_native(request: ChatRequest) -> bool:
    """Whether `request` holds what only this dialect can read."""
    if DIALECT in request.extras:
        return True
    if any(tool.HasField("native") and tool.native.dialect == DIALECT for tool in request.tools[:]):
        return True
    for message in request.messages[:]:
        for part in message.parts[:]:
            if part.extras and DIALECT in part.extras:
                return True
            if part.HasField("opaque") and part.opaque.dialect == DIALECT:
                return True
    return False


def include(wire: dict[str, Json], name: str) -> None:
    """Ask for `name` in the answer, beside what is asked for already."""
    present = wire.get("include")
    names = present if isinstance(present, list) else []
    if name not in names:
        wire["include"] = [*names, name]


def _is_instructions(message: Message) -> bool:
    return bool(message.extras) and own(message.extras).get(ITEM) == _INSTRUCTIONS and len(message.parts) == 1


def _encode_sampling(sampling: Sampling, wire: dict[str, Json], to: Writing) -> None:
    for descriptor, value in sampling.ListFields():
        if descriptor.name in _UNKNOWN:
            to.lose(descriptor.name)
        else:
            wire[descriptor.name] = value


def _encode_format(request: ChatRequest, wire: dict[str, Json]) -> None:
    form = request.response_format
    match form.WhichOneof("kind"):
        case "json_object":
            wire["text"] = {"format": {"type": "json_object"}}
        case "json_schema":
            schema: dict[str, Json] = {"type": "json_schema", "name": form.json_schema.name or "answer"}
            if form.json_schema.description:
                schema["description"] = form.json_schema.description
            schema["schema"] = (
                raw(form.json_schema.schema_json, "response_format.json_schema.schema_json")
                if form.json_schema.schema_json
                else {"type": "object"}
            )
            if form.json_schema.HasField("strict"):
                schema["strict"] = form.json_schema.strict
            wire["text"] = {"format": schema}
        case None:
            pass
