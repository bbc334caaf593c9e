"""What one configuration makes: a gateway, its providers and its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trunkline.access.configured import keys_of
from trunkline.access.directory import Directory
from trunkline.access.keys import Keys
from trunkline.catalog.catalog import Catalog
from trunkline.catalog.configured import overrides
from trunkline.catalog.facts import Facts
from trunkline.config.discover import discover
from trunkline.config.model import Config, ProviderConfig
from trunkline.config.problem import ConfigError
from trunkline.core.check import Limits
from trunkline.core.gateway import Gateway
from trunkline.core.meter import Meter
from trunkline.core.plugin import Plugins
from trunkline.core.provider import Provider
from trunkline.errors import GatewayError
from trunkline.plugins.build import build_plugins
from trunkline.plugins.file_parser import UnreachedError
from trunkline.providers.build import build_providers
from trunkline.providers.fetch import Fetcher, RefusedError
from trunkline.providers.parameters import parameters_of
from trunkline.routing.affinity import Affinity
from trunkline.routing.configured import breaker_of, rules_of, spec_of, target_names
from trunkline.routing.describe import Describer
from trunkline.routing.health import Board
from trunkline.routing.listing import Listing
from trunkline.routing.names import Names
from trunkline.routing.router import Router
from trunkline.routing.rules import MadeRules


@dataclass(frozen=True, slots=True)
class House:
    """What one configuration makes: replaced as a whole when it is reloaded."""

    config: Config
    providers: Mapping[str, Provider]
    plugins: Plugins
    gateway: Gateway
    board: Board
    affinity: Affinity
    keys: Keys

    async def close(self) -> None:
        """Wait for the running calls, then close every connection to a provider."""
        await self.gateway.drained()
        for provider in self.providers.values():
            await provider.close()
        await self.plugins.close()
        await self.keys.close()


async def build(
    config: Config,
    environ: Mapping[str, str],
    before: House | None = None,
    meter: Meter | None = None,
    made: MadeRules | None = None,
    directory: Directory | None = None,
) -> House:
    """Make what `config` describes. Of the house `before` it is taken over how targets did and where conversations
    are; `meter` counts its calls, `made` holds the rules that were made by API, and `directory` the keys. Raises
    `ConfigError`."""
    keys = keys_of(config, directory)
    settings = await discover(config, environ)
    try:
        providers = build_providers(settings, config.media)
        spec = spec_of(config, settings, providers)
    except ValueError as error:
        raise ConfigError([str(error)]) from None
    asked = {provider.name: provider for provider in providers.values() if _is_asked(settings[provider.name], config)}
    limits = Limits(messages=config.limits.messages, tools=config.limits.tools)
    kinds = {name: provider.kind for name, provider in settings.items()}
    catalog = Catalog(overrides(config.catalog))
    listing = Listing(target_names(config), list(asked.values()), Describer(catalog, kinds, parameters_of))
    board, affinity = (Board(), Affinity()) if before is None else (before.board, before.affinity)
    board.breaker = breaker_of(config)
    router = Router(Names(spec, catalog, board, listing), affinity, rules_of(config, made))
    plugins = _plugins(config, router.names)
    gateway = Gateway(router, listing, limits, plugins, meter)
    return House(config, providers, plugins, gateway, board, affinity, keys)


def _plugins(config: Config, names: Names) -> Plugins:
    """The plugins, which know the models of requests, and fetch files as they are fetched for providers."""
    fetcher = Fetcher(config.media) if config.media.fetch else None

    async def facts(model: str) -> list[Facts]:
        try:
            meaning = await names.resolve(model)
        except GatewayError:
            return []  # the plan says why
        return [offer.facts for offer in meaning.offers if offer.known]

    async def fetch(address: str) -> bytes:
        if fetcher is None:
            raise UnreachedError("none is fetched here; send its data")
        one = fetcher.begin()
        try:
            async with one.session:
                return (await fetcher.fetch(one, address))[0]
        except RefusedError as error:
            raise UnreachedError(str(error)) from None

    try:
        return build_plugins(config.plugins, facts, fetch)
    except ValueError as error:
        raise ConfigError([str(error)]) from None


def _is_asked(settings: ProviderConfig, config: Config) -> bool:
    """Whether a provider's models are listed: by default where the configuration names none itself."""
    return settings.list_models if settings.list_models is not None else not config.models
