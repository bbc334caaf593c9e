"""The `generationConfig` of a request."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.gemini.names import camel
from trunkline.dialects.gemini.profile import Writing
from trunkline.dialects.gemini.schema import to_google, to_json_schema
from trunkline.dialects.gemini.thinking import decode_thinking, encode_thinking
from trunkline.dialects.wire import Json, Object, loads, text_of
from trunkline.errors import invalid_request
from trunkline.v1.chat_pb2 import ChatRequest, JsonSchema, Sampling

_JSON: Final = "application/json"

_SEED: Final = 2**31
"""Google's seeds have 32 bits, one of them for the sign."""


def decode_config(wire: Object, request: ChatRequest) -> None:
    """Read a `generationConfig`."""
    camel(wire.fields)
    _decode_sampling(wire, request.sampling)
    if not request.sampling.ListFields():
        request.ClearField("sampling")
    count = wire.take_int("candidateCount", 1, 128)
    if count is not None:
        request.choice_count = count
    limit = wire.take_int("maxOutputTokens", 1)
    if limit is not None:
        request.max_output_tokens = limit
    for index, word in enumerate(wire.take_list("stopSequences") or ()):
        if type(word) is not str:
            path = f"{wire.at('stopSequences')}[{index}]"
            raise invalid_request(f"`{path}` must be a string.", path)
        request.stop_sequences.append(word)
    if wire.fields.get("responseLogprobs") is True:
        wire.take("responseLogprobs")
        request.top_logprobs = wire.take_int("logprobs", 0) or 0
    _decode_format(wire, request)
    thinking = wire.take_object("thinkingConfig")
    if thinking is not None:
        decode_thinking(thinking, request.reasoning)


def _decode_sampling(wire: Object, sampling: Sampling) -> None:
    temperature = wire.take_number("temperature", 0)
    if temperature is not None:
        sampling.temperature = temperature
    top_p = wire.take_number("topP", 0, 1)
    if top_p is not None:
        sampling.top_p = top_p
    top_k = wire.take_int("topK", 0)
    if top_k is not None:
        sampling.top_k = top_k
    frequency_penalty = wire.take_number("frequencyPenalty", -2, 2)
    if frequency_penalty is not None:
        sampling.frequency_penalty = frequency_penalty
    presence_penalty = wire.take_number("presencePenalty", -2, 2)
    if presence_penalty is not None:
        sampling.presence_penalty = presence_penalty
    seed = wire.take_int("seed", -_SEED, _SEED - 1)
    if seed is not None:
        sampling.seed = seed


def _decode_format(wire: Object, request: ChatRequest) -> None:
    media_type = wire.fields.get("responseMimeType")
    if media_type == "text/plain":
        wire.take("responseMimeType")
    if media_type != _JSON:
        return
    wire.take("responseMimeType")
    if isinstance(wire.fields.get("responseJsonSchema"), dict):
        request.response_format.json_schema.schema_json = text_of(wire.take("responseJsonSchema"))
    elif isinstance(wire.fields.get("responseSchema"), dict):
        schema = to_json_schema(wire.take("responseSchema"))
        request.response_format.json_schema.schema_json = text_of(schema)
    else:
        request.response_format.json_object.SetInParent()


def encode_config(request: ChatRequest, to: Writing) -> dict[str, Json]:
    """Write a `generationConfig`; empty where nothing is asked for."""
    wire: dict[str, Json] = {}
    if request.HasField("sampling"):
        _encode_sampling(request.sampling, wire, to)
    if request.HasField("choice_count"):
        wire["candidateCount"] = request.choice_count
    if request.HasField("max_output_tokens"):
        wire["maxOutputTokens"] = request.max_output_tokens
    if request.stop_sequences:
        wire["stopSequences"] = list(request.stop_sequences)
    if request.HasField("top_logprobs"):
        wire["responseLogprobs"] = True
        if request.top_logprobs:
            wire["logprobs"] = request.top_logprobs
    match request.response_format.WhichOneof("kind"):
        case "json_object":
            wire["responseMimeType"] = _JSON
        case "json_schema":
            wire["responseMimeType"] = _JSON
            _encode_schema(request.response_format.json_schema, wire)
        case None:
            pass
    if request.HasField("reasoning"):
        thinking = encode_thinking(request.reasoning, to)
        if thinking:
            wire["thinkingConfig"] = thinking
    return wire


def _encode_sampling(sampling: Sampling, wire: dict[str, Json], to: Writing) -> None:
    if sampling.HasField("temperature"):
        wire["temperature"] = sampling.temperature
    if sampling.HasField("top_p"):
        wire["topP"] = sampling.top_p
    if sampling.HasField("top_k"):
        if sampling.top_k >= 0:
            wire["topK"] = sampling.top_k
        else:
            to.lose("top_k")
    if sampling.HasField("frequency_penalty"):
        wire["frequencyPenalty"] = sampling.frequency_penalty
    if sampling.HasField("presence_penalty"):
        wire["presencePenalty"] = sampling.presence_penalty
    if sampling.HasField("seed"):
        if -_SEED <= sampling.seed < _SEED:
            wire["seed"] = sampling.seed
        else:
            to.lose("seed")


def _encode_schema(form: JsonSchema, wire: dict[str, Json]) -> None:
    """Write the schema in the field that can say it. Its name is the gateway's callers' alone."""
    text, path = form.schema_json, "response_format.json_schema.schema_json"
    if not text:
        return
    if form.description:
        fields = loads(text)
        if isinstance(fields, dict) and "description" not in fields:
            text = text_of({"description": form.description, **fields})
    schema = to_google(text, path, ordered=True)
    wire["responseSchema" if schema.is_google else "responseJsonSchema"] = schema.text
