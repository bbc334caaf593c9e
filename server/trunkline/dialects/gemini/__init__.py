"""Google's `generateContent` and `streamGenerateContent`: their JSON to the contract and back."""

from trunkline.dialects.gemini.embeddings import (
    decode_embed_request,
    decode_embed_response,
    encode_embed_batch,
    encode_embed_one,
    encode_embed_request,
    encode_embed_response,
)
from trunkline.dialects.gemini.encoder import StreamEncoder
from trunkline.dialects.gemini.errors import decode_error, encode_error
from trunkline.dialects.gemini.names import DIALECT
from trunkline.dialects.gemini.predict import (
    EmbedMethod,
    decode_vertex_embed,
    embed_method_of,
    encode_vertex_embed,
    takes_one,
)
from trunkline.dialects.gemini.profile import Profile, profile_of
from trunkline.dialects.gemini.reader import Reader
from trunkline.dialects.gemini.request import TEXTS, decode_request, encode_request
from trunkline.dialects.gemini.response import decode_response, encode_response
from trunkline.dialects.gemini.stream import StreamDecoder

__all__ = [
    "DIALECT",
    "TEXTS",
    "EmbedMethod",
    "Profile",
    "Reader",
    "StreamDecoder",
    "StreamEncoder",
    "decode_embed_request",
    "decode_embed_response",
    "decode_error",
    "decode_request",
    "decode_response",
    "decode_vertex_embed",
    "embed_method_of",
    "encode_embed_batch",
    "encode_embed_one",
    "encode_embed_request",
    "encode_embed_response",
    "encode_error",
    "encode_request",
    "encode_response",
    "encode_vertex_embed",
    "profile_of",
    "takes_one",
]
