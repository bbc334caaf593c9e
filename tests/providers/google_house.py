"""A gateway in front of the fake Google, for the tests of its two providers."""

from __future__ import annotations

from functools import partial
from typing import Any

from fakes.gemini_server import GeminiServer
from providers import house
from providers.house import House, calling, losses_of

from trunkline.config.model import ProviderConfig
from trunkline.providers.build import make_provider

__all__ = ["MODEL", "House", "asking", "calling", "house_of", "losses_of", "provider_of"]

MODEL = "gemini-3-flash"

asking = partial(house.asking, model=MODEL)


def provider_of(kind: str, base_url: str, **more: Any) -> Any:
    """A provider as the configuration describes it, without what makes up for what it cannot do."""
    return make_provider(kind, ProviderConfig(kind=kind, base_url=base_url, **more))


def house_of(server: GeminiServer, provider: Any) -> House:
    """A gateway in front of `server`."""
    return house.house_of(provider, server)
