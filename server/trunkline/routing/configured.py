"""Names, patience and rules as the configuration has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from trunkline.config.model import Config, ProviderConfig
from trunkline.config.routing import ActionConfig, MatchConfig, PolicyConfig, RuleConfig
from trunkline.core.hedge import Hedge
from trunkline.core.plan import MidStream, Policy
from trunkline.core.provider import Provider
from trunkline.routing.health import Breaker
from trunkline.routing.made import hours_of
from trunkline.routing.rules import Action, MadeRules, Match, Rule, Rules
from trunkline.routing.spec import BUILT_IN, Member, PoolSpec, RouteSpec, Spec
from trunkline.v1.chat_pb2 import ChatRequest

_T = TypeVar("_T")

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def spec_of(config: Config, settings: Mapping[str, ProviderConfig], providers: Mapping[str, Provider]) -> Spec:
    """All names. `settings` are those of each provider; `providers` each one, as `name`, or as `name#key` for each of
    its keys where it has several. Raises `ValueError` for a target whose provider is not there."""
    members: dict[str, list[Member]] = {}
    for key, provider in providers.items():
        name, _, label = key.partition("#")
        members.setdefault(name, []).append(Member(provider, settings[name].kind, label))
    policy = _policy(config.routing, Policy())
    routes: dict[str, RouteSpec] = {}
    for name, model in config.models.items():
        targets = [(target, model.weights.get(target, 1.0)) for target in model.targets]
        route = RouteSpec(targets, model.strategy, _policy(model, policy))
        routes.update(dict.fromkeys((name, *model.aliases), route))
    pools = {
        name: PoolSpec(
            pool.models,
            pool.strategy,
            BUILT_IN[name].features if name in BUILT_IN and not pool.models else frozenset(),
            _policy(pool, policy),
        )
        for name, pool in config.routing.pools.items()
    }
    models = {name: provider.models for name, provider in settings.items() if provider.models}
    return Spec(members, routes, config.routing.aliases, pools, models, policy)


def rules_of(config: Config, made: MadeRules | None = None) -> Rules:
    """The rules, with those of `made` beside them."""
    return Rules([_rule(rule) for rule in config.routing.rules], made)


def breaker_of(config: Config) -> Breaker:
    """When targets are left alone."""
    breaker = config.routing.breaker
    return Breaker(breaker.failures, breaker.cooldown, breaker.longest)


def target_names(config: Config) -> dict[str, Sequence[str]]:
    """Each public name, and its targets as `provider/model`."""
    return {name: model.targets for name, model in config.models.items()}


def _policy(config: PolicyConfig, default: Policy) -> Policy:
    """The patience of a route: its own, or else that of all."""
    hedge = default.hedge if config.hedge is None else Hedge(config.hedge.share, config.hedge.delay)
    return Policy(
        retries=_or(config.retries, default.retries),
        backoff=_or(config.backoff, default.backoff),
        timeout=_or(config.timeout, default.timeout),
        first_event=_or(config.first_event_timeout, default.first_event),
        first_token=_or(config.first_token_timeout, default.first_token),
        between_events=_or(config.between_events_timeout, default.between_events),
        total=_or(config.total_timeout, default.total),
        mid_stream=default.mid_stream if config.mid_stream is None else MidStream(config.mid_stream),
        hedge=hedge,
    )


def _or(value: _T | None, default: _T) -> _T:
    return default if value is None else value


def _rule(rule: RuleConfig) -> Rule:
    return Rule(rule.name, _match(rule.match), _action(rule.action), rule.priority, rule.enabled)


def _match(match: MatchConfig) -> Match:
    return Match(
        models=match.models,
        modes=match.modes,
        callers=match.callers,
        users=match.users,
        surfaces=match.surfaces,
        metadata=match.metadata,
        headers={name.lower(): value for name, value in match.headers.items()},
        contains=match.contains,
        min_tokens=match.min_tokens,
        max_tokens=match.max_tokens,
        tools=match.tools,
        stream=match.stream,
        hours=None if match.hours is None else hours_of(match.hours),
        days=frozenset(_DAYS.index(day) for day in match.days),
    )


def _action(action: ActionConfig) -> Action:
    parameters = ChatRequest()
    if action.temperature is not None:
        parameters.sampling.temperature = action.temperature
    if action.max_output_tokens is not None:
        parameters.max_output_tokens = action.max_output_tokens
    if action.reasoning_effort is not None:
        parameters.reasoning.effort = action.reasoning_effort
    return Action(
        model=action.model or "",
        mode=action.mode or "",
        provider_order=action.provider_order,
        allowed_providers=[action.provider] if action.provider is not None else (),
        fallback_models=action.fallback_models,
        parameters=parameters if parameters.ByteSize() else None,
        warning=action.warning or "",
    )
