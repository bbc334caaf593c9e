"""What a call claims of its caller's limits, and how these stand as headers tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from trunkline.access.limits.model import Claim, Limit, Standing, Unit
from trunkline.accounting.bill import Estimate
from trunkline.call import Call
from trunkline.core.plan import Plan

_TOLD: Final = tuple(
    (unit, f"x-ratelimit-limit-{unit}", f"x-ratelimit-remaining-{unit}", f"x-ratelimit-reset-{unit}")
    for unit in (Unit.REQUESTS, Unit.TOKENS)
)
"""The units that OpenAI's headers tell of, and these."""


def claims_of(limits: Sequence[Limit], call: Call, plan: Plan[Any], size: Estimate) -> list[Claim]:
    """What `call` claims of `limits`. One for a model counts where the call asks for it, or may be answered by it."""
    names: set[str] | None = None
    claims: list[Claim] = []
    streams = call.operation == "stream_chat"
    counting = call.operation == "count_tokens"
    for limit in limits:
        if limit.scope:
            if names is None:
                names = _names(call, plan)
            if not any(fnmatchcase(name, limit.scope) for name in names):
                continue
        match limit.unit:
            case Unit.REQUESTS | Unit.CALLS:
                claims.append(Claim(limit, 1))
            case Unit.STREAMS if streams:
                claims.append(Claim(limit, 1))
            case Unit.TOKENS if not counting:
                claims.append(Claim(limit, size.tokens))
            case Unit.MONEY if not counting:
                claims.append(Claim(limit, size.nanos or 0))
    return claims


def limit_headers(standings: Iterable[Standing]) -> dict[str, str]:
    """How limits stand, as OpenAI's headers tell it: of each unit the limit of which the least is left."""
    headers: dict[str, str] = {}
    for unit, most, remaining, reset in _TOLD:
        of_unit = [one for one in standings if one.limit.unit is unit]
        if not of_unit:
            continue
        least = min(of_unit, key=_share_left)
        headers[most] = str(least.limit.most)
        headers[remaining] = str(least.remaining)
        headers[reset] = _span(least.reset or 0.0)
    return headers


def _share_left(standing: Standing) -> float:
    most = standing.limit.most
    return 1 - standing.used / most if most else 0.0


def _names(call: Call, plan: Plan[Any]) -> set[str]:
    names = {call.model}
    for leg in plan.legs:
        for candidate in leg.candidates:
            target = candidate.target
            names |= {target.model, f"{target.provider.name}/{target.model}"}
    return names


def _span(seconds: float) -> str:
    """A time as OpenAI writes it, such as `6m0s` or `120ms`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{f'{hours}h' if hours else ''}{f'{minutes}m' if hours or minutes else ''}{left}s"
