"""What came of a call and of its attempts, as every observer tells it."""

from __future__ import annotations

import re
import time
from typing import Literal

from trunkline.call import Attempt, Call
from trunkline.observe.redaction import ABOUT_REQUEST
from trunkline.v1 import errors_pb2

Level = Literal["debug", "info", "warning", "error"]
"""How much a record matters."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def ended(call: Call) -> float:
    """When the call ended, in `time.monotonic()` seconds."""
    return time.monotonic() if call.ended is None else call.ended


def attempt_ended(attempt: Attempt) -> float:
    """When the attempt ended, in `time.monotonic()` seconds."""
    return ended(attempt.call) if attempt.ended is None else attempt.ended


def attempt_outcome(attempt: Attempt) -> str:
    """`ok`, or the reason it failed for, in lower case.

    An attempt without an error of its own, cut short because the caller left or refused by the core, shares the
    call's.
    """
    if attempt.error is not None:
        return attempt.error.name.lower()
    call = attempt.call
    return "ok" if call.error is None or call.finish is not None else call.outcome


def level(call: Call) -> Level:
    """`error` where the gateway is at fault, `warning` where a provider is, `info` otherwise."""
    error = call.error
    if error is None:
        return "info"
    if error.reason == errors_pb2.ERROR_REASON_INTERNAL:
        return "error"
    if error.row.http >= 500 or (error.provider is not None and error.reason not in ABOUT_REQUEST):
        return "warning"
    return "info"


def trace_id(call: Call) -> str:
    """The W3C trace id that the call belongs to; empty where there is none."""
    if not call.traceparent:
        return ""
    found = _TRACEPARENT.fullmatch(call.traceparent)
    return found[1] if found else ""
