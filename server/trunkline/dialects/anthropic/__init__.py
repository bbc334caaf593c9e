"""Anthropic's Messages API: its JSON to the contract and back."""

from trunkline.dialects.anthropic.dialect import DIALECT
from trunkline.dialects.anthropic.encoder import Frame, StreamEncoder
from trunkline.dialects.anthropic.errors import decode_error, encode_error
from trunkline.dialects.anthropic.profile import Profile, profile_of
from trunkline.dialects.anthropic.request import decode_request, encode_request, take_stream
from trunkline.dialects.anthropic.response import decode_response, encode_response
from trunkline.dialects.anthropic.stream import StreamDecoder

__all__ = [
    "DIALECT",
    "Frame",
    "Profile",
    "StreamDecoder",
    "StreamEncoder",
    "decode_error",
    "decode_request",
    "decode_response",
    "encode_error",
    "encode_request",
    "encode_response",
    "profile_of",
    "take_stream",
]
