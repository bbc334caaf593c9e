"""Providers from their configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aiohttp.abc import AbstractResolver

from trunkline.config.model import MediaConfig, ProviderConfig
from trunkline.core.provider import Provider
from trunkline.dialects.custom import RESPONSES
from trunkline.dialects.openai.profile import OPENAI, Profile
from trunkline.providers import anthropic, azure, bedrock, cohere, deepseek, gemini, mistral, responses, vertex
from trunkline.providers.batches import Batches
from trunkline.providers.choices import Choices
from trunkline.providers.compatible import PRESETS, Preset, reach
from trunkline.providers.completions import Continuing
from trunkline.providers.custom_tools import CustomTools
from trunkline.providers.fetch import Fetcher
from trunkline.providers.http import HttpProvider
from trunkline.providers.inline import Inlining
from trunkline.providers.openai import OpenAIProvider
from trunkline.providers.queue import Gate, Queued
from trunkline.providers.sim.transport import SimTransport
from trunkline.providers.structured import Emulated

_MEDIA: Final = MediaConfig()


def _compatible(preset: Preset) -> Callable[[str, ProviderConfig], HttpProvider]:
    def make(name: str, config: ProviderConfig) -> HttpProvider:
        transport, headers = reach(name, config, preset)
        if preset.responses:
            return responses.OpenAIFamilyProvider(
                name, transport, headers, preset.profile, config.models, own_models=preset.profile is OPENAI
            )
        return OpenAIProvider(name, transport, headers, preset.profile, config.models)

    return make


def _sim(name: str, config: ProviderConfig) -> HttpProvider:
    return OpenAIProvider(name, SimTransport(), {}, Profile(), config.models)


_MAKERS: Final[dict[str, Callable[[str, ProviderConfig], HttpProvider]]] = {
    **{kind: _compatible(preset) for kind, preset in PRESETS.items()},
    "anthropic": anthropic.make,
    "azure": azure.make,
    "bedrock": bedrock.make,
    "cohere": cohere.make,
    "deepseek": deepseek.make,
    "gemini": gemini.make,
    "mistral": mistral.make,
    "vertex": vertex.make,
    "openai": responses.make_openai,
    "openai-responses": responses.make,
    "sim": _sim,
}

KINDS: Final = frozenset(_MAKERS)
"""Every kind of provider there is."""


def build_providers(
    configs: Mapping[str, ProviderConfig], media: MediaConfig = _MEDIA, resolver: AbstractResolver | None = None
) -> dict[str, Provider]:
    """Make each provider; nothing is connected yet. `resolver` looks up the hosts of media, where not the machine's.

    One that has several keys is there once for each, as `name#label`. Raises `ValueError`, naming the setting, where
    one lacks what its kind needs.
    """
    fetcher = Fetcher(media, resolver) if media.fetch else None
    providers: dict[str, Provider] = {}
    for name, config in configs.items():
        most = config.max_concurrency
        gate = None if most is None else Gate(name, most, config.max_queue)
        for key, one in _by_key(name, config).items():
            providers[key] = complete(make_provider(name, one), fetcher, gate)
    return providers


def _by_key(name: str, config: ProviderConfig) -> dict[str, ProviderConfig]:
    if not config.api_keys:
        return {name: config}
    return {
        f"{name}#{label}": config.model_copy(update={"api_key": key, "api_keys": {}})
        for label, key in config.api_keys.items()
    }


def complete(provider: HttpProvider, fetcher: Fetcher | None, gate: Gate | None = None) -> Provider:
    """The provider with what makes up for what it cannot do itself. Media stay where they are without a fetcher."""
    whole: Provider = provider if gate is None else Queued(provider, gate)
    if not provider.native_choices:
        whole = Choices(whole)
    if RESPONSES not in provider.custom_tools:
        whole = CustomTools(whole, provider.custom_tools)
    whole = Batches(whole, provider.most_inputs)
    whole = Continuing(Emulated(whole, provider.structured_output), provider.completions(), provider.continues)
    return whole if fetcher is None else Inlining(whole, provider.fetches, fetcher)


def make_provider(name: str, config: ProviderConfig) -> HttpProvider:
    """One provider, without what makes up for what it cannot do. Raises `ValueError` as `build_providers`."""
    return _MAKERS[config.kind](name, config)
