"""The whole answer of the Messages API."""

from __future__ import annotations

from typing import Final

import msgspec

from trunkline.dialects.anthropic.carry import pack
from trunkline.dialects.anthropic.citations import encode_citation
from trunkline.dialects.anthropic.content import KINDS, decode_block
from trunkline.dialects.anthropic.dialect import DIALECT
from trunkline.dialects.anthropic.finish import decode_finish, encode_finish
from trunkline.dialects.anthropic.media import markdown
from trunkline.dialects.anthropic.objects import object_text
from trunkline.dialects.anthropic.usage import decode_usage, encode_usage
from trunkline.dialects.ids import made_id
from trunkline.dialects.tiers import standard_tier
from trunkline.dialects.wire import Json, Object, restore
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatResponse, Choice
from trunkline.v1.content_pb2 import Message, Part

FINISH_KEYS: Final = ("stop_details",)
"""What an answer tells of its end beside the reason: kept with the choice, all else with the response."""


def decode_response(wire: Object) -> ChatResponse:
    """Read an answer. `wire` is lenient: what it holds of other shapes than the expected is kept as extras."""
    response = ChatResponse()
    choice = response.choices.add()
    choice.message.role = content_pb2.ROLE_ASSISTANT
    for block in wire.take_objects("content"):
        decode_answer_block(block, choice.message)
    choice.finish.CopyFrom(decode_finish(wire.take_str("stop_reason"), wire.take_str("stop_sequence")))
    ending = {key: value for key in FINISH_KEYS if (value := wire.take(key)) is not None}
    Object(ending).keep(choice.extras, DIALECT)
    decode_head(wire, response)
    return response


def decode_head(wire: Object, response: ChatResponse) -> None:
    """Read what an answer and the start of a stream tell of themselves. A key that is null says nothing."""
    wire.take_str("type")
    wire.take_str("role")
    response.id = wire.take_str("id") or ""
    response.model = wire.take_str("model") or ""
    usage = wire.take_object("usage")
    if usage is not None:
        response.service_tier = usage.take_str("service_tier") or ""
        drop_nulls(usage.fields)
        response.usage.CopyFrom(decode_usage(usage))
        usage.fields.clear()
    drop_nulls(wire.fields)
    wire.keep(response.extras, DIALECT)


def drop_nulls(fields: dict[str, Json]) -> None:
    """Take out the keys whose value is null."""
    for key in [key for key, value in fields.items() if value is None]:
        del fields[key]


def decode_answer_block(wire: Object, message: Message) -> None:
    """Read one block of an answer."""
    kind = wire.fields.get("type")
    if not isinstance(kind, str):
        wire.fields["type"] = "unknown"
    elif kind in KINDS:
        drop_nulls(wire.fields)
    decode_block(wire, message.parts, carried=False)


def encode_response(response: ChatResponse) -> dict[str, Json]:
    """Write an answer as Anthropic's own description has it: the first choice, as there is but one."""
    choice = response.choices[0] if response.choices else Choice()
    usage = encode_usage(response.usage)
    if response.service_tier:
        usage["service_tier"] = standard_tier(response.service_tier)
    wire: dict[str, Json] = {
        "id": response.id,
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": [block for part in choice.message.parts for block in encode_answer_part(part, response.id)],
        "stop_reason": encode_finish(choice.finish),
        "stop_sequence": choice.finish.stop_sequence or None,
        "usage": usage,
    }
    restore(wire, choice.extras, DIALECT)
    restore(wire, response.extras, DIALECT)
    return wire


def encode_answer_part(part: Part, response_id: str) -> list[Json]:
    """The blocks that a part of an answer is written as: none, one, or one more for what other dialects need back."""
    block = answer_block(part, response_id)
    blocks = [] if block is None else [block]
    if part.WhichOneof("kind") != "reasoning":
        cargo = pack(part)
        if cargo is not None:
            blocks.append({"type": "redacted_thinking", "data": cargo})
    return blocks


def call_id(part: Part, response_id: str) -> str:
    """The id of a call. The older calls of OpenAI's language have none; there is one of them in an answer at most."""
    return part.tool_call.id or made_id("toolu_", f"{response_id}/{part.tool_call.name}")


def answer_block(part: Part, response_id: str) -> Json:
    """The block that a part is; None where Anthropic's clients have no block for it.

    They know no media in an answer: what the model drew is told as Markdown tells it.
    """
    wire: dict[str, Json]
    match part.WhichOneof("kind"):
        case "text":
            wire = {"type": "text", "text": part.text}
            if part.citations:
                wire["citations"] = [encode_citation(citation) for citation in part.citations]
        case "refusal":
            wire = {"type": "text", "text": part.refusal}
        case "tool_call":
            call = part.tool_call
            arguments = object_text(call.arguments_json)
            if arguments is None:
                # The model wrote no object, and the API has no other form.
                arguments = {"arguments": call.arguments_json}
            wire = {"type": "tool_use", "id": call_id(part, response_id), "name": call.name, "input": arguments}
        case "reasoning":
            return reasoning_block(part)
        case "opaque":
            return msgspec.Raw(part.opaque.json.encode()) if part.opaque.dialect == DIALECT else None
        case "media":
            wire = {"type": "text", "text": markdown(part.media)}
        case _:
            return None
    if part.extras:
        restore(wire, part.extras, DIALECT)
    return wire


def reasoning_block(part: Part) -> dict[str, Json] | None:
    """Reasoning as a signed block, where another dialect's signature stands for ours; None where it is withheld and
    there is nothing to send back."""
    wire: dict[str, Json] = {}
    cargo = pack(part)
    if part.reasoning.redacted:
        wire["type"] = "redacted_thinking"
        if cargo is not None:
            wire["data"] = cargo
        elif DIALECT not in part.extras:
            return None
    else:
        wire["type"] = "thinking"
        wire["thinking"] = part.reasoning.text
        if cargo is not None:
            wire["signature"] = cargo
    restore(wire, part.extras, DIALECT)
    wire.setdefault("data" if part.reasoning.redacted else "signature", "")
    return wire
