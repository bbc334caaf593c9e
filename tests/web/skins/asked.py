"""Calls and errors, as skins are asked about them."""

from __future__ import annotations

from typing import Any

from trunkline.call import Attempt, Call, Surface
from trunkline.errors import GatewayError
from trunkline.v1.errors_pb2 import ErrorReason

REASONS = sorted(set(ErrorReason.values()) - {0})
"""Every reason."""


def call_of(surface: Surface = "openai", *tried: str, **fields: Any) -> Call:
    """A call, with an attempt at each provider of `tried`."""
    call = Call("req_1", surface, model="asked/model", start_time=1700000000.5, **fields)
    call.attempts = [Attempt(call, provider, "small", ended=0.0) for provider in tried]
    return call


def failure(reason: str, **fields: Any) -> GatewayError:
    """An error with the reason of that name."""
    return GatewayError(ErrorReason.Value(f"ERROR_REASON_{reason}"), "So it is.", **fields)


UNKNOWN = {"param": "model"}
"""What an error has that tells of a name that is no model's."""
NOBODY = {"param": "routing"}
"""What an error has where nobody is left that may answer."""
THEIRS: dict[str, Any] = {"provider": "openai", "provider_status": 418}
"""What an error has that a provider told."""
