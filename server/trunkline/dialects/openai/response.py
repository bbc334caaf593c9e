"""The whole answer of Chat Completions."""

from __future__ import annotations

import hashlib

import msgspec

from trunkline.dialects.openai.content import DIALECT, FOREIGN, decode_assistant, encode_call, put_foreign
from trunkline.dialects.openai.finish import decode_finish, encode_finish
from trunkline.dialects.openai.logprobs import decode_logprobs, encode_logprobs
from trunkline.dialects.openai.media import encode_media
from trunkline.dialects.openai.usage import decode_usage, encode_usage
from trunkline.dialects.wire import Json, Object, loads, restore
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatResponse, Choice
from trunkline.v1.content_pb2 import Message, Part


def decode_response(wire: Object) -> ChatResponse:
    """Read an answer. `wire` is lenient: what it holds of other shapes than the expected is kept as extras."""
    response = ChatResponse()
    decode_head(wire, response)
    for position, item in enumerate(wire.take_objects("choices")):
        _decode_choice(item, response.choices.add(), position, response.id)
    usage = wire.take_object("usage")
    if usage is not None:
        response.usage.CopyFrom(decode_usage(usage))
        usage.fields.clear()
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


def _decode_choice(wire: Object, choice: Choice, position: int, response_id: str) -> None:
    index = wire.take_int("index", 0)
    choice.index = position if index is None else index
    choice.message.role = content_pb2.ROLE_ASSISTANT
    message = wire.take_object("message")
    if message is not None:
        decode_answer(message, choice.message)
        name_calls(choice.message, response_id, choice.index)
    _decode_choice_logprobs(wire, choice.message)
    word = wire.take_str("finish_reason")
    native = wire.take_str("native_finish_reason")
    if word is not None:
        calls = any(part.WhichOneof("kind") == "tool_call" for part in choice.message.parts)
        choice.finish.CopyFrom(decode_finish(word, native=native, calls=calls))
    wire.keep(choice.extras, DIALECT)


def decode_answer(wire: Object, message: Message) -> None:
    """Read the message of a choice. An empty text is no part: servers write one beside tool calls."""
    wire.take_str("role")
    if wire.fields.get("content") == "":
        wire.take("content")
    if wire.fields.get("reasoning_content") == "":
        wire.take("reasoning_content")
    if wire.fields.get("reasoning") == "":
        wire.take("reasoning")
    decode_assistant(wire, message)
    wire.keep(message.extras, DIALECT)


def name_calls(message: Message, response_id: str, choice: int) -> None:
    """Give an id to each tool call that its server gave none: a result could not name it otherwise."""
    for position, part in enumerate(message.parts):
        if part.WhichOneof("kind") == "tool_call" and not part.tool_call.id:
            part.tool_call.id = call_id(response_id, choice, position)


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
    for key in [key for key, value in logprobs.fields.items() if value is None]:
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
    if response.extras:
        restore(wire, response.extras, DIALECT)
    return wire


def _encode_choice(choice: Choice) -> dict[str, Json]:
    word, native = encode_finish(choice.finish)
    wire: dict[str, Json] = {
        "index": choice.index,
        "message": encode_answer(choice.message),
        "logprobs": _encode_choice_logprobs(choice.message),
        "finish_reason": word,
    }
    if native is not None:
        wire["native_finish_reason"] = native
    if choice.extras:
        restore(wire, choice.extras, DIALECT)
    return wire


def encode_answer(message: Message) -> dict[str, Json]:
    """Write the message of a choice. Reasoning is under both names that clients look for."""
    wire: dict[str, Json] = {"role": "assistant", "content": None, "refusal": None}
    texts: list[str] = []
    calls: list[Json] = []
    for part in message.parts:
        match part.WhichOneof("kind"):
            case "text":
                texts.append(part.text)
                put_foreign(wire, part.extras)
                restore(wire, part.extras, DIALECT)
            case "tool_call":
                if part.tool_call.id:
                    calls.append(encode_call(part))
            case "reasoning":
                wire["reasoning_content"] = wire.get("reasoning_content", "") + part.reasoning.text
                wire["reasoning"] = wire["reasoning_content"]
                encode_details(part, wire)
            case "refusal":
                wire["refusal"] = (wire["refusal"] or "") + part.refusal
            case "media":
                wire.setdefault("images", []).append(encode_media(part.media, "message"))
            case "opaque":
                _encode_opaque(part, wire, calls)
    if texts:
        wire["content"] = "".join(texts)
    elif not calls and wire["refusal"] is None:
        wire["content"] = ""
    if calls:
        wire["tool_calls"] = calls
    restore(wire, message.extras, DIALECT)
    return wire


def encode_details(part: Part, wire: dict[str, Json]) -> None:
    """Write what a reasoning part holds beside its text, so that a client that echoes the message loses nothing."""
    own = part.extras.get(DIALECT)
    if own is not None:
        details = loads(own).get("reasoning_details", [])
        wire.setdefault("reasoning_details", []).extend(details)
    for dialect, text in part.extras.items():
        if dialect in FOREIGN:
            item = {"type": "reasoning.text", "text": part.reasoning.text, "format": dialect}
            wire.setdefault("reasoning_details", []).append({**item, "data": text})


def _encode_opaque(part: Part, wire: dict[str, Json], calls: list[Json]) -> None:
    block = msgspec.Raw(part.opaque.json.encode())
    if part.opaque.dialect == DIALECT:
        calls.append(block)
    else:
        wire.setdefault("extra_content", {}).setdefault(part.opaque.dialect, {}).setdefault("blocks", []).append(block)


def _encode_choice_logprobs(message: Message) -> Json:
    content = [item for part in message.parts if part.WhichOneof("kind") == "text" for item in part.logprobs]
    refusal = [item for part in message.parts if part.WhichOneof("kind") == "refusal" for item in part.logprobs]
    if not content and not refusal:
        return None
    return {
        "content": encode_logprobs(content) if content else None,
        "refusal": encode_logprobs(refusal) if refusal else None,
    }
