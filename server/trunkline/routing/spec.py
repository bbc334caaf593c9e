"""What the configuration says of names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trunkline.core.plan import Policy
from trunkline.core.provider import Provider


@dataclass(frozen=True, slots=True)
class Member:
    """A provider with one of its keys: `key` is that one's label, empty where there is but one."""

    provider: Provider
    kind: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """What answers to a public name: targets as `provider/model`, each with its share, and how they are asked."""

    targets: Sequence[tuple[str, float]]
    strategy: str = "order"
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """Names of models, `*` in one standing for anything, of which `auto/<pool>` picks by `strategy`. Without names,
    every model that is known."""

    models: Sequence[str] = ()
    strategy: str = "balance"
    features: frozenset[str] = frozenset()
    policy: Policy | None = None


BUILT_IN: Mapping[str, PoolSpec] = {
    "chat": PoolSpec(),
    "reasoning": PoolSpec(strategy="quality", features=frozenset({"reasoning"})),
}
"""The pools that are there without being configured, as Routic has them."""


@dataclass(frozen=True, slots=True)
class Spec:
    """All names, and what each leads to.

    `aliases` are other names of models, `*` in one standing for anything; `models` the models that providers are
    configured to have; `policy` holds where a route says nothing else.
    """

    members: Mapping[str, Sequence[Member]]
    routes: Mapping[str, RouteSpec] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, PoolSpec] = field(default_factory=dict)
    models: Mapping[str, Sequence[str]] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
