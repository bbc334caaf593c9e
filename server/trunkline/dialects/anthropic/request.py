"""The request of the Messages API."""

from __future__ import annotations

from typing import Final

from trunkline.call import Loss, LossKind
from trunkline.dialects.anthropic.conversation import Conversation, decode_plain_turn, decode_system, decode_turn
from trunkline.dialects.anthropic.dialect import DIALECT
from trunkline.dialects.anthropic.profile import Profile, Writing
from trunkline.dialects.anthropic.reasoning import decode_reasoning, encode_reasoning
from trunkline.dialects.anthropic.schema import fit_schema
from trunkline.dialects.anthropic.tools import TOOLS, decode_tool_choice, encode_tools
from trunkline.dialects.drawn import shown
from trunkline.dialects.foreign import foreign_losses
from trunkline.dialects.turn import turns_of
from trunkline.dialects.wire import Json, Object, loads, restore, text_of
from trunkline.errors import invalid_request
from trunkline.v1.chat_pb2 import ChatRequest

_DEFAULT: Final = Profile()

_TIERS: Final = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only", "priority": "auto"}
"""`ChatRequest.service_tier` -> `service_tier`."""

_LEAST_TOP_P: Final = 0.95
"""The least `top_p` that goes with thinking."""


def take_stream(wire: Object) -> bool:
    """Take out of a request what is the surface's alone: whether the answer is streamed."""
    return wire.take_bool("stream") or False


def decode_request(wire: Object) -> ChatRequest:
    """Read a request, with its model or, as on Bedrock and Vertex AI, without.

    Raises `GatewayError` (INVALID_REQUEST), naming the field. A `thread`, which lives on Anthropic's servers, is
    refused so that Anthropic's own clients go on without: see `encode_error`.
    """
    if wire.fields.get("thread") is not None:
        raise invalid_request("`thread` is not supported: send the whole conversation.", "thread")
    request = ChatRequest(model=wire.take_str("model") or "")
    if wire.fields.get("messages") is None:
        raise invalid_request("`messages` is required.", "messages")
    decode_system(wire, request)
    messages = request.messages
    for item in wire.take_objects("messages", decode_plain_turn, messages):
        decode_turn(item, messages)
    TOOLS.read(wire, request)
    decode_tool_choice(wire, request)
    decode_reasoning(wire, request)
    _decode_format(wire, request)
    _decode_sampling(wire, request)
    limit = wire.take_int("max_tokens", 0)
    if limit is not None:
        request.max_output_tokens = limit
    for index, word in enumerate(wire.take_list("stop_sequences") or ()):
        if type(word) is not str:
            raise invalid_request(f"`stop_sequences[{index}]` must be a string.", f"stop_sequences[{index}]")
        request.stop_sequences.append(word)
    metadata = wire.take_object("metadata")
    if metadata is not None:
        request.user = metadata.take_str("user_id") or ""
    tier = wire.take_str("service_tier") or ""
    request.service_tier = "default" if tier == "standard_only" else tier
    wire.keep(request.extras, DIALECT)
    return request


def _decode_format(wire: Object, request: ChatRequest) -> None:
    """Read `output_config.format`, or `output_format` as it was called at first."""
    config = wire.take_object("output_config")
    form = config.take_object("format") if config is not None else None
    if form is None:
        form = wire.take_object("output_format")
    if form is None or form.fields.get("type") != "json_schema":
        return
    form.take("type")
    schema = form.take_object("schema")
    request.response_format.json_schema.SetInParent()
    if schema is not None:
        request.response_format.json_schema.schema_json = text_of(schema.fields)
        schema.fields.clear()


def _decode_sampling(wire: Object, request: ChatRequest) -> None:
    temperature = wire.take_number("temperature", 0)
    if temperature is not None:
        request.sampling.temperature = temperature
    if wire.fields.get("top_p") == -1:
        # As -1 of `top_k`: what older clients send where they mean none.
        del wire.fields["top_p"]
    top_p = wire.take_number("top_p", 0, 1)
    if top_p is not None:
        request.sampling.top_p = top_p
    top_k = wire.take_int("top_k", -1)
    if top_k is not None:
        request.sampling.top_k = top_k


