"""What counts a call: against its limits before it runs, and into the ledger when it ends."""

from __future__ import annotations

from typing import Any, Protocol

from trunkline.call import Call
from trunkline.core.plan import Plan


class Meter(Protocol):
    """Counts calls. Each that `begin` let in is given to either `end` or `leave`, once."""

    async def begin(self, call: Call, plan: Plan[Any]) -> None:
        """Reserve what `call` may use. Raises `GatewayError` where it may not run: RATE_LIMITED, QUOTA_EXCEEDED."""
        ...

    async def end(self, call: Call) -> None:
        """Settle what it used; returns when that cannot be lost any more. Raises `GatewayError` where it can."""
        ...

    def leave(self, call: Call) -> None:
        """As `end`, for a call whose caller does not wait for its end."""
        ...
