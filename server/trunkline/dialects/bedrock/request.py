"""The request of Converse and ConverseStream."""

from __future__ import annotations

from typing import Final

from trunkline.call import Loss, LossKind
from trunkline.dialects.anthropic.schema import fit_schema
from trunkline.dialects.bedrock.conversation import Conversation, decode_system, decode_turn
from trunkline.dialects.bedrock.dialect import DIALECT
from trunkline.dialects.bedrock.plain import TURN, decode_plain
from trunkline.dialects.bedrock.profile import Profile, Writing, profile_of
from trunkline.dialects.bedrock.reasoning import FIELDS, decode_reasoning, encode_reasoning
from trunkline.dialects.bedrock.tools import TOOLS, encode_tools
from trunkline.dialects.drawn import shown
from trunkline.dialects.foreign import foreign_losses
from trunkline.dialects.turn import turns_of
from trunkline.dialects.wire import Json, Object, loads, restore, text_of
from trunkline.errors import invalid_request
from trunkline.v1.chat_pb2 import ChatRequest

_DEFAULT: Final = profile_of("")

_TIERS: Final = frozenset({"default", "flex", "priority", "reserved"})

_LEAST_TOP_P: Final = 0.95
"""The least `topP` that goes with thinking."""


TEXTS: Final = ("messages", "toolConfig")
"""What `decode_request` reads straight from its text, where `known.open_request` left it that."""


def decode_request(wire: Object) -> ChatRequest:
    """Read a request, whose model stands in the path. Raises `GatewayError` (INVALID_REQUEST), naming the field."""
    request = ChatRequest()
    if wire.fields.get("messages") is None:
        raise invalid_request("`messages` is required.", "messages")
    decode_system(wire, request)
    messages = request.messages
    for item in wire.take_shaped("messages", TURN, decode_plain, messages):
        decode_turn(item, messages)
    TOOLS.read(wire, request)
    decode_reasoning(wire, request)
    _decode_format(wire, request)
    _decode_inference(wire, request)
    tier = wire.take_object("serviceTier")
    if tier is not None:
        request.service_tier = tier.take_str("type") or ""
    wire.keep(request.extras, DIALECT)
    return request


def _decode_format(wire: Object, request: ChatRequest) -> None:
    config = wire.take_object("outputConfig")
    form = config.take_object("textFormat") if config is not None else None
    structure = form.take_object("structure") if form is not None else None
    if form is None or structure is None or form.fields.get("type") != "json_schema":
        return
    schema = structure.take_object("jsonSchema")
    if schema is None:
        return
    form.take("type")
    target = request.response_format.json_schema
    target.schema_json = schema.need_str("schema")
    target.name = schema.take_str("name") or ""
    target.description = schema.take_str("description") or ""


def _decode_inference(wire: Object, request: ChatRequest) -> None:
    config = wire.take_object("inferenceConfig")
    if config is not None:
        limit = config.take_int("maxTokens", 0)
        if limit is not None:
            request.max_output_tokens = limit
        temperature = config.take_number("temperature", 0)
        if temperature is not None:
            request.sampling.temperature = temperature
        top_p = config.take_number("topP", 0, 1)
        if top_p is not None:
            request.sampling.top_p = top_p
        for index, word in enumerate(config.take_list("stopSequences") or ()):
            if type(word) is not str:
                path = f"{config.at('stopSequences')}[{index}]"
                raise invalid_request(f"`{path}` must be a string.", path)
            request.stop_sequences.append(word)
    fields = wire.take_object(FIELDS)
    top_k = fields.take_int("top_k", 0) if fields is not None else None
    if top_k is not None:
        request.sampling.top_k = top_k


