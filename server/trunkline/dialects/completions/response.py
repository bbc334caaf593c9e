"""The whole answer of Completions."""

from __future__ import annotations

from trunkline.dialects.completions.logprobs import decode_logprobs, encode_logprobs
from trunkline.dialects.completions.request import DIALECT
from trunkline.dialects.openai.finish import decode_finish, encode_finish
from trunkline.dialects.openai.response import decode_head
from trunkline.dialects.openai.usage import decode_usage, encode_usage
from trunkline.dialects.wire import Json, Object, restore
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatResponse, Choice


def decode_response(wire: Object) -> ChatResponse:
    """Read an answer. `wire` is lenient: what it holds of other shapes than the expected is kept as extras."""
    response = ChatResponse()
    decode_head(wire, response)
    for position, item in enumerate(wire.take_objects("choices")):
        _decode_choice(item, response.choices.add(), position)
    usage = wire.take_object("usage")
    if usage is not None:
        response.usage.CopyFrom(decode_usage(usage))
    wire.keep(response.extras, DIALECT)
    return response


def _decode_choice(wire: Object, choice: Choice, position: int) -> None:
    index = wire.take_int("index", 0)
    choice.index = position if index is None else index
    choice.message.role = content_pb2.ROLE_ASSISTANT
    text = wire.take_str("text")
    logprobs = list(decode_logprobs(wire.take("logprobs")))
    if text or logprobs:
        choice.message.parts.add(text=text or "", logprobs=logprobs)
    choice.finish.CopyFrom(decode_finish(wire.take_str("finish_reason") or "", calls=False))
    wire.keep(choice.extras, DIALECT)


def encode_response(response: ChatResponse) -> dict[str, Json]:
    """Write an answer as OpenAI's own description has it."""
    wire = encode_head(response)
    wire["choices"] = [_encode_choice(choice) for choice in response.choices]
    if response.HasField("usage"):
        wire["usage"] = encode_usage(response.usage)
    restore(wire, response.extras, DIALECT)
    return wire


def encode_head(response: ChatResponse) -> dict[str, Json]:
    """What an answer and each chunk of a stream begin with."""
    wire: dict[str, Json] = {
        "id": response.id,
        "object": "text_completion",
        "created": response.create_time.seconds,
        "model": response.model,
    }
    if response.provider:
        wire["provider"] = response.provider
    return wire


def _encode_choice(choice: Choice) -> dict[str, Json]:
    """Write a choice: what the model says, a refusal too, as there is no other place for it. Reasoning is beside it, as
    servers write it that tell it here at all."""
    texts: list[str] = []
    reasoning: list[str] = []
    for part in choice.message.parts:
        match part.WhichOneof("kind"):
            case "text":
                texts.append(part.text)
            case "refusal":
                texts.append(part.refusal)
            case "reasoning" if part.reasoning.text:
                reasoning.append(part.reasoning.text)
    logprobs = [item for part in choice.message.parts for item in part.logprobs]
    wire: dict[str, Json] = {
        "text": "".join(texts),
        "index": choice.index,
        "logprobs": encode_logprobs(logprobs, 0) if logprobs else None,
        "finish_reason": encode_finish(choice.finish)[0],
    }
    if reasoning:
        wire["reasoning_content"] = "".join(reasoning)
    restore(wire, choice.extras, DIALECT)
    return wire
