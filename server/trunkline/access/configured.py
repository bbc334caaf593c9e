"""Keys, plans and issuers of tokens as the configuration has them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from trunkline.access.directory import Directory
from trunkline.access.grants import Plan, Scope
from trunkline.access.jwks import KeySet, fetch_by
from trunkline.access.keys import Keys
from trunkline.access.tokens import Issuer, Tokens
from trunkline.config.access import AllowanceConfig, ModelAllowanceConfig, PlanConfig, TokenIssuerConfig
from trunkline.config.model import Config
from trunkline.config.problem import ConfigError
from trunkline.v1.keys_pb2 import Limits

_COUNTED: Final = (
    "requests_per_minute",
    "requests_per_hour",
    "requests_per_day",
    "tokens_per_minute",
    "concurrent_calls",
    "concurrent_streams",
)
_MONEY: Final = ("daily", "monthly", "total", "budget")


def keys_of(config: Config, directory: Directory | None = None) -> Keys:
    """What tells callers, by the keys of the configuration and those of `directory`. Raises `ConfigError`."""
    access = config.access
    return Keys(
        [(key.name, key.key.get_secret_value()) for key in config.keys],
        directory=directory,
        tokens=Tokens([_issuer(one) for one in access.tokens]) if access.tokens else None,
        plans=plans_of(config.plans),
        named={key.name: key.plan for key in config.keys if key.plan is not None},
        admin=None if access.admin_key is None else access.admin_key.get_secret_value(),
        required=access.require_key,
    )


def plans_of(plans: Mapping[str, PlanConfig]) -> dict[str, Plan]:
    """The plans by name."""
    return {
        name: Plan(name, Scope(tuple(plan.models), tuple(plan.providers)), _limits(plan.limits))
        for name, plan in plans.items()
    }


def _limits(allowance: ModelAllowanceConfig) -> Limits:
    limits = Limits()
    for name in _COUNTED:
        amount: int | None = getattr(allowance, name)
        if amount is not None:
            setattr(limits, name, amount)
    for name in _MONEY:
        dollars: Decimal | None = getattr(allowance, f"{name}_usd")
        if dollars is not None:
            setattr(limits, f"{name}_nano_usd", int(dollars * 10**9))
    if limits.HasField("budget_nano_usd"):
        limits.budget_days = allowance.budget_days
    if isinstance(allowance, AllowanceConfig):
        for model, each in allowance.models.items():
            limits.models[model].CopyFrom(_limits(each))
    return limits


def _issuer(config: TokenIssuerConfig) -> Issuer:
    keys: str | KeySet
    algorithms: list[str]
    if config.jwks_url is not None:
        try:
            context = ssl.create_default_context(cafile=config.jwks_ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError([f"access.tokens: `{config.jwks_ca}` cannot be used: {error}."]) from None
        keys, algorithms = KeySet(config.jwks_url, config.algorithms, fetch_by(context)), list(config.algorithms)
    else:
        keys, algorithms = config.secret.get_secret_value() if config.secret is not None else "", ["HS256"]
    return Issuer(
        name=config.name,
        keys=keys,
        algorithms=algorithms,
        issuer=config.issuer,
        audience=config.audience,
        leeway=config.leeway,
        plan=config.plan or "",
        plan_claim=config.plan_claim,
        scope_claim=config.scope_claim,
        scopes=config.scopes,
        known_users=config.known_users,
    )
