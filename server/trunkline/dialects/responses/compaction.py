"""A conversation that its provider made shorter: items that it alone can read, carried verbatim."""

from __future__ import annotations

from trunkline.dialects.responses.response import decode_head
from trunkline.dialects.responses.turns import opaque
from trunkline.dialects.responses.usage import decode_usage, encode_usage
from trunkline.dialects.wire import Json, Object, loads
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatResponse


def decode_compaction(wire: Object) -> ChatResponse:
    """Read what `/responses/compact` answers."""
    response = ChatResponse()
    decode_head(wire, response)
    message = response.choices.add().message
    message.role = content_pb2.ROLE_ASSISTANT
    for item in wire.take_objects("output"):
        opaque(item.fields, message.parts.add())
    usage = wire.take_object("usage")
    if usage is not None:
        response.usage.CopyFrom(decode_usage(usage))
    return response


def encode_compaction(response: ChatResponse) -> dict[str, Json]:
    """Write it as OpenAI does."""
    return {
        "id": response.id,
        "object": "response.compaction",
        "created_at": response.create_time.seconds,
        "output": [loads(part.opaque.json) for choice in response.choices for part in choice.message.parts],
        "usage": encode_usage(response.usage),
    }
