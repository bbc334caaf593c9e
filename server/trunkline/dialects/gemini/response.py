"""The whole answer of `generateContent`."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from trunkline.dialects.gemini.carry import Carrier
from trunkline.dialects.gemini.citations import decode_citations, encode_citations
from trunkline.dialects.gemini.content import decode_part, encode_call, take_parts
from trunkline.dialects.gemini.finish import decode_block, decode_finish, encode_finish, is_finish
from trunkline.dialects.gemini.ids import invent
from trunkline.dialects.gemini.logprobs import decode_logprobs, encode_logprobs
from trunkline.dialects.gemini.media import encode_media
from trunkline.dialects.gemini.names import DIALECT, camel
from trunkline.dialects.gemini.usage import UsageReader, encode_usage
from trunkline.dialects.tiers import standard_tier
from trunkline.dialects.wire import Json, Object, restore
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatResponse, Choice
from trunkline.v1.content_pb2 import Part

_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?Z")


def decode_response(wire: Object) -> ChatResponse:
    """Read an answer. `wire` is lenient: what it holds of other shapes than the expected is kept as extras.

    A prompt that was blocked gives one empty choice whose finish is CONTENT_FILTER.
    """
    camel(wire.fields)
    response = ChatResponse()
    decode_head(wire, response)
    for position, item in enumerate(wire.take_objects("candidates")):
        _decode_candidate(item, response.choices.add(), position, response.id)
    usage = wire.take_object("usageMetadata")
    if usage is not None:
        response.service_tier = usage.take_str("serviceTier") or ""
        response.usage.CopyFrom(UsageReader().read(usage))
    if not response.choices:
        blocked = decode_block(wire.fields.get("promptFeedback"))
        if blocked is not None:
            choice = response.choices.add(finish=blocked)
            choice.message.role = content_pb2.ROLE_ASSISTANT
    wire.keep(response.extras, DIALECT)
    return response


def decode_head(wire: Object, response: ChatResponse) -> None:
    """Read what an answer and each chunk of a stream begin with."""
    response.id = wire.take_str("responseId") or ""
    response.model = wire.take_str("modelVersion") or ""
    created = wire.fields.get("createTime")
    if isinstance(created, str) and _TIME.fullmatch(created):
        try:
            response.create_time.FromJsonString(created)
        except ValueError:
            return
        wire.take("createTime")


def _decode_candidate(wire: Object, choice: Choice, position: int, response_id: str) -> None:
    camel(wire.fields)
    index = wire.take_int("index", 0)
    choice.index = position if index is None else index
    message = choice.message
    message.role = content_pb2.ROLE_ASSISTANT
    calls = 0
    content = wire.take_object("content")
    if content is not None:
        content.take("role")
        for item in take_parts(content):
            camel(item.fields)
            if not item.fields or item.fields == {"text": ""}:
                continue
            part = message.parts.add()
            decode_part(item, part)
            if part.WhichOneof("kind") == "tool_call":
                call = part.tool_call
                call.id = call.id or invent(response_id, choice.index, calls, call.name)
                calls += 1
        content.keep(message.extras, DIALECT)
    texts = [(place, part.text) for place, part in enumerate(message.parts) if part.WhichOneof("kind") == "text"]
    for cited in decode_citations(wire, texts):
        message.parts[cited.part].citations.append(cited.citation)
    if texts:
        logprobs = wire.take_object("logprobsResult")
        if logprobs is not None:
            message.parts[texts[0][0]].logprobs.extend(decode_logprobs(logprobs))
    reason = wire.fields.get("finishReason")
    if is_finish(reason):
        wire.take("finishReason")
        choice.finish.CopyFrom(decode_finish(reason, calls=calls > 0))
    wire.keep(choice.extras, DIALECT)


def encode_response(response: ChatResponse) -> dict[str, Json]:
    """Write an answer."""
    wire: dict[str, Json] = {"candidates": [_encode_candidate(choice) for choice in response.choices]}
    wire |= encode_head(response)
    if response.HasField("usage"):
        usage = encode_usage(response.usage)
        if response.service_tier:
            usage["serviceTier"] = standard_tier(response.service_tier)
        wire["usageMetadata"] = usage
    restore(wire, response.extras, DIALECT)
    if decode_block(wire.get("promptFeedback")) is not None and all(
        not choice.message.parts for choice in response.choices
    ):
        wire["candidates"] = []
    return wire


def encode_head(response: ChatResponse) -> dict[str, Json]:
    """What an answer and each chunk of a stream tell of themselves."""
    wire: dict[str, Json] = {}
    if response.model:
        wire["modelVersion"] = response.model
    if response.HasField("create_time"):
        wire["createTime"] = response.create_time.ToJsonString()
    if response.id:
        wire["responseId"] = response.id
    return wire


def _encode_candidate(choice: Choice) -> dict[str, Json]:
    message = choice.message
    carrier = Carrier()
    encoded = [carrier.load(part, encode_part(part)) for part in message.parts]
    parts = [part for part in encoded if part is not None]
    content: dict[str, Json] = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    restore(content, message.extras, DIALECT)
    wire: dict[str, Json] = {"content": content}
    if choice.HasField("finish"):
        wire["finishReason"] = encode_finish(choice.finish)
    wire["index"] = choice.index
    citations = encode_citations(message.parts)
    if citations is not None:
        wire["citationMetadata"] = citations
    logprobs = [item for part in message.parts for item in part.logprobs]
    if logprobs:
        wire["logprobsResult"] = encode_logprobs(logprobs)
    restore(wire, choice.extras, DIALECT)
    return wire


def encode_part(part: Part) -> Json:
    """Write one part of an answer; None where it is nothing to a client of Gemini."""
    wire: dict[str, Json]
    match part.WhichOneof("kind"):
        case "text":
            wire = {"text": part.text}
        case "refusal":
            wire = {"text": part.refusal}
        case "reasoning":
            if not part.reasoning.text and DIALECT not in part.extras:
                return None
            wire = {"text": part.reasoning.text, "thought": True}
        case "tool_call":
            wire = {"functionCall": encode_call(part.tool_call)}
        case "media":
            wire = encode_media(part.media, "message")
        case "opaque" if part.opaque.dialect == DIALECT:
            return msgspec.Raw(part.opaque.json.encode())
        case _:
            return None
    restore(wire, part.extras, DIALECT)
    return wire
