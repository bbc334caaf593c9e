"""The whole answer of Chat Completions."""

from __future__ import annotations

import hashlib

from trunkline.dialects.openai.calls import encode_answered_call, encode_function
from trunkline.dialects.openai.citations import (
    cite,
    decode_sources,
    encode_annotations,
    put_annotations,
    take_annotations,
)
from trunkline.dialects.openai.content import DIALECT, encode_opaque, encode_references
from trunkline.dialects.openai.errors import decode_error
from trunkline.dialects.openai.extra_content import put_block, put_foreign
from trunkline.dialects.openai.finish import decode_finish, put_finish, take_stop_sequence
from trunkline.dialects.openai.images import IMAGES, encode_drawn
from trunkline.dialects.openai.logprobs import decode_logprobs, encode_logprobs
from trunkline.dialects.openai.message import decode_assistant
from trunkline.dialects.openai.reasoning import encode_details, told_in_details
from trunkline.dialects.openai.usage import decode_usage, encode_usage
from trunkline.dialects.tiers import openai_tier
from trunkline.dialects.wire import Json, Object, dumps, restore
from trunkline.errors import GatewayError
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatResponse, Choice
from trunkline.v1.content_pb2 import Message

_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")


def decode_response(wire: Object) -> ChatResponse:
    """Read an answer. `wire` is lenient: what it holds of other shapes than the expected is kept as extras."""
    response = ChatResponse()
    decode_head(wire, response)
    for position, item in enumerate(wire.take_objects("choices")):
        _decode_choice(item, response.choices.add(), position, response.id)
    usage = wire.take_object("usage")
    if usage is not None:
        response.usage.CopyFrom(decode_usage(usage))
    sources = decode_sources(wire.fields)
    if sources:
        for choice in response.choices:
            cite(choice.message, sources)
    wire.keep(response.extras, DIALECT)
    return response


def decode_head(wire: Object, response: ChatResponse) -> None:
    """Read what an answer and each chunk of a stream begin with."""
    wire.take_str("object")
    response.id = wire.take_str("id") or ""
    response.model = wire.take_str("model") or ""
    created = wire.take_number("created", 0, 253402300799)
    if created is not None:
        response.create_time.seconds = int(created)
    response.service_tier = wire.take_str("service_tier") or ""


def _decode_choice(wire: Object, choice: Choice, position: int, response_id: str) -> None:
    index = wire.take_int("index", 0)
    choice.index = position if index is None else index
    choice.message.role = content_pb2.ROLE_ASSISTANT
    message = wire.take_object("message")
    if message is not None:
        wire.take("delta")  # Perplexity's, which says the same again, or nothing
        name_calls(message.fields.get("tool_calls"), response_id, choice.index)
        _decode_answer(message, choice.message)
    _decode_choice_logprobs(wire, choice.message)
    word = wire.take_str("finish_reason")
    native = wire.take_str("native_finish_reason")
    if word == "error":
        raise failed_choice(wire)
    calls = any(part.WhichOneof("kind") == "tool_call" for part in choice.message.parts)
    choice.finish.CopyFrom(decode_finish(word or "", native=native, calls=calls, met=take_stop_sequence(wire)))
    wire.keep(choice.extras, DIALECT)


def _decode_answer(wire: Object, message: Message) -> None:
    """Read the message of a choice. An empty text is no part: servers write one beside tool calls."""
    wire.take_str("role")
    for key in _TEXTS:
        if wire.fields.get(key, "") in ("", None):
            wire.take(key)
    if wire.fields.get("reasoning_details") and not wire.fields.keys() & {"reasoning", "reasoning_content"}:
        wire.fields["reasoning"] = told_in_details(wire.fields["reasoning_details"]) or None
    decode_assistant(wire, message)
    take_annotations(wire, message.parts)
    wire.keep(message.extras, DIALECT)


def failed_choice(wire: Object) -> GatewayError:
    """Why a choice ended with the reason `error`, as Mistral and OpenRouter say."""
    told = wire.take("error") or "The provider ended the answer with an error."
    return decode_error(200, {}, dumps({"error": told}))


def name_calls(calls: Json, response_id: str, choice: int) -> None:
    """Give an id to each call that its server gave none: a result could not name it otherwise.

    The one call of the older form, `function_call`, stays without: its result is told by the function's name.
    """
    for position, call in enumerate(calls if isinstance(calls, list) else ()):
        if isinstance(call, dict) and not call.get("id"):
            call["id"] = call_id(response_id, choice, position)


