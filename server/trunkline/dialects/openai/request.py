"""The request of Chat Completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from trunkline.call import Loss
from trunkline.dialects.custom import CUSTOM, RESPONSES
from trunkline.dialects.drawn import shown
from trunkline.dialects.foreign import foreign_losses
from trunkline.dialects.known import ToolReader, ToolWriter
from trunkline.dialects.openai.content import DIALECT, encode_cache, name_of, take_cache
from trunkline.dialects.openai.effort import WRITTEN, decode_effort, drop_other_forms, encode_effort
from trunkline.dialects.openai.message import decode_message, encode_message
from trunkline.dialects.openai.plain import decode_plain_message, decode_plain_tool
from trunkline.dialects.openai.profile import Profile, Writing
from trunkline.dialects.turn import turns_of
from trunkline.dialects.wire import Json, Object, loads, own_keys, raw, restore, text_of
from trunkline.errors import GatewayError, invalid_request
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ResponseFormat, Sampling, Tool, ToolChoice

_MODES: Final[dict[str, ToolChoice.Mode.ValueType]] = {
    "auto": chat_pb2.ToolChoice.MODE_AUTO,
    "none": chat_pb2.ToolChoice.MODE_NONE,
    "required": chat_pb2.ToolChoice.MODE_REQUIRED,
}
_MODE_NAMES: Final[dict[int, str]] = {mode: name for name, mode in _MODES.items()}
_ANY: Final = "any"
"""Mistral's word for `required`."""

_DEFAULT: Final = Profile()


class StreamOptions(NamedTuple):
    """Whether the answer is streamed, and whether its last chunk tells the usage."""

    stream: bool
    include_usage: bool


def take_stream(wire: Object) -> StreamOptions:
    """Take out of a request what is the surface's alone."""
    stream = wire.take_bool("stream") or False
    options = wire.take_object("stream_options")
    include_usage = (options.take_bool("include_usage") if options is not None else None) or False
    if options is not None and not options.rest():
        wire.take("stream_options")
    return StreamOptions(stream, include_usage)


def decode_request(wire: Object) -> ChatRequest:
    """Read a request. Raises `GatewayError` (INVALID_REQUEST), naming the field."""
    request = ChatRequest(model=wire.need_str("model"))
    if wire.fields.get("messages") is None:
        raise invalid_request("`messages` is required.", "messages")
    messages = request.messages
    for item in wire.take_objects("messages", decode_plain_message, messages):
        decode_message(item, messages.add())
    _READER.read(wire, request)
    _decode_tool_choice(wire, request)
    _decode_response_format(wire, request)
    decode_sampling(wire, request.sampling)
    if not request.sampling.ListFields():
        request.ClearField("sampling")
    decode_effort(wire, request.reasoning)
    if not request.reasoning.ListFields():
        request.ClearField("reasoning")
    limit = wire.take_int("max_completion_tokens", 1)
    if limit is None:
        limit = wire.take_int("max_tokens", 1)
    if limit is not None:
        request.max_output_tokens = limit
    decode_stop(wire, request)
    count = wire.take_int("n", 1, 128)
    if count is not None:
        request.choice_count = count
    parallel = wire.take_bool("parallel_tool_calls")
    if parallel is not None:
        request.parallel_tool_calls = parallel
    request.user = wire.take_str("user") or ""
    request.service_tier = wire.take_str("service_tier") or ""
    _decode_logprobs(wire, request)
    wire.keep(request.extras, DIALECT)
    return request


def decode_sampling(wire: Object, sampling: Sampling) -> None:
    """Take how the model is to pick its words."""
    temperature = wire.take_number("temperature", 0)
    if temperature is not None:
        sampling.temperature = temperature
    top_p = wire.take_number("top_p", 0, 1)
    if top_p is not None:
        sampling.top_p = top_p
    top_k = wire.take_int("top_k", -1)
    if top_k is not None:
        sampling.top_k = top_k
    frequency_penalty = wire.take_number("frequency_penalty", -2, 2)
    if frequency_penalty is not None:
        sampling.frequency_penalty = frequency_penalty
    presence_penalty = wire.take_number("presence_penalty", -2, 2)
    if presence_penalty is not None:
        sampling.presence_penalty = presence_penalty
    seed = wire.take_int("seed", -(2**63), 2**63 - 1)
    if seed is not None:
        sampling.seed = seed


def _decode_tools(wire: Object, request: ChatRequest) -> None:
    tools = request.tools
    for item in wire.take_objects("tools", decode_plain_tool, tools):
        _decode_tool(item, tools.add())


_READER: Final = ToolReader(_decode_tools)
_WRITER: Final = ToolWriter(strict=True)


