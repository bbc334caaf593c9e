"""The plugins, from their configuration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from trunkline.catalog.facts import Facts
from trunkline.config.plugins import PluginsConfig
from trunkline.core.plugin import Plugins
from trunkline.errors import GatewayError
from trunkline.plugins.context_compression import ContextCompression
from trunkline.plugins.file_parser import Fetch, FileParser
from trunkline.plugins.response_healing import ResponseHealing
from trunkline.plugins.web import Web

KnownFacts = Callable[[str], Awaitable[Sequence[Facts]]]
"""The name of a model -> what is known of each model that may answer to it; nothing where nothing is."""


def build_plugins(config: PluginsConfig, facts: KnownFacts, fetch: Fetch | None = None) -> Plugins:
    """Make the plugins. Files become text before they are counted, and what was found is counted, too.

    Raises `ValueError`, naming the setting, where one is wrong.
    """

    async def context(model: str) -> int | None:
        # Of several targets only those are asked that a request fits into.
        return max((one.context for one in await facts(model) if one.context is not None), default=None)

    async def reads_files(model: str) -> bool:
        return any("file" in one.input for one in await facts(model))

    plugins = Plugins(
        [
            FileParser(config.files, reads_files, fetch),
            Web(config.search),
            ContextCompression(context),
            ResponseHealing(),
        ],
        allowed=config.allow,
        defaults={str(name): options for name, options in config.options.items()},
        on=config.default,
    )
    try:
        plugins.check()
    except GatewayError as error:
        raise ValueError(error.message) from None
    return plugins
