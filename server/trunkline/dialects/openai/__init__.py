"""OpenAI's Chat Completions: its JSON to the contract and back."""

from trunkline.dialects.openai.decoder import StreamDecoder
from trunkline.dialects.openai.embeddings import (
    decode_embed_request,
    decode_embed_response,
    encode_embed_request,
    encode_embed_response,
    take_encoding,
)
from trunkline.dialects.openai.encoder import StreamEncoder
from trunkline.dialects.openai.errors import decode_error, encode_error
from trunkline.dialects.openai.profile import EmbeddingForm, Profile
from trunkline.dialects.openai.request import decode_request, encode_request
from trunkline.dialects.openai.response import decode_response, encode_response

DIALECT = "openai"
"""The dialect's name in `extras`."""

__all__ = [
    "DIALECT",
    "EmbeddingForm",
    "Profile",
    "StreamDecoder",
    "StreamEncoder",
    "decode_embed_request",
    "decode_embed_response",
    "decode_error",
    "decode_request",
    "decode_response",
    "encode_embed_request",
    "encode_embed_response",
    "encode_error",
    "encode_request",
    "encode_response",
    "take_encoding",
]
