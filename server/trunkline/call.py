"""One call through the gateway: who asked, until when, and what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol

from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import FinishReason, Usage

Surface = Literal["grpc", "native", "openai", "responses", "anthropic", "gemini"]
"""The inbound protocol that a call came by."""

Operation = Literal["chat", "stream_chat", "count_tokens", "compact", "embed", "list_models", "get_model", ""]
"""What was asked for; empty where the request failed before that was known."""


class LossKind(Enum):
    """What became of a field that a target could not take as it was."""

    DROPPED = "dropped"
    EMULATED = "emulated"
    APPROXIMATED = "approximated"


@dataclass(frozen=True, slots=True)
class Loss:
    """A field of the request, by its name at the surface, that a target could not take as it was."""

    field: str
    kind: LossKind = LossKind.DROPPED


@dataclass(slots=True)
class Attempt:
    """One request to one provider. Times are `time.monotonic()` seconds."""

    call: Call
    provider: str
    model: str
    started: float = field(default_factory=time.monotonic)
    first_event: float | None = None
    ended: float | None = None
    status: int | None = None
    upstream_id: str = ""
    losses: list[Loss] = field(default_factory=list)
    error: GatewayError | None = None


@dataclass(slots=True)
class Call:
    """One call: made by a surface, filled by the core, told to the observers at its end.

    `id` is what the caller sees as `x-request-id`. `deadline`, like every other time here, is in `time.monotonic()`
    seconds; `start_time` alone is wall-clock seconds since the epoch. `strict` refuses what a target cannot take
    rather than leave it out. `traceparent` is the W3C trace context to send upstream, empty where there is none.
    """

    id: str
    surface: Surface
    operation: Operation = ""
    caller: str = ""
    deadline: float | None = None
    strict: bool = False
    traceparent: str = ""
    model: str = ""
    started: float = field(default_factory=time.monotonic)
    start_time: float = field(default_factory=time.time)
    first_event: float | None = None
    ended: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    usage: Usage | None = None
    served_model: str = ""
    finish: FinishReason.ValueType | None = None
    error: GatewayError | None = None

    def remaining(self) -> float | None:
        """Seconds until the deadline; None where there is none."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    @property
    def provider(self) -> str:
        """The provider asked last; empty before the first attempt."""
        return self.attempts[-1].provider if self.attempts else ""

    @property
    def losses(self) -> list[Loss]:
        """What the target that answered could not take."""
        return self.attempts[-1].losses if self.attempts else []

    @property
    def outcome(self) -> str:
        """`ok`, or the error's reason in lower case, such as `rate_limited`."""
        return "ok" if self.error is None else self.error.name.lower()

    def fail(self, error: GatewayError) -> None:
        """Note why the call failed; the first reason stays."""
        if self.error is None:
            self.error = error

    def cancel(self) -> None:
        """Note that the caller went away."""
        self.fail(GatewayError(errors_pb2.ERROR_REASON_CANCELLED, "The caller went away."))


class Observer(Protocol):
    """What is told of each call. Both methods are called on the event loop and must neither block nor raise."""

    def call_started(self, call: Call) -> None:
        """The caller is known; nothing else yet."""

    def call_ended(self, call: Call) -> None:
        """The last byte is out, or the call failed; `call` does not change any more."""