def call_id(response_id: str, choice: int, position: int) -> str:
    """An id for a tool call that has none: the same for the same call, and another for any other."""
    digest = hashlib.sha256(f"{response_id}/{choice}/{position}".encode()).hexdigest()
    return f"call_{digest[:24]}"


def _decode_choice_logprobs(wire: Object, message: Message) -> None:
    logprobs = wire.take_object("logprobs")
    if logprobs is None:
        return
    for part in message.parts:
        kind = part.WhichOneof("kind")
        if kind == "text" and "content" in logprobs.fields:
            part.logprobs.extend(decode_logprobs(logprobs.take("content")))
        elif kind == "refusal" and "refusal" in logprobs.fields:
            part.logprobs.extend(decode_logprobs(logprobs.take("refusal")))
    for key in [key for key, value in logprobs.fields.items() if not value]:
        logprobs.take(key)


def encode_response(response: ChatResponse) -> dict[str, Json]:
    """Write an answer as OpenAI's own description has it, with every field that it requires."""
    wire: dict[str, Json] = {
        "id": response.id,
        "object": "chat.completion",
        "created": response.create_time.seconds,
        "model": response.model,
        "choices": [_encode_choice(choice) for choice in response.choices],
    }
    if response.HasField("usage"):
        wire["usage"] = encode_usage(response.usage)
    if response.provider:
        wire["provider"] = response.provider
    if response.service_tier:
        wire["service_tier"] = openai_tier(response.service_tier)
    restore(wire, response.extras, DIALECT)
    return wire


def _encode_choice(choice: Choice) -> dict[str, Json]:
    wire: dict[str, Json] = {
        "index": choice.index,
        "message": _encode_answer(choice.message),
    }
    logprobs = _encode_choice_logprobs(choice.message)
    if logprobs is not None:
        wire["logprobs"] = logprobs
    put_finish(choice.finish, wire)
    restore(wire, choice.extras, DIALECT)
    wire.setdefault("logprobs", None)
    return wire


def _encode_answer(message: Message) -> dict[str, Json]:
    """Write the message of a choice. Reasoning is under both names that clients look for."""
    wire: dict[str, Json] = {"role": "assistant", "content": None, "refusal": None}
    texts: list[str] = []
    blocks: list[Json] = []
    calls: list[Json] = []
    annotations: list[Json] = []
    put_foreign(wire, message.extras)
    for place, part in enumerate(message.parts):
        match part.WhichOneof("kind"):
            case "text":
                if part.citations:
                    begin = sum(map(len, texts))
                    annotations.extend(encode_annotations(part.citations, begin, len(part.text)))
                texts.append(part.text)
                blocks.append({"type": "text", "text": part.text})
                blocks.extend(encode_references(part))
                put_foreign(wire, part.extras)
                restore(wire, part.extras, DIALECT)
            case "tool_call":
                if part.tool_call.id or "function_call" in wire:
                    calls.append(encode_answered_call(part))
                else:
                    wire["function_call"] = encode_function(part.tool_call)
            case "reasoning":
                wire["reasoning_content"] = wire.get("reasoning_content", "") + part.reasoning.text
                wire["reasoning"] = wire["reasoning_content"]
                encode_details(part, len(part.reasoning.text), wire)
            case "refusal":
                wire["refusal"] = (wire["refusal"] or "") + part.refusal
            case "media":
                images = wire.setdefault(IMAGES, [])
                images.append(encode_drawn(part, len(images)))
            case "opaque" if part.opaque.dialect != DIALECT:
                put_block(wire, part.opaque, place)
            case "opaque":
                block = encode_opaque(part, "message")
                (calls if "id" in block else blocks).append(block)
    if len(blocks) > len(texts):
        # A server that answers in blocks is asked by clients that know them.
        wire["content"] = blocks
    elif texts:
        wire["content"] = "".join(texts)
    elif not calls and wire["refusal"] is None and "function_call" not in wire:
        wire["content"] = ""
    if calls:
        wire["tool_calls"] = calls
    put_annotations(wire, annotations, message.extras.get(DIALECT))
    restore(wire, message.extras, DIALECT)
    return wire


def _encode_choice_logprobs(message: Message) -> Json:
    content = [item for part in message.parts if part.WhichOneof("kind") == "text" for item in part.logprobs]
    refusal = [item for part in message.parts if part.WhichOneof("kind") == "refusal" for item in part.logprobs]
    if not content and not refusal:
        return None
    return {
        "content": encode_logprobs(content) if content else None,
        "refusal": encode_logprobs(refusal) if refusal else None,
    }
