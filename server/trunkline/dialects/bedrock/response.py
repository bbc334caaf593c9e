"""The whole answer of Converse."""

from __future__ import annotations

from trunkline.dialects.anthropic.objects import object_text
from trunkline.dialects.bedrock.citations import encode_citation, is_cited
from trunkline.dialects.bedrock.content import decode_block, encode_opaque, encode_own_reasoning
from trunkline.dialects.bedrock.dialect import DIALECT
from trunkline.dialects.bedrock.finish import decode_finish, encode_finish
from trunkline.dialects.bedrock.media import encode_media
from trunkline.dialects.bedrock.profile import Profile, Writing
from trunkline.dialects.bedrock.usage import decode_usage, encode_usage
from trunkline.dialects.ids import call_id
from trunkline.dialects.wire import Json, Object, restore
from trunkline.errors import GatewayError, provider_failed
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatResponse, Choice
from trunkline.v1.content_pb2 import Message, Part


def decode_response(wire: Object) -> ChatResponse:
    """Read an answer. `wire` is lenient: what it holds of other shapes than the expected is kept as extras.

    Raises `GatewayError` (PROVIDER_FAILED) where there is no answer in it.
    """
    output = wire.take_object("output")
    message = output.take_object("message") if output is not None else None
    if message is None:
        raise provider_failed("The provider's answer holds no message.")
    response = ChatResponse()
    choice = response.choices.add()
    choice.message.role = content_pb2.ROLE_ASSISTANT
    message.take_str("role")
    for block in message.take_objects("content"):
        decode_answer_block(block, choice.message)
    choice.finish.CopyFrom(decode_finish(wire))
    usage = wire.take_object("usage")
    if usage is not None:
        response.usage.CopyFrom(decode_usage(usage))
    tier = wire.take_object("serviceTier")
    if tier is not None:
        response.service_tier = tier.take_str("type") or ""
    wire.keep(response.extras, DIALECT)
    return response


def decode_answer_block(wire: Object, message: Message) -> None:
    """Read one block of an answer."""
    decode_block(wire, message.parts, content_pb2.ROLE_ASSISTANT)
    part = message.parts[-1]
    if part.WhichOneof("kind") == "tool_call" and not part.tool_call.id:
        part.tool_call.id = call_id("", 0, len(message.parts))


def encode_response(response: ChatResponse) -> dict[str, Json]:
    """Write an answer: the first choice, as there is but one."""
    choice = response.choices[0] if response.choices else Choice()
    content = [block for part in choice.message.parts if (block := _answer_block(part)) is not None]
    wire: dict[str, Json] = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": encode_finish(choice.finish),
    }
    if response.HasField("usage"):
        wire["usage"] = encode_usage(response.usage)
    if response.service_tier:
        wire["serviceTier"] = {"type": response.service_tier}
    if choice.finish.stop_sequence:
        wire["additionalModelResponseFields"] = {"stop_sequence": choice.finish.stop_sequence}
    restore(wire, choice.extras, DIALECT)
    restore(wire, response.extras, DIALECT)
    return wire


def _answer_block(part: Part) -> Json:
    wire: dict[str, Json]
    match part.WhichOneof("kind"):
        case "text" if part.citations or is_cited(part):
            content = [{"text": part.text}] if part.text else None
            citations = [encode_citation(citation) for citation in part.citations]
            wire = {"citationsContent": {**({"content": content} if content else {}), "citations": citations}}
        case "text":
            wire = {"text": part.text}
        case "refusal":
            wire = {"text": part.refusal}
        case "tool_call":
            call = part.tool_call
            arguments = object_text(call.arguments_json)
            if arguments is None:
                # The model wrote no object, and the API has no other form.
                arguments = {"arguments": call.arguments_json}
            wire = {"toolUse": {"toolUseId": call.id, "name": call.name, "input": arguments}}
        case "reasoning":
            own = encode_own_reasoning(part)
            return {"reasoningContent": {"reasoningText": {"text": part.reasoning.text}}} if own is None else own
        case "opaque" if part.opaque.dialect == DIALECT:
            return encode_opaque(part, Writing(Profile()), "content")
        case "media":
            try:
                wire = encode_media(part.media, Writing(Profile()), "content")
            except GatewayError:
                return None
        case _:
            return None
    if part.extras:
        restore(wire, part.extras, DIALECT)
    return wire
