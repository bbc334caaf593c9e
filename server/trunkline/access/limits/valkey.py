"""Limits in Valkey, shared by all replicas: one script, one round trip for each step, one clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Final, Literal
from uuid import uuid4

import msgspec

from trunkline.access.limits.memory import RETENTION, Clock
from trunkline.access.limits.model import SECOND, Claim, Granted, Limit, Refused, Standing, Unit, distinct, refused
from trunkline.access.limits.script import TIMEOUT, Script

_SOURCE: Final = resources.files(__package__).joinpath("limits.lua").read_text("utf-8")

_Standing = tuple[int, int]
"""What is used, and in how many microseconds nothing of it is; -1 where time does not bring that."""


class _Asked(msgspec.Struct, omit_defaults=True):
    """What the script is asked. `now` is in place of the server's time, in tests."""

    now: int | None = None
    generation: str | None = None


class _Reserve(_Asked, kw_only=True, omit_defaults=True):
    id: str
    claims: Sequence[Claim]
    lease: int
    retention: int
    at: int | None = None
    forced: bool = False


class _Settle(_Asked, kw_only=True, omit_defaults=True):
    id: str
    actual: Mapping[Unit, int]


class _Renew(_Asked, kw_only=True, omit_defaults=True):
    ids: Sequence[str]
    lease: int
    retention: int


class _Limits(_Asked, kw_only=True, omit_defaults=True):
    limits: Sequence[Limit]


class _Book(_Asked, kw_only=True, omit_defaults=True):
    limit: Limit
    amount: int
    at: int | None = None


class _Restore(_Asked, kw_only=True, omit_defaults=True):
    limit: Limit
    used: Sequence[tuple[int, int]]


class _Meet(_Asked, kw_only=True, omit_defaults=True):
    token: str


class _Reserved(msgspec.Struct, array_like=True):
    outcome: Literal["granted", "refused", "settled"]
    standings: list[tuple[int, int, int]]


_encode: Final = msgspec.msgpack.Encoder().encode
_reserved: Final = msgspec.msgpack.Decoder(_Reserved).decode
_settled: Final = msgspec.msgpack.Decoder(bool).decode
_renewed: Final = msgspec.msgpack.Decoder(list[str]).decode
_peeked: Final = msgspec.msgpack.Decoder(list[_Standing]).decode
_restored: Final = msgspec.msgpack.Decoder(list[bool]).decode
_met: Final = msgspec.msgpack.Decoder(tuple[str, bool]).decode


