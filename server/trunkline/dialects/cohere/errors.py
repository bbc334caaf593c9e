"""Cohere's errors: `{"id", "message", "error_type"}`."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.dialects import openai
from trunkline.dialects.wire import loads
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """Read an error. Statuses and shapes are OpenAI's but for `error_type`."""
    error = openai.decode_error(status, headers, body)
    try:
        wire = loads(body)
    except GatewayError:
        return error
    if isinstance(wire, dict) and wire.get("error_type") == "TOO_MANY_TOKENS":
        error.reason = errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED
    return error
