"""What a caller is told of a limit that refuses."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final

from trunkline.access.limits.model import Limit, Refused, Unit
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

_DOLLAR: Final = 1_000_000_000
_SPANS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def refusal(refused: Refused) -> GatewayError:
    """The error of a call that a limit refused: QUOTA_EXCEEDED for money, RATE_LIMITED for all else."""
    limit, money = refused.limit, refused.limit.unit is Unit.MONEY
    what = f"The {limit.owner}'s limit of {_amount(limit.most, limit)} {limit.window.text}{_scope(limit)}"
    left, needed = _amount(refused.remaining, limit, bare=True), _amount(refused.amount, limit, bare=True)
    if refused.amount > limit.most:
        message = f"{what} is too low for this call, which may need {needed}. Ask for less, or raise the limit."
    else:
        state = f"{left} left" if refused.amount == 1 else f"{left} left, and this call may need {needed}"
        message = f"{what} is reached: {state}. {_remedy(refused)}"
    reason = errors_pb2.ERROR_REASON_QUOTA_EXCEEDED if money else errors_pb2.ERROR_REASON_RATE_LIMITED
    wait = None if refused.retry_after is None else timedelta(seconds=refused.retry_after)
    return GatewayError(reason, message, retry_after=wait)


def _remedy(refused: Refused) -> str:
    if refused.retry_after is not None:
        return f"Try again in {_duration(refused.retry_after)}."
    if refused.limit.window.kind == "held":
        return "Try again when one has ended."
    return "Raise the limit to go on."


def _scope(limit: Limit) -> str:
    return f" for {limit.scope}" if limit.scope else ""


def _amount(amount: int, limit: Limit, *, bare: bool = False) -> str:
    """An amount in words. Money is told exactly, with cents at the least."""
    if limit.unit is Unit.MONEY:
        dollars, rest = divmod(amount, _DOLLAR)
        return f"${dollars:,}.{f'{rest:09}'.rstrip('0').ljust(2, '0')}"
    if bare:
        return f"{amount:,}"
    return f"{amount:,} {limit.unit.removesuffix('s') if amount == 1 else limit.unit}"


def _duration(seconds: float) -> str:
    """So long at the least, in the largest unit of which there are two, or in seconds."""
    size, name = next(((size, name) for size, name in _SPANS if seconds > size), _SPANS[-1])
    count = max(1, math.ceil(seconds / size))
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
