"""What a caller may do: the least of what his key, its owners and their plans allow, worked out once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from trunkline.access.limits.model import CALENDAR_DAY, CALENDAR_MONTH, HELD, TOTAL, Limit, Unit, Window, rolling
from trunkline.call import Caller
from trunkline.v1.keys_pb2 import Key, Limits, Organization, Team, User

BUDGET_DAYS: Final = 30
"""The days of a budget that does not tell them."""

_DAY: Final = 86_400

_FIELDS: Final[tuple[tuple[str, Unit, Window], ...]] = (
    ("requests_per_minute", Unit.REQUESTS, rolling(60)),
    ("requests_per_hour", Unit.REQUESTS, rolling(3600)),
    ("requests_per_day", Unit.REQUESTS, rolling(_DAY)),
    ("tokens_per_minute", Unit.TOKENS, rolling(60)),
    ("concurrent_calls", Unit.CALLS, HELD),
    ("concurrent_streams", Unit.STREAMS, HELD),
    ("daily_nano_usd", Unit.MONEY, CALENDAR_DAY),
    ("monthly_nano_usd", Unit.MONEY, CALENDAR_MONTH),
    ("total_nano_usd", Unit.MONEY, TOTAL),
)


@dataclass(frozen=True, slots=True)
class Scope:
    """The models and the providers that may be asked, as in `Caller`."""

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.models or self.providers)

    def allows(self, name: str, provider: str, model: str) -> bool:
        """Whether `name` may be asked for, and `model` of `provider` answer."""
        if self.providers and not any(fnmatchcase(provider, one) for one in self.providers):
            return False
        names = (name, f"{provider}/{model}", model)
        return not self.models or any(fnmatchcase(asked, one) for one in self.models for asked in names)


@dataclass(frozen=True, slots=True)
class Plan:
    """A named set of limits and of allowed models, as the configuration has it."""

    name: str
    scope: Scope
    limits: Limits


@dataclass(frozen=True, slots=True)
class Granted(Caller):
    """A caller with limits. `within` are the scopes of his owners and plans: what he may ask is what each of them and
    his own allow."""

    within: tuple[Scope, ...] = ()
    limits: tuple[Limit, ...] = ()

    @property
    def restricted(self) -> bool:
        """See `Caller.restricted`."""
        return bool(self.within or self.models or self.providers)

    def may_ask(self, name: str, provider: str, model: str) -> bool:
        """See `Caller.may_ask`."""
        if not all(scope.allows(name, provider, model) for scope in self.within):
            return False
        return Caller.may_ask(self, name, provider, model)


@dataclass(frozen=True, slots=True)
class Owners:
    """Whose key it is."""

    user: User | None = None
    team: Team | None = None
    organization: Organization | None = None

    @property
    def all(self) -> list[tuple[str, User | Team | Organization]]:
        """Each with what it is."""
        every = (("user", self.user), ("team", self.team), ("organization", self.organization))
        return [(kind, owner) for kind, owner in every if owner is not None]

    @property
    def disabled(self) -> str:
        """What the owner is whose keys are refused; empty where there is none."""
        return next((kind for kind, owner in self.all if owner.disabled), "")


def limits_of(caller: Caller) -> Sequence[Limit]:
    """The limits of a caller, those of his owners and plans among them."""
    return caller.limits if isinstance(caller, Granted) else ()


def grant_key(key: Key, owners: Owners, plans: Mapping[str, Plan]) -> Granted:
    """What may be done with `key`. Raises `LookupError` with the name of a plan that there is not."""
    user_plan = owners.user.plan if owners.user is not None else ""
    named = _plans((key.plan, user_plan), plans)
    limits = [*limits_in(key.limits, f"key:{key.id}", "key")]
    limits += _shared_limits(owners, named, key.user_id or key.id)
    return Granted(
        name=key.name,
        key_id=key.id,
        user_id=key.user_id,
        team_id=key.team_id,
        organization_id=key.organization_id,
        plan=key.plan or user_plan,
        admin=key.admin,
        models=tuple(key.models),
        providers=tuple(key.providers),
        surfaces=frozenset(key.surfaces),
        dialect=key.dialect,
        tags=_tags(key.tags, owners),
        within=_scopes(owners, named),
        limits=tuple(limits),
    )


def grant_user(name: str, owners: Owners, plan: str, models: tuple[str, ...], plans: Mapping[str, Plan]) -> Granted:
    """What a user may do who is known by a token, to whose issuer he is `name`. `plan` and `models` are what the token
    says. Raises `LookupError` with the name of a plan that there is not."""
    user = owners.user
    named = _plans((plan, user.plan if user is not None else ""), plans)
    return Granted(
        name=name,
        user_id=name if user is None else user.id,
        team_id="" if user is None else user.team_id,
        organization_id="" if user is None else user.organization_id,
        plan=plan or ("" if user is None else user.plan),
        models=models,
        tags=_tags((), owners),
        within=_scopes(owners, named),
        limits=tuple(_shared_limits(owners, named, name if user is None else user.id)),
    )


def grant_static(name: str, plan: str, plans: Mapping[str, Plan]) -> Granted:
    """What may be done with a key of the configuration. Raises `LookupError` as `grant_key`."""
    named = _plans((plan,), plans)
    limits = tuple(_shared_limits(Owners(), named, f"keys/{name}"))
    return Granted(name=name, plan=plan, within=_scopes(Owners(), named), limits=limits)


def limits_in(limits: Limits, counter: str, owner: str, scope: str = "") -> Iterator[Limit]:
    """Each limit that is set. `counter` begins the names of the counters, `owner` tells people whose they are."""
    ending = f":{scope}" if scope else ""
    there = {field.name for field, _ in limits.ListFields()}
    for field, unit, window in _FIELDS:
        if field in there:
            yield Limit(f"{counter}:{unit}{ending}", unit, getattr(limits, field), window, owner, scope)
    if "budget_nano_usd" in there:
        window = rolling((limits.budget_days or BUDGET_DAYS) * _DAY)
        yield Limit(f"{counter}:{Unit.MONEY}{ending}", Unit.MONEY, limits.budget_nano_usd, window, owner, scope)
    for model, each in sorted(limits.models.items()):
        yield from limits_in(each, counter, owner, model)


def _plans(names: Sequence[str], plans: Mapping[str, Plan]) -> list[Plan]:
    """The plans of these names, each once."""
    return [plans[name] for name in dict.fromkeys(names) if name]


def _shared_limits(owners: Owners, plans: Sequence[Plan], subscriber: str) -> Iterator[Limit]:
    """What all keys of an owner share; those of a plan are shared by the keys of its subscriber."""
    for kind, owner in owners.all:
        yield from limits_in(owner.limits, f"{kind}:{owner.id}", kind)
    for plan in plans:
        yield from limits_in(plan.limits, f"plan:{plan.name}:{subscriber}", "plan")


def _scopes(owners: Owners, plans: Sequence[Plan]) -> tuple[Scope, ...]:
    scopes = [Scope(tuple(owner.models), tuple(owner.providers)) for _, owner in owners.all]
    return tuple(scope for scope in (*scopes, *(plan.scope for plan in plans)) if scope)


def _tags(own: Sequence[str], owners: Owners) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*own, *(tag for _, owner in owners.all for tag in owner.tags)]))