class ValkeyLimiter:
    """A `Limiter` whose counters are in Valkey (7.2 or later, or Redis 7).

    All keys begin with `{namespace}`, so that they are on one node, on which each step is one run of a script. The
    time is the server's: clocks of replicas do not matter, but the server's must not be set back. `clock` replaces it
    in tests. Where `generation` is set, counters of another one are `UnavailableError`: a server that was started anew
    and is empty is not taken for one on which nothing is used.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "trunkline:limits",
        timeout: float = TIMEOUT,
        retention: float = RETENTION,
        clock: Clock | None = None,
    ) -> None:
        self._script = Script(url, _SOURCE, f"{{{namespace}}}", timeout)
        self._retention = round(retention * 1000)
        self._clock = clock
        self.generation: str | None = None

    async def reserve(self, id: str, claims: Sequence[Claim], lease: float) -> Granted | Refused:  # noqa: A002
        """See `Limiter`. Raises `ValueError` too where the call has been settled."""
        return await self._reserve(id, claims, lease)

    async def adopt(self, id: str, claims: Sequence[Claim], lease: float, at: float) -> None:  # noqa: A002
        """Book the claims of a call that was let in elsewhere at `at` (seconds since the epoch), fit they or not.

        Does nothing where the call is known already, or settled.
        """
        try:
            await self._reserve(id, claims, lease, at=round(at * SECOND), forced=True)
        except ValueError:
            return

    async def settle(self, id: str, actual: Mapping[Unit, int]) -> bool:  # noqa: A002
        """See `Limiter`."""
        return _settled(
            await self._script.call(
                "settle", _encode(_Settle(id=id, actual=actual, now=self._now(), generation=self.generation))
            )
        )

    async def renew(self, ids: Iterable[str], lease: float) -> list[str]:
        """See `Limiter`."""
        asked = _Renew(
            ids=list(ids),
            lease=round(lease * SECOND),
            retention=self._retention,
            now=self._now(),
            generation=self.generation,
        )
        return _renewed(await self._script.call("renew", _encode(asked)))

    async def peek(self, limits: Sequence[Limit]) -> list[Standing]:
        """See `Limiter`."""
        answer = _peeked(
            await self._script.call(
                "peek", _encode(_Limits(limits=limits, now=self._now(), generation=self.generation))
            )
        )
        return [_standing(limit, used, reset) for limit, (used, reset) in zip(limits, answer, strict=True)]

    async def book(self, limit: Limit, amount: int, at: float | None = None) -> None:
        """See `Limiter`."""
        if limit.window.kind == "held":
            raise ValueError(f"The limit {limit.id}: {limit.unit} are held and cannot be booked.")
        when = None if at is None else round(at * SECOND)
        await self._script.call(
            "book", _encode(_Book(limit=limit, amount=amount, at=when, now=self._now(), generation=self.generation))
        )

    async def forget(self, limits: Sequence[Limit]) -> None:
        """See `Limiter`."""
        await self._script.call("forget", _encode(_Limits(limits=limits, now=self._now(), generation=self.generation)))

    @property
    def since(self) -> float:
        """See `Restorable`."""
        return 0.0 if self.generation is None else int(self.generation.rpartition("@")[2]) / SECOND

    async def restored(self, limits: Sequence[Limit]) -> list[bool]:
        """See `Restorable`."""
        asked = _Limits(limits=limits, now=self._now(), generation=self.generation)
        return _restored(await self._script.call("restored", _encode(asked)))

    async def restore(self, limit: Limit, used: Sequence[tuple[float, int]]) -> None:
        """See `Restorable`."""
        amounts = [(round(at * SECOND), amount) for at, amount in used]
        asked = _Restore(limit=limit, used=amounts, now=self._now(), generation=self.generation)
        await self._script.call("restore", _encode(asked))

    async def meet(self) -> tuple[str, bool]:
        """What tells these counters from others: their generation; and whether this is the first who asks, and so the
        one who may have to rebuild them.
        """
        return _met(await self._script.call("meet", _encode(_Meet(token=uuid4().hex, now=self._now()))))

    async def ping(self) -> None:
        """Return when Valkey answers. Raises `UnavailableError`."""
        await self._script.ping()

    async def close(self) -> None:
        """See `Limiter`."""
        await self._script.close()

    async def _reserve(
        self,
        id: str,  # noqa: A002
        claims: Sequence[Claim],
        lease: float,
        *,
        at: int | None = None,
        forced: bool = False,
    ) -> Granted | Refused:
        distinct(claims)
        asked = _Reserve(
            id=id,
            claims=claims,
            lease=round(lease * SECOND),
            retention=self._retention,
            at=at,
            forced=forced,
            now=self._now(),
            generation=self.generation,
        )
        answer = _reserved(await self._script.call("reserve", _encode(asked)))
        if answer.outcome == "settled":
            raise ValueError(f"The call {id} has been settled: it cannot reserve again.")
        standings = tuple(
            [
                _standing(claim.limit, used, reset)
                for claim, (used, reset, _) in zip(claims, answer.standings, strict=True)
            ]
        )
        if answer.outcome == "granted":
            return Granted(standings)
        return refused(claims, standings, [None if wait < 0 else wait for _, _, wait in answer.standings])

    def _now(self) -> int | None:
        return None if self._clock is None else self._clock()


def _standing(limit: Limit, used: int, reset: int) -> Standing:
    return Standing(limit, used, None if reset < 0 else reset / SECOND)
