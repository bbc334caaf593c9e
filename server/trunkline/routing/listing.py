"""The models that can be asked for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from trunkline.core.provider import Provider
from trunkline.errors import GatewayError
from trunkline.v1.models_pb2 import Model

_log = logging.getLogger("trunkline")

_FRESH = 300.0
"""Seconds for which a provider's list is kept."""
_PATIENCE = 5.0
"""Seconds that a provider has to list its models."""
_AT_ONCE = 16
"""The most providers that are asked at once."""


class Listing:
    """The configured names, and the models of each provider of `asked` as `provider/model`."""

    def __init__(self, models: Mapping[str, Sequence[str]], asked: Sequence[Provider]) -> None:
        self._configured = [
            Model(id=name, providers=list(dict.fromkeys(target.partition("/")[0] for target in targets)))
            for name, targets in models.items()
        ]
        self._asked = asked
        self._lists: dict[str, tuple[float, list[Model]]] = {}
        self._refresh: asyncio.Task[None] | None = None

    async def list(self) -> Sequence[Model]:
        """Every model, in order of its id. A provider that cannot be asked contributes what it last said."""
        now = time.monotonic()
        if any(self._lists.get(provider.name, (0.0, []))[0] <= now for provider in self._asked):
            if self._refresh is None or self._refresh.done():
                self._refresh = asyncio.create_task(self._ask_all())
            # Callers that come and go must not cancel what others wait for.
            await asyncio.shield(self._refresh)
        models = {model.id: model for _, listed in self._lists.values() for model in listed}
        models.update((model.id, model) for model in self._configured)
        return sorted(models.values(), key=lambda model: model.id)

    async def _ask_all(self) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._ask(provider, gate) for provider in self._asked))

    async def _ask(self, provider: Provider, gate: asyncio.Semaphore) -> None:
        before = self._lists.get(provider.name, (0.0, []))[1]
        try:
            async with gate, asyncio.timeout(_PATIENCE):
                listed = await provider.list_models()
        except (GatewayError, TimeoutError) as error:
            reason = error.message if isinstance(error, GatewayError) else "no answer in time"
            _log.warning("provider %s does not list its models: %s", provider.name, reason)
            listed = before
        else:
            listed = [Model(id=f"{provider.name}/{model.id}", providers=[provider.name]) for model in listed]
        self._lists[provider.name] = (time.monotonic() + _FRESH, list(listed))
