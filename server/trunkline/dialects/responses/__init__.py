"""OpenAI's Responses: its JSON to the contract and back."""

from trunkline.dialects.responses.adopt import adopt
from trunkline.dialects.responses.compaction import decode_compaction, encode_compaction
from trunkline.dialects.responses.custom import CustomReader, Plain, plain_of
from trunkline.dialects.responses.decoder import StreamDecoder
from trunkline.dialects.responses.encoder import StreamEncoder, encode_failure
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
from trunkline.dialects.responses.tools import flattened

__all__ = [
    "DIALECT",
    "STATEFUL",
    "CustomReader",
    "Plain",
    "StreamDecoder",
    "StreamEncoder",
    "adopt",
    "decode_compaction",
    "decode_error",
    "decode_request",
    "decode_response",
    "encode_compaction",
    "encode_error",
    "encode_failure",
    "encode_request",
    "encode_response",
    "flattened",
    "include",
    "is_native",
    "plain_of",
    "take_stream",
]
