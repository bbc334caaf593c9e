"""One call through the gateway: who asked, until when, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import Final, Literal, Protocol

from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import FinishReason, Usage
from trunkline.v1.ledger_pb2 import Cost
from trunkline.v1.routes_pb2 import RouteReport

Surface = Literal["grpc", "native", "openai", "responses", "anthropic", "gemini"]
"""The inbound protocol that a call came by."""

Operation = str
"""What was asked for: the name of an RPC in snake case, such as `stream_chat`, or `compact`, which has none; empty
where the request failed before that was known."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what he may do. Names of models and providers may hold `*` for anything; without any, all are
    allowed. `name` is shown in logs; `dialect` is how errors are told to him, `plan` and `tags` are for rules and
    records.
    """

    name: str
    key_id: str = ""
    user_id: str = ""
    team_id: str = ""
    organization_id: str = ""
    plan: str = ""
    admin: bool = False
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    surfaces: frozenset[str] = frozenset()
    dialect: str = ""
    tags: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        """What no two callers share: whose stored things are whose is told by it."""
        return self.key_id or self.name

    @property
    def recorded_as(self) -> str:
        """The id of the key under which calls are recorded: keys of the configuration have a name alone. Empty where
        there is no key."""
        return self.key_id or ("" if self == ANYONE or self.user_id else f"keys/{self.name}")

    @property
    def restricted(self) -> bool:
        """Whether there are models or providers that he may not ask."""
        return bool(self.models or self.providers)

    def may_ask(self, name: str, provider: str, model: str) -> bool:
        """Whether he may ask for `name` and get `model` of `provider`."""
        if self.providers and not any(fnmatchcase(provider, one) for one in self.providers):
            return False
        names = (name, f"{provider}/{model}", model)
        return not self.models or any(fnmatchcase(asked, one) for one in self.models for asked in names)


ANYONE: Final = Caller("anonymous")
"""The caller where there are no keys."""


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
    """One request to one provider. Times are `time.monotonic()` seconds.

    `key` tells which of the provider's keys, where it has several. `whole` tells that the answer came to its end, and
    `estimated` that the provider did not tell all of `usage`. `held` tells that the gateway itself sent nothing, since
    the provider has as many calls as it may. `characters` is how much of a stream came.
    """

    call: Call
    provider: str
    model: str
    key: str = ""
    started: float = field(default_factory=time.monotonic)
    first_event: float | None = None
    ended: float | None = None
    status: int | None = None
    upstream_id: str = ""
    losses: list[Loss] = field(default_factory=list)
    error: GatewayError | None = None
    usage: Usage | None = None
    estimated: bool = False
    characters: int = 0
    whole: bool = False
    held: bool = False

    @property
    def outcome(self) -> str:
        """`ok`, the error's reason in lower case, `abandoned` where it was left before its end, or `running`."""
        if self.error is not None:
            return self.error.name.lower()
        if self.whole:
            return "ok"
        return "running" if self.ended is None else "abandoned"


@dataclass(slots=True)
class Call:
    """One call: made by a surface, filled by the core, told to the observers at its end.

    `id` is what the caller sees as `x-request-id`. `deadline`, like every other time here, is in `time.monotonic()`
    seconds; `start_time` alone is wall-clock seconds since the epoch. `dialect` is the router in whose manner the
    path tells of errors and of the route, empty for that of the surface; `owner` may have another. `strict` refuses
    what a target cannot take rather than leave it out. `traceparent` is the W3C trace context to send upstream, empty
    where there is none.
    `routing_mode` and `rule` tell how the targets were put in order; `report` tells all of it. `metadata` is what the
    caller notes about the call, and `headers` what his transport told, by lower-case name. `warnings` are told to him
    beside the answer, and `limits` are the headers that tell how his limits stand. `plugins` counts what the plugins
    did, such as `web.results`. `cost` is what all attempts cost together, once the call was accounted for; None before,
    and where something of it has no price.
    """

    id: str
    surface: Surface
    operation: Operation = ""
    caller: str = ""
    owner: Caller = ANYONE
    dialect: str = ""
    deadline: float | None = None
    strict: bool = False
    traceparent: str = ""
    model: str = ""
    started: float = field(default_factory=time.monotonic)
    start_time: float = field(default_factory=time.time)
    first_event: float | None = None
    ended: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    answered: Attempt | None = None
    routing_mode: str = ""
    rule: str = ""
    report: Callable[[], RouteReport] | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    warnings: list[str] = field(default_factory=list)
    limits: dict[str, str] = field(default_factory=dict)
    plugins: dict[str, int] = field(default_factory=dict)
    usage: Usage | None = None
    cost: Cost | None = None
    served_model: str = ""
    service_tier: str = ""
    finish: FinishReason.ValueType | None = None
    error: GatewayError | None = None

    def remaining(self) -> float | None:
        """Seconds until the deadline; None where there is none."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    @property
    def provider(self) -> str:
        """The provider that answered, or was asked last; empty before the first attempt."""
        attempt = self.last
        return "" if attempt is None else attempt.provider

    @property
    def losses(self) -> list[Loss]:
        """What the target that answered could not take."""
        attempt = self.last
        return [] if attempt is None else attempt.losses

    @property
    def last(self) -> Attempt | None:
        """The attempt that answered, or else the last one."""
        if self.answered is not None:
            return self.answered
        return self.attempts[-1] if self.attempts else None

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