def encode_request(
    request: ChatRequest, profile: Profile = _DEFAULT, losses: list[Loss] | None = None
) -> dict[str, Json]:
    """Write a request to a model of `profile`; what it cannot take is added to `losses`.

    The model's name is written where the request has one: on Bedrock and Vertex AI it stands in the path. Raises
    `GatewayError`: UNSUPPORTED where leaving it out would change what the conversation says, INVALID_REQUEST where a
    text of the request is not the JSON that it must be.
    """
    to = Writing(profile, [] if losses is None else losses)
    turns, tools = turns_of(request), request.tools[:]
    foreign_losses(request, turns, tools, DIALECT, to.losses)
    wire: dict[str, Json] = {"model": request.model} if request.model else {}
    wire["max_tokens"] = request.max_output_tokens if request.HasField("max_output_tokens") else profile.max_tokens
    conversation = Conversation(to)
    for number, turn in enumerate(shown(turns, to.losses)):
        conversation.add(turn, number)
    conversation.write(wire)
    encode_tools(request, tools, wire, to)
    thinks = encode_reasoning(request, wire, to)
    if request.HasField("response_format"):
        _encode_format(request, wire, to)
    if request.HasField("sampling"):
        _encode_sampling(request, wire, to, thinks=thinks)
    if request.stop_sequences:
        _encode_stop(request, wire, to)
    if request.user:
        wire["metadata"] = {"user_id": request.user}
    if request.service_tier:
        _encode_tier(request.service_tier, wire, to)
    if request.choice_count > 1:
        to.lose("n")
    if request.HasField("top_logprobs"):
        to.lose("logprobs")
    if request.extras:
        restore(wire, request.extras, DIALECT)
    return wire


def _encode_format(request: ChatRequest, wire: dict[str, Json], to: Writing) -> None:
    form = request.response_format
    if form.WhichOneof("kind") != "json_schema" or not to.profile.structured or not form.json_schema.schema_json:
        to.lose("response_format")
        return
    schema, changed = fit_schema(loads(form.json_schema.schema_json))
    if changed:
        to.lose("response_format.json_schema.schema", LossKind.APPROXIMATED)
    wire.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}


def _encode_sampling(request: ChatRequest, wire: dict[str, Json], to: Writing, *, thinks: bool) -> None:
    sampling = request.sampling
    free = to.profile.sampling
    if sampling.HasField("temperature"):
        temperature = sampling.temperature
        if not free or (thinks and temperature != 1):
            if temperature != 1:
                to.lose("temperature")
        else:
            if temperature > 1:
                to.lose("temperature", LossKind.APPROXIMATED)
            wire["temperature"] = min(temperature, 1)
    if sampling.HasField("top_p"):
        doubled = "temperature" in wire and not to.profile.sampling_both
        if not free or doubled or (thinks and sampling.top_p < _LEAST_TOP_P):
            if sampling.top_p != 1:
                to.lose("top_p")
        else:
            wire["top_p"] = sampling.top_p
    if sampling.HasField("top_k"):
        if not free or thinks or sampling.top_k < 0:
            if sampling.top_k >= 0:
                to.lose("top_k")
        else:
            wire["top_k"] = sampling.top_k
    for name in ("frequency_penalty", "presence_penalty"):
        if getattr(sampling, name):
            to.lose(name)
    if sampling.HasField("seed"):
        to.lose("seed")


def _encode_stop(request: ChatRequest, wire: dict[str, Json], to: Writing) -> None:
    # The API refuses sequences that are blank.
    words = [word for word in request.stop_sequences if word and not word.isspace()]
    if len(words) < len(request.stop_sequences):
        to.lose("stop")
    if words:
        wire["stop_sequences"] = words


def _encode_tier(tier: str, wire: dict[str, Json], to: Writing) -> None:
    written = _TIERS.get(tier)
    if written is None:
        to.lose("service_tier")
        return
    wire["service_tier"] = written
