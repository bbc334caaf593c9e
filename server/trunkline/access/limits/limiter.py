"""What a limiter does: all that a call may use is reserved in one step before it, and settled in one after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from trunkline.access.limits.model import Claim, Granted, Limit, Refused, Standing, Unit


class UnavailableError(Exception):
    """The counters cannot be reached. Whether what was asked has been done is not known."""


class Limiter(Protocol):
    """Counters that never let in more than their limits.

    What a call uses counts from the moment it was let in. Every method may raise `UnavailableError`.
    """

    async def reserve(self, id: str, claims: Sequence[Claim], lease: float) -> Granted | Refused:  # noqa: A002
        """Book all claims, or none.

        `id` names the call and is used for one reservation only; while it is open, asking again changes nothing. Slots
        that it holds come free when it is settled, or after `lease` seconds without `renew`. Raises `ValueError` where
        two claims are on one counter.
        """
        ...

    async def settle(self, id: str, actual: Mapping[Unit, int]) -> bool:  # noqa: A002
        """Replace what was reserved by what was used, and free the slots. False where there is nothing to settle: it
        was settled before, or is not known (any more).

        Units that `actual` leaves out stay as reserved. Less than was reserved counts as if only that had been
        reserved. More counts, in a rolling window, from now on, since only now it is known, and in a calendar period
        where the call was let in. A reservation whose lease has ended is settled like any other.
        """
        ...

    async def renew(self, ids: Iterable[str], lease: float) -> list[str]:
        """Prolong the leases of running calls: they end `lease` seconds from now. The ids that are not
        known (any more).

        A call that lost its slots because its lease had ended takes them again, since it runs: even if that is more
        than the limit. Nothing new is let in until it is less.
        """
        ...

    async def peek(self, limits: Sequence[Limit]) -> list[Standing]:
        """How the limits stand, in their order."""
        ...

    async def book(self, limit: Limit, amount: int, at: float | None = None) -> None:
        """Correct a counter by `amount`, which may be negative, as of the time `at` (seconds since the epoch; now where
        None). No bucket falls below zero, and what does not count any more is left out. Raises `ValueError` for calls
        and streams, which are held and not booked.
        """
        ...

    async def forget(self, limits: Sequence[Limit]) -> None:
        """Delete the counters, such as those of a deleted key."""
        ...

    async def close(self) -> None:
        """Let go of connections. Reservations stay as they are."""
        ...


class Restorable(Protocol):
    """A `Limiter` whose counters may have lost what was used before."""

    @property
    def generation(self) -> str | None:
        """What tells these counters from others that were there before; None while that is not known."""
        ...

    @property
    def since(self) -> float:
        """Since when these are there, in seconds since the epoch: what ended before is to be restored, and what ended
        later is told by whoever let it in."""
        ...

    async def restored(self, limits: Sequence[Limit]) -> list[bool]:
        """Whether each counter holds what was used before. Raises `UnavailableError`."""
        ...

    async def restore(self, limit: Limit, used: Sequence[tuple[float, int]]) -> None:
        """Add what was used before, unless that was done: times, in seconds since the epoch, and amounts. Raises
        `UnavailableError`."""
        ...
