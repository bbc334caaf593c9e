"""OpenAI's Responses: its JSON to the contract and back."""

from trunkline.dialects.responses.compaction import decode_compaction, encode_compaction
from trunkline.dialects.responses.decoder import StreamDecoder
from trunkline.dialects.responses.encoder import StreamEncoder
from trunkline.dialects.responses.errors import decode_error, encode_error
from trunkline.dialects.responses.extras import DIALECT
from trunkline.dialects.responses.request import (
    STATEFUL,
    decode_request,
    encode_request,
    include,
    is_native,
    take_stream,
)
from trunkline.dialects.responses.response import decode_response, encode_response

__all__ = [
    "DIALECT",
    "STATEFUL",
    "StreamDecoder",
    "StreamEncoder",
    "decode_compaction",
    "decode_error",
    "decode_request",
    "decode_response",
    "encode_compaction",
    "encode_error",
    "encode_request",
    "encode_response",
    "include",
    "is_native",
    "take_stream",
]