def encode_request(
    request: ChatRequest, profile: Profile = _DEFAULT, losses: list[Loss] | None = None
) -> dict[str, Json]:
    """Write a request to a model of `profile`, which stands in the path; what it cannot take is added to `losses`.

    Raises `GatewayError`: UNSUPPORTED where leaving it out would change what the conversation says, INVALID_REQUEST
    where a text of the request is not the JSON that it must be.
    """
    to = Writing(profile, [] if losses is None else losses)
    turns, tools = turns_of(request), request.tools[:]
    foreign_losses(request, turns, tools, DIALECT, to.losses)
    wire: dict[str, Json] = {}
    conversation = Conversation(to)
    for number, turn in enumerate(shown(turns, to.losses)):
        conversation.add(turn, number)
    conversation.write(wire)
    encode_tools(request, tools, conversation.tools, wire, to)
    thinks = encode_reasoning(request, wire, to)
    if request.HasField("response_format"):
        _encode_format(request, wire, to)
    _encode_inference(request, wire, to, thinks=thinks)
    if request.service_tier in _TIERS:
        wire["serviceTier"] = {"type": request.service_tier}
    elif request.service_tier not in ("", "auto"):
        to.lose("service_tier")
    if request.user:
        to.lose("user")
    if request.choice_count > 1:
        to.lose("n")
    if request.HasField("top_logprobs"):
        to.lose("logprobs")
    if request.extras:
        restore(wire, request.extras, DIALECT)
    return wire


def ask_for_stop_sequence(wire: dict[str, Json], profile: Profile, *, stream: bool) -> None:
    """Have the answer tell which stop sequence was met, where there are any: only Anthropic's models know."""
    config = wire.get("inferenceConfig")
    if profile.claude is not None and type(config) is dict and config.get("stopSequences"):
        wire.setdefault("additionalModelResponseFieldPaths", ["/delta/stop_sequence" if stream else "/stop_sequence"])


def _encode_format(request: ChatRequest, wire: dict[str, Json], to: Writing) -> None:
    form = request.response_format
    if form.WhichOneof("kind") != "json_schema" or not to.profile.structured or not form.json_schema.schema_json:
        to.lose("response_format")
        return
    schema = loads(form.json_schema.schema_json)
    fitted, changed = fit_schema(schema)
    if changed:
        to.lose("response_format.json_schema.schema", LossKind.APPROXIMATED)
    written = {"schema": form.json_schema.schema_json if fitted == schema else text_of(fitted)}
    if form.json_schema.name:
        written["name"] = form.json_schema.name
    if form.json_schema.description:
        written["description"] = form.json_schema.description
    wire.setdefault("outputConfig", {})["textFormat"] = {
        "type": "json_schema",
        "structure": {"jsonSchema": written},
    }


def _encode_inference(request: ChatRequest, wire: dict[str, Json], to: Writing, *, thinks: bool) -> None:
    config: dict[str, Json] = wire.pop("inferenceConfig", {})
    if request.HasField("max_output_tokens"):
        config["maxTokens"] = request.max_output_tokens
    if request.HasField("sampling"):
        _encode_sampling(request, config, wire, to, thinks=thinks)
    # The API refuses sequences that are blank.
    words = [word for word in request.stop_sequences if word and not word.isspace()]
    if len(words) < len(request.stop_sequences):
        to.lose("stop")
    if words:
        config["stopSequences"] = words
    if config:
        wire["inferenceConfig"] = config


def _encode_sampling(
    request: ChatRequest, config: dict[str, Json], wire: dict[str, Json], to: Writing, *, thinks: bool
) -> None:
    sampling = request.sampling
    claude = to.profile.claude
    free = claude is None or claude.sampling
    if sampling.HasField("temperature"):
        temperature = sampling.temperature
        if not free or (thinks and temperature != 1):
            if temperature != 1:
                to.lose("temperature")
        else:
            if temperature > 1:
                to.lose("temperature", LossKind.APPROXIMATED)
            config["temperature"] = min(temperature, 1)
    if sampling.HasField("top_p"):
        doubled = "temperature" in config and claude is not None and not claude.sampling_both
        if not free or doubled or (thinks and sampling.top_p < _LEAST_TOP_P):
            if sampling.top_p != 1:
                to.lose("top_p")
        else:
            config["topP"] = sampling.top_p
    if sampling.HasField("top_k") and sampling.top_k >= 0:
        path = to.profile.top_k
        if path is None or not free or thinks:
            to.lose("top_k")
        else:
            place = wire.setdefault(FIELDS, {})
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = sampling.top_k
    for name in ("frequency_penalty", "presence_penalty"):
        if getattr(sampling, name):
            to.lose(name)
    if sampling.HasField("seed"):
        to.lose("seed")
