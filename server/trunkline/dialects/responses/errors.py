"""Errors: OpenAI's, and those that an answer tells of after it was begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.dialects import openai
from trunkline.dialects.wire import Json, dumps
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.errors_pb2 import ErrorReason

_BY_CODE: Final[dict[str, ErrorReason.ValueType]] = {
    "invalid_prompt": errors_pb2.ERROR_REASON_CONTENT_FILTERED,
    "bio_policy": errors_pb2.ERROR_REASON_CONTENT_FILTERED,
    "misalignment_policy_violation": errors_pb2.ERROR_REASON_CONTENT_FILTERED,
    "image_content_policy_violation": errors_pb2.ERROR_REASON_CONTENT_FILTERED,
    "data_residency_mismatch": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "invalid_image": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "invalid_image_format": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "invalid_base64_image": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "invalid_image_url": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "invalid_image_mode": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "image_too_large": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "image_too_small": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "image_parse_error": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "image_file_too_large": errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE,
    "unsupported_image_media_type": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "empty_image_file": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "failed_to_download_image": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "image_file_not_found": errors_pb2.ERROR_REASON_INVALID_REQUEST,
    "vector_store_timeout": errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
}
"""`error.code` of a response that failed -> reason."""


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """Read the answer of a call that failed. `headers` are looked up by lower-case name."""
    return openai.decode_error(status, headers, body)


def decode_failure(error: Json) -> GatewayError:
    """Read the error that a response, or an event of a stream, tells of."""
    fields = error if isinstance(error, dict) else {}
    decoded = openai.decode_error(200, {}, dumps({"error": fields}))
    code = fields.get("code")
    if isinstance(code, str) and code in _BY_CODE:
        decoded.reason = _BY_CODE[code]
    if not fields.get("message"):
        decoded.message = "The provider's response failed."
    return decoded


def encode_error(error: GatewayError) -> dict[str, Json]:
    """Write an error object."""
    return openai.encode_error(error)