def _decode_tool(wire: Object, tool: Tool) -> None:
    kind = wire.fields.get("type")
    if kind != "function" and not (kind is None and "function" in wire.fields):  # Mistral's own client leaves it out
        wire.check_str("type")
        flat = kind == CUSTOM and CUSTOM not in wire.fields and "name" in wire.fields
        tool.native.dialect = RESPONSES if flat else DIALECT
        tool.native.json = text_of(wire.fields)
        return
    wire.take("type")
    inner = wire.take_object("function")
    if inner is None and "name" in wire.fields:
        # Cursor mixes tools in the flat form of Responses with those of chat.
        inner = wire
    if inner is None:
        raise invalid_request(f"`{wire.at('function')}` is required.", wire.at("function"))
    function = tool.function
    function.name = inner.need_str("name")
    description = inner.take_str("description")
    if description:
        function.description = description
    parameters = inner.take_dict("parameters")
    if parameters is not None:
        function.parameters_json = text_of(parameters)
    strict = inner.take_bool("strict")
    if strict is not None:
        function.strict = strict
    if "cache_control" in wire.fields:
        take_cache(wire, tool.cache)
    wire.keep(tool.extras, DIALECT)


def _decode_tool_choice(wire: Object, request: ChatRequest) -> None:
    choice = wire.fields.get("tool_choice")
    if choice == _ANY:
        choice = "required"
    if type(choice) is str and choice in _MODES:
        del wire.fields["tool_choice"]
        request.tool_choice.mode = _MODES[choice]
    elif isinstance(choice, dict) and choice.get("type", "function") == "function":
        named = wire.take_object("tool_choice")
        function = named.take_object("function") if named is not None and "name" not in named.fields else named
        if named is None or function is None:
            raise invalid_request("`tool_choice.function` is required.", "tool_choice.function")
        named.take("type")
        request.tool_choice.name = function.need_str("name")
    elif choice is not None and not isinstance(choice, dict):
        names = ", ".join(f"`{name}`" for name in _MODES)
        raise invalid_request(f"`tool_choice` must be one of {names} or an object.", "tool_choice")


def _decode_response_format(wire: Object, request: ChatRequest) -> None:
    form = wire.fields.get("response_format")
    if not isinstance(form, dict):
        wire.take_object("response_format")
        return
    kind = form.get("type")
    if kind == "text":
        form.pop("type")
        wire.take_object("response_format")
        request.response_format.SetInParent()
    elif kind == "json_object":
        form.pop("type")
        wire.take_object("response_format")
        request.response_format.json_object.SetInParent()
    elif kind == "json_schema":
        outer = wire.take_object("response_format")
        inner = outer.take_object("json_schema") if outer is not None else None
        if outer is None or inner is None:
            raise invalid_request("`response_format.json_schema` is required.", "response_format.json_schema")
        outer.take("type")
        schema = request.response_format.json_schema
        schema.name = inner.take_str("name") or ""
        schema.description = inner.take_str("description") or ""
        fields = inner.take_object("schema")
        if fields is not None:
            schema.schema_json = text_of(fields.fields)
            fields.fields = {}
        strict = inner.take_bool("strict")
        if strict is not None:
            schema.strict = strict
    elif type(kind) is not str:
        raise invalid_request("`response_format.type` must be a string.", "response_format.type")


def decode_stop(wire: Object, request: ChatRequest) -> None:
    """Take the texts that end the answer: one, or an array of them."""
    if type(wire.fields.get("stop")) is str:
        request.stop_sequences.append(wire.take("stop"))
        return
    for index, word in enumerate(wire.take_list("stop") or ()):
        if type(word) is not str:
            raise invalid_request(f"`stop[{index}]` must be a string.", f"stop[{index}]")
        request.stop_sequences.append(word)


def _decode_logprobs(wire: Object, request: ChatRequest) -> None:
    wanted = wire.fields.get("logprobs")
    if wanted is True:
        wire.take("logprobs")
        request.top_logprobs = wire.take_int("top_logprobs", 0) or 0
    elif wanted is False and wire.fields.get("top_logprobs") is None:
        wire.take("logprobs")
        wire.take("top_logprobs")
    elif type(wanted) not in (type(None), bool, int):  # Together and Fireworks take the number itself: it is kept
        wire.take_bool("logprobs")


