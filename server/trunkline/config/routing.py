"""How calls find their targets: names, orders, patience, rules."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trunkline.config.section import Section
from trunkline.config.values import Count, Few, Patience, Ratio, Seconds, Target, Text, Weight

Strategy = Literal[
    "order",
    "weighted",
    "inverse_price",
    "price",
    "latency",
    "throughput",
    "least_busy",
    "balance",
    "cost",
    "quality",
    "fast",
]
"""The orders that targets can be put in; docs/routing.md tells what each does."""

Mode = Literal["balance", "balanced", "cost", "quality", "fast", "latency"]


class HedgeConfig(Section):
    """A second attempt beside a slow first one; the one that begins to answer first wins, and the other is stopped."""

    share: Ratio = Field(default=0.05, description="The most calls that are made twice, as a share of all.")
    delay: Seconds | None = Field(
        default=None,
        description="Seconds after which a call is made a second time. Without it, the time in which nineteen of "
        "twenty calls begin to be answered.",
    )


class PolicyConfig(Section):
    """How long a call goes on, and what becomes of an answer that breaks off."""

    retries: Few | None = Field(
        default=None, description="Attempts after each target was asked once; 3 where no one says otherwise."
    )
    backoff: Patience | None = Field(
        default=None,
        description="Seconds before the first attempt at a target that failed, twice as many before each further one, "
        "up to 8; shortened by chance by up to a half. 0.5 where no one says otherwise.",
    )
    timeout: Patience | None = Field(
        default=None,
        description="Seconds after which no further attempt begins; 60 where no one says otherwise. An attempt that "
        "runs goes on.",
    )
    first_event_timeout: Patience | None = Field(
        default=None, description="Seconds that a target has to begin a stream. Without it, the provider's `timeout`."
    )
    first_token_timeout: Patience | None = Field(
        default=None, description="Seconds that a target has until the first piece of its streamed answer."
    )
    between_events_timeout: Patience | None = Field(
        default=None, description="Seconds between two pieces of a streamed answer."
    )
    total_timeout: Patience | None = Field(default=None, description="Seconds that one attempt may take in all.")
    mid_stream: Literal["fail", "restart", "continue"] | None = Field(
        default=None,
        description="What becomes of a streamed answer that breaks off. `fail`, the default: the caller is told. "
        "`restart`: another target begins anew, where nothing was shown yet. `continue`: as `restart`, and where "
        "text was shown, a target whose model can goes on with it, with the seam told in the answer's metadata.",
    )
    hedge: HedgeConfig | None = Field(
        default=None, description="Makes a second attempt beside a slow first one. Without it there is none."
    )


class ModelConfig(PolicyConfig):
    """A public name for models of providers: a route."""

    targets: list[Target] = Field(min_length=1, description="What answers to the name, each as `provider/model`.")
    weights: dict[Target, Weight] = Field(
        default_factory=dict,
        description="Shares of the calls by target, for `weighted` and `least_busy`; 1 by default.",
    )
    strategy: Strategy = Field(
        default="order",
        description="The order in which they are asked: `order` as they stand here, `weighted` by chance and their "
        "weights, `inverse_price` by chance and the square of their prices, `price`, `latency`, `throughput`, "
        "`least_busy` by that alone, and `balance`, `cost`, `quality`, `fast` by cost, quality and latency together.",
    )
    aliases: list[Text] = Field(default_factory=list, description="Other names for the same.")


class PoolConfig(PolicyConfig):
    """Models of which `auto/<pool>` chooses one, of those that can do what a request asks."""

    models: list[Text] = Field(
        default_factory=list,
        description="The names to choose from, `*` standing for anything. Without any, every model that is known.",
    )
    strategy: Strategy = Field(default="balance", description="How the choice is made.")


class BreakerConfig(Section):
    """When a target that fails is left alone for a while."""

    failures: Count = Field(default=5, description="Faults in a row after which it is left alone.")
    cooldown: Seconds = Field(
        default=15.0, description="Seconds for which it is left alone; twice as long after each probe that fails."
    )
    longest: Seconds = Field(default=300.0, description="The most seconds for which it is left alone.")


class MatchConfig(Section):
    """What a request must be for a rule. What is not set is not looked at; all that is set must hold."""

    models: list[Text] = Field(default_factory=list, description="The name that is asked for, `*` for anything.")
    modes: list[Mode] = Field(default_factory=list, description="The auto mode that is asked for.")
    callers: list[Text] = Field(default_factory=list, description="The name of the caller's key.")
    users: list[Text] = Field(default_factory=list, description="The end user that the caller names.")
    surfaces: list[Literal["grpc", "native", "openai", "responses", "anthropic", "gemini"]] = Field(
        default_factory=list, description="The surface that the call came by."
    )
    metadata: dict[Text, Text] = Field(default_factory=dict, description="What the caller notes about the call.")
    headers: dict[Text, Text] = Field(default_factory=dict, description="Headers, by their names in lower case.")
    contains: list[Text] = Field(
        default_factory=list, description="Words of which one is in what the user says, whatever the case."
    )
    min_tokens: Count | None = Field(default=None, description="The least size of the request, in tokens.")
    max_tokens: Count | None = Field(default=None, description="The greatest size of the request, in tokens.")
    tools: bool | None = Field(default=None, description="Whether the request has tools.")
    stream: bool | None = Field(default=None, description="Whether the answer is streamed.")
    hours: Text | None = Field(default=None, description="Hours of the day, UTC, such as `22:00-06:00`.")
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        default_factory=list, description="Days of the week, UTC."
    )


class ActionConfig(Section):
    """What a rule does to a request."""

    model: Text | None = Field(default=None, description="The name to ask for instead.")
    mode: Mode | None = Field(default=None, description="How the target is chosen.")
    provider: Text | None = Field(default=None, description="The only provider to ask.")
    provider_order: list[Text] = Field(default_factory=list, description="The providers to ask first, in order.")
    fallback_models: list[Text] = Field(default_factory=list, description="The models to ask where that one fails.")
    temperature: Patience | None = Field(default=None, description="The temperature, whatever the caller says.")
    max_output_tokens: Count | None = Field(default=None, description="The most tokens to write.")
    reasoning_effort: Text | None = Field(default=None, description="How much to reason, such as `low`.")
    warning: Text | None = Field(default=None, description="A text that the caller is told beside the answer.")


class RuleConfig(Section):
    """A rule that changes requests."""

    name: Text = Field(description="Its name, in records and reports.")
    enabled: bool = Field(default=True, description="Whether it is in force.")
    priority: int = Field(
        default=0,
        ge=-1000,
        le=1000,
        description="Rules of a higher priority are looked at first; the first that matches acts, and no other.",
    )
    match: MatchConfig = Field(default=MatchConfig(), description="The requests that it changes.")
    action: ActionConfig = Field(description="What it does to them.")


class RoutingConfig(PolicyConfig):
    """How calls find their targets. The patience that is set here holds for every route that sets none itself."""

    aliases: dict[Text, Text] = Field(
        default_factory=dict,
        description="Other names of models: a name, in which `*` stands for anything, and the one that is meant.",
    )
    pools: dict[Text, PoolConfig] = Field(
        default_factory=dict,
        description="Pools of models, by name: `auto/<name>` chooses from one. `chat` and `reasoning` are there "
        "without being set: every model, by `balance`, and those that reason, by `quality`.",
    )
    breaker: BreakerConfig = Field(
        default=BreakerConfig(), description="When a target that fails is left alone for a while."
    )
    rules: list[RuleConfig] = Field(
        default_factory=list, description="Rules that change requests before their targets are looked for."
    )
