"""Where a call may go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from trunkline.core.provider import Provider
from trunkline.errors import GatewayError

if TYPE_CHECKING:
    from trunkline.call import Attempt


class Pulse(Protocol):
    """How a target does. Times are `time.monotonic()` seconds."""

    def wait(self, now: float) -> float:
        """Seconds until the target may be asked; zero where it may be now."""
        ...

    def why(self) -> GatewayError | None:
        """The error for which the target is left alone."""
        ...

    def last_resort(self, now: float) -> bool:
        """Whether it may be asked though it is left alone, as nobody else is left to ask. Whoever is told so asks."""
        ...

    def began(self, attempt: Attempt) -> None:
        """It is asked."""
        ...

    def ended(self, attempt: Attempt) -> None:
        """It answered, failed, or was left; `attempt` tells which."""
        ...

    def slow(self) -> float | None:
        """Seconds in which nineteen of twenty calls have begun to be answered; None where too few were made."""
        ...


class Steady:
    """The pulse of a target that nobody watches."""

    def wait(self, now: float) -> float:
        """See `Pulse.wait`."""
        return 0.0

    def why(self) -> GatewayError | None:
        """See `Pulse.why`."""
        return None

    def last_resort(self, now: float) -> bool:
        """See `Pulse.last_resort`."""
        return True

    def began(self, attempt: Attempt) -> None:
        """See `Pulse.began`."""

    def ended(self, attempt: Attempt) -> None:
        """See `Pulse.ended`."""

    def slow(self) -> float | None:
        """See `Pulse.slow`."""
        return None


STEADY = Steady()


@dataclass(frozen=True, slots=True)
class Target:
    """A provider, its own name for a model, and which of the provider's keys is used, where it has several.

    `prefills` tells whether the model goes on with a message of its own that a request ends with.
    """

    provider: Provider
    model: str
    key: str = ""
    pulse: Pulse = STEADY
    prefills: bool = False

    @property
    def id(self) -> str:
        """What names the target: `provider/model`, and `provider#key/model` where the provider has several keys."""
        name = f"{self.provider.name}#{self.key}" if self.key else self.provider.name
        return f"{name}/{self.model}"
