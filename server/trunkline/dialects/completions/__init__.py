"""OpenAI's older Completions, which go on with a text: their JSON to the contract and back."""

from trunkline.dialects.completions.request import DIALECT, decode_request, encode_request
from trunkline.dialects.completions.response import decode_response, encode_response
from trunkline.dialects.completions.stream import StreamDecoder, StreamEncoder

__all__ = [
    "DIALECT",
    "StreamDecoder",
    "StreamEncoder",
    "decode_request",
    "decode_response",
    "encode_request",
    "encode_response",
]
