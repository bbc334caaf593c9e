"""Cohere's chat API, version 2: the contract to its JSON, and its answers to the contract."""

from trunkline.dialects.cohere.embeddings import decode_embed_response, encode_embed_request
from trunkline.dialects.cohere.errors import decode_error
from trunkline.dialects.cohere.request import DIALECT, encode_request, reasons
from trunkline.dialects.cohere.response import decode_response
from trunkline.dialects.cohere.stream import StreamDecoder

__all__ = [
    "DIALECT",
    "StreamDecoder",
    "decode_embed_response",
    "decode_error",
    "decode_response",
    "encode_embed_request",
    "encode_request",
    "reasons",
]