def encode_request(
    request: ChatRequest, profile: Profile = _DEFAULT, losses: list[Loss] | None = None
) -> dict[str, Json]:
    """Write a request for a server of `profile`; what it cannot take is added to `losses`.

    Raises `GatewayError`: UNSUPPORTED where leaving it out would change what the conversation says, INVALID_REQUEST
    where a text of the request is not the JSON that it must be.
    """
    to = Writing(profile, [] if losses is None else losses)
    turns, tools = turns_of(request), request.tools[:]
    foreign_losses(request, turns, tools, DIALECT, to.losses)
    messages: list[Json] = []
    for number, turn in enumerate(turns if profile.images else shown(turns, to.losses)):
        encode_message(turn, messages, to, number)
    wire: dict[str, Json] = {"model": request.model, "messages": messages}
    written = _encode_tools(tools, to)
    if written:
        wire["tools"] = written
    if request.HasField("tool_choice") and (written or not tools):
        _encode_tool_choice(request.tool_choice, wire)
    if request.HasField("response_format"):
        _encode_response_format(request.response_format, wire)
    if request.HasField("sampling"):
        sampling = request.sampling
        for descriptor, value in sampling.ListFields():
            _put(wire, descriptor.name, value, to)
    if request.HasField("reasoning"):
        encode_effort(request.reasoning, wire, to, WRITTEN.intersection(own_keys(request.extras, DIALECT)))
    if request.HasField("max_output_tokens"):
        wire[profile.max_tokens] = request.max_output_tokens
    if request.stop_sequences:
        _put(wire, "stop", list(request.stop_sequences), to)
    if request.HasField("choice_count"):
        _put(wire, "n", request.choice_count, to)
    if request.HasField("parallel_tool_calls"):
        _put(wire, "parallel_tool_calls", request.parallel_tool_calls, to)
    if request.user:
        _put(wire, "user", request.user, to)
    if request.service_tier:
        _put(wire, "service_tier", request.service_tier, to)
    if request.HasField("top_logprobs"):
        _put(wire, "logprobs", True, to)
        if request.top_logprobs:
            _put(wire, "top_logprobs", request.top_logprobs, to)
    if request.extras:
        restore(wire, request.extras, DIALECT)
        drop_other_forms(wire, to)
    for name in profile.unsupported & wire.keys():
        del wire[name]
        to.lose(name)
    return wire


def _put(wire: dict[str, Json], name: str, value: Json, to: Writing) -> None:
    if name in to.profile.unsupported:
        to.lose(name)
    else:
        wire[name] = value


def _encode_tools(tools: Sequence[Tool], to: Writing) -> list[Json]:
    written: list[Json] = []
    for number, tool in enumerate(tools):
        key, one = _WRITER.find(tool)
        if one is None:
            one = _encode_tool(tool, to, number)
            if one is None:
                continue
            one = _WRITER.put(key, tool, one)
        written.append(one)
    return written


def _encode_tool(tool: Tool, to: Writing, number: int) -> Json:
    """Write one tool; None for one that only another's provider runs, which is left out, and noted."""
    if tool.HasField("native"):
        if tool.native.dialect != DIALECT:
            to.lose(f"tools[{number}].{name_of(tool.native)}")
            return None
        return _native(tool.native.json, f"tools[{number}].native.json")
    function = tool.function
    written: dict[str, Json] = {"name": function.name}
    description, parameters = function.description, function.parameters_json
    if description:
        written["description"] = description
    if parameters:
        written["parameters"] = raw(parameters, "tools[%d].function.parameters_json", number)
    if function.HasField("strict"):
        written["strict"] = function.strict
    wire: dict[str, Json] = {"type": "function", "function": written}
    if tool.HasField("cache"):
        if to.profile.cache_control:
            wire["cache_control"] = encode_cache(tool.cache)
        else:
            to.lose("cache_control")
    if tool.extras:
        restore(wire, tool.extras, DIALECT)
    return wire


def _native(text: str, path: str) -> Json:
    try:
        value = loads(text)
    except GatewayError as error:
        raise invalid_request(error.message, path) from None
    if value is None:
        raise invalid_request(f"`{path}` must be the text of a JSON object.", path)
    return value


def _encode_tool_choice(choice: ToolChoice, wire: dict[str, Json]) -> None:
    if choice.WhichOneof("choice") == "name":
        wire["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice.mode in _MODE_NAMES:
        wire["tool_choice"] = _MODE_NAMES[choice.mode]


def _encode_response_format(form: ResponseFormat, wire: dict[str, Json]) -> None:
    match form.WhichOneof("kind"):
        case "json_object":
            wire["response_format"] = {"type": "json_object"}
        case "json_schema":
            schema: dict[str, Json] = {"name": form.json_schema.name or "answer"}
            if form.json_schema.description:
                schema["description"] = form.json_schema.description
            if form.json_schema.schema_json:
                schema["schema"] = raw(form.json_schema.schema_json, "response_format.json_schema.schema_json")
            if form.json_schema.HasField("strict"):
                schema["strict"] = form.json_schema.strict
            wire["response_format"] = {"type": "json_schema", "json_schema": schema}
        case None:
            wire["response_format"] = {"type": "text"}
