"""What can be said of models in the configuration: facts and prices."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trunkline.config.section import Section
from trunkline.config.values import Count, Day, Dollars, Ratio, Text

Modality = Literal["text", "image", "audio", "video", "file", "embeddings"]
Feature = Literal[
    "tools",
    "parallel_tools",
    "json_object",
    "json_schema",
    "reasoning",
    "reasoning_off",
    "sampling",
    "stop",
    "logprobs",
    "prefill",
    "web_search",
    "cache",
]
"""What a model can be asked for; docs/models.md tells what each means."""


class RatesConfig(Section):
    """Prices, in US dollars per million tokens."""

    input: Dollars = Field(description="What the model reads, in dollars per million tokens, as all that follow.")
    output: Dollars = Field(description="What it writes; 0 where it writes nothing, as one that embeds.")
    cached_input: Dollars | None = Field(default=None, description="What is read from a cache; by default as `input`.")
    cache_write: Dollars | None = Field(default=None, description="What is written to a cache; by default as `input`.")
    cache_write_1h: Dollars | None = Field(
        default=None, description="What is cached for an hour; by default as `cache_write`."
    )
    reasoning: Dollars | None = Field(default=None, description="What it reasons; by default as `output`.")
    input_audio: Dollars | None = Field(default=None, description="Sound that it hears; by default as `input`.")
    input_image: Dollars | None = Field(default=None, description="Images that it sees; by default as `input`.")
    input_video: Dollars | None = Field(default=None, description="Video that it sees; by default as `input`.")
    output_audio: Dollars | None = Field(default=None, description="Sound that it makes; by default as `output`.")
    output_image: Dollars | None = Field(default=None, description="Images that it makes; by default as `output`.")
    request: Dollars | None = Field(default=None, description="What each call costs, in dollars.")
    search: Dollars | None = Field(
        default=None, description="What each search of the web costs that the provider makes, in dollars."
    )


class PriceTierConfig(RatesConfig):
    """The prices of all tokens of a call that reads more than so many."""

    above: Count = Field(description="The input tokens above which these prices hold, for all tokens of the call.")


class PriceListConfig(RatesConfig):
    """Prices, and since when they hold."""

    since: Day | None = Field(
        default=None, description="The day from which on the prices hold, at 00:00 UTC. Without it they always hold."
    )
    tiers: list[PriceTierConfig] = Field(default_factory=list, description="Prices of calls that read more.")


class CatalogModelConfig(Section):
    """What is known of the models that a name stands for. What is not said here is as the gateway knows it."""

    name: Text | None = Field(default=None, description="A name to show.")
    author: Text | None = Field(default=None, description="Who made it.")
    created: Day | None = Field(default=None, description="The day of its release.")
    context: Count | None = Field(default=None, description="The most tokens that fit in a conversation.")
    max_output: Count | None = Field(default=None, description="The most tokens that fit in an answer.")
    input: list[Modality] | None = Field(default=None, description="What it reads.")
    output: list[Modality] | None = Field(default=None, description="What it writes.")
    features: list[Feature] | None = Field(default=None, description="What it can be asked for.")
    quality: Ratio | None = Field(
        default=None, description="How good it is, for choosing between models by their quality."
    )
    quantization: Text | None = Field(default=None, description="How its weights are stored, such as `fp8`.")
    retains_data: bool | None = Field(default=None, description="Whether the provider keeps what it is sent.")
    zero_data_retention: bool | None = Field(
        default=None, description="Whether the provider has agreed to keep nothing at all."
    )
    distillable: bool | None = Field(
        default=None, description="Whether its author allows others to learn from its answers."
    )
    prices: list[PriceListConfig] = Field(
        default_factory=list,
        description="Its price lists. Of those that hold, the last one counts, and it goes before those that the "
        "gateway knows. A price of 0 makes a model free; one without any price is unpriced, which is not the same.",
    )
