"""Amazon Bedrock's Converse and ConverseStream: their JSON to the contract and back."""

from trunkline.dialects.bedrock.dialect import DIALECT
from trunkline.dialects.bedrock.embeddings import (
    EmbedForm,
    decode_embed_response,
    embed_form_of,
    encode_embed_request,
)
from trunkline.dialects.bedrock.errors import decode_error
from trunkline.dialects.bedrock.framing import Reader
from trunkline.dialects.bedrock.profile import Profile, profile_of
from trunkline.dialects.bedrock.request import TEXTS, ask_for_stop_sequence, decode_request, encode_request
from trunkline.dialects.bedrock.response import decode_response, encode_response
from trunkline.dialects.bedrock.stream import StreamDecoder

__all__ = [
    "DIALECT",
    "TEXTS",
    "EmbedForm",
    "Profile",
    "Reader",
    "StreamDecoder",
    "ask_for_stop_sequence",
    "decode_embed_response",
    "decode_error",
    "decode_request",
    "decode_response",
    "embed_form_of",
    "encode_embed_request",
    "encode_request",
    "encode_response",
    "profile_of",
]
