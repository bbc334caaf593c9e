"""What counts a call: against its limits before it runs, and into the ledger when it ends."""

from __future__ import annotations

from typing import Any, Protocol

from trunkline.call import Call
from trunkline.core.plan import Plan


class Tab(Protocol):
    """What was reserved for one call that runs. One of its methods is called, once."""

    async def end(self) -> None:
        """Settle what the call used; returns when that cannot be lost any more. Raises `GatewayError` where it can."""
        ...

    def leave(self) -> None:
        """As `end`, for a call whose caller does not wait for its end."""
        ...


class Meter(Protocol):
    """Counts calls."""

    async def check(self, call: Call) -> None:
        """Raise `GatewayError` where nothing is left of a limit: asked before work that costs something by itself and
        that comes before it is known what the call may use."""
        ...

    async def begin(self, call: Call, plan: Plan[Any]) -> Tab:
        """Reserve what `call` may use. Raises `GatewayError` where it may not run, such as RATE_LIMITED or
        QUOTA_EXCEEDED."""
        ...
