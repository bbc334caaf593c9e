"""Mistral's Chat Completions: OpenAI's JSON with Mistral's own names and stricter rules, to and from the contract."""

from trunkline.dialects.mistral.errors import decode_error
from trunkline.dialects.mistral.request import PROFILE, encode_request
from trunkline.dialects.mistral.response import StreamDecoder, decode_response

__all__ = ["PROFILE", "StreamDecoder", "decode_error", "decode_response", "encode_request"]
