"""The answer, whole and streamed: OpenAI's, and errors that Mistral writes in place of it."""

from __future__ import annotations

from typing import Final

from trunkline.dialects import openai
from trunkline.dialects.mistral.errors import decode_error
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse

_ERROR: Final = b'"object":"error"'


def decode_response(wire: Object) -> ChatResponse:
    """Read an answer. Raises `GatewayError` where an error stands in place of it."""
    if wire.fields.get("object") == "error":
        raise decode_error(200, {}, dumps(wire.fields))
    return openai.decode_response(wire)


class StreamDecoder(openai.StreamDecoder):
    """Reads the data of the events of one stream."""

    def feed(self, data: bytes) -> list[ChatEvent]:
        """The events of one chunk. Raises `GatewayError` where it holds an error, or is no chunk."""
        if _ERROR in data[:512].replace(b" ", b""):
            chunk = loads(data)
            if isinstance(chunk, dict) and chunk.get("object") == "error":
                raise decode_error(200, {}, data)
        return super().feed(data)
