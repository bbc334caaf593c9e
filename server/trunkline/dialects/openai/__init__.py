"""OpenAI's Chat Completions: its JSON to the contract and back."""

from trunkline.dialects.openai.decoder import StreamDecoder
from trunkline.dialects.openai.encoder import StreamEncoder
from trunkline.dialects.openai.errors import decode_error, encode_error
from trunkline.dialects.openai.profile import Profile
from trunkline.dialects.openai.request import decode_request, encode_request
from trunkline.dialects.openai.response import decode_response, encode_response

DIALECT = "openai"
"""The dialect's name in `extras`."""

__all__ = [
    "DIALECT",
    "Profile",
    "StreamDecoder",
    "StreamEncoder",
    "decode_error",
    "decode_request",
    "decode_response",
    "encode_error",
    "encode_request",
    "encode_response",
]
