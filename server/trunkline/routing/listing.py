"""The models that can be asked for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from trunkline.core.provider import Provider
from trunkline.core.target import Target
from trunkline.errors import GatewayError
from trunkline.routing.describe import Describer
from trunkline.v1.models_pb2 import Model

_log = logging.getLogger("trunkline")

_FRESH = 300.0
"""Seconds for which a provider's list is kept."""
_PRICED = 60.0
"""Seconds for which the prices of the list are not looked up anew."""
_PATIENCE = 5.0
"""Seconds that a provider has to list its models."""
_AT_ONCE = 16
"""The most providers that are asked at once."""


class Listing:
    """The configured names, and the models of each provider of `asked` as `provider/model`."""

    def __init__(self, models: Mapping[str, Sequence[str]], asked: Sequence[Provider], describer: Describer) -> None:
        self._configured = {name: [_parted(target) for target in targets] for name, targets in models.items()}
        self._asked = asked
        self._describer = describer
        self._lists: dict[str, tuple[float, list[Model]]] = {}
        self._refresh: asyncio.Task[None] | None = None
        self._described: tuple[float, Sequence[Model]] | None = None

    async def list(self) -> Sequence[Model]:
        """Every model, in order of its id. A provider that cannot be asked contributes what it last said."""
        now = time.monotonic()
        if any(self._lists.get(provider.name, (0.0, []))[0] <= now for provider in self._asked):
            if self._refresh is None or self._refresh.done():
                self._refresh = asyncio.create_task(self._ask_all())
            # Callers that come and go must not cancel what others wait for.
            await asyncio.shield(self._refresh)
        if self._described is None or self._described[0] <= now:
            # Hundreds of names are matched against thousands: calls in between must not wait for that.
            models = await asyncio.to_thread(self._describe_all, dict(self._lists))
            self._described = (now + _PRICED, models)
        return self._described[1]

    def describe(self, name: str, targets: Sequence[Target]) -> Model:
        """A model that is not listed, though calls of it would go to `targets`."""
        return self._describer.model(name, [(target.provider.name, target.model) for target in targets])

    def _describe_all(self, lists: Mapping[str, tuple[float, Sequence[Model]]]) -> Sequence[Model]:
        models: dict[str, Model] = {}
        for provider, (_, listed) in lists.items():
            for model in listed:
                name = f"{provider}/{model.id}"
                models[name] = self._describer.model(name, [(provider, model.id)], model)
        for name, targets in self._configured.items():
            models[name] = self._describer.model(name, targets)
        return sorted(models.values(), key=lambda model: model.id)

    async def _ask_all(self) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._ask(provider, gate) for provider in self._asked))
        self._described = None

    async def _ask(self, provider: Provider, gate: asyncio.Semaphore) -> None:
        listed: Sequence[Model] = self._lists.get(provider.name, (0.0, []))[1]
        try:
            async with gate, asyncio.timeout(_PATIENCE):
                listed = await provider.list_models()
        except (GatewayError, TimeoutError) as error:
            reason = error.message if isinstance(error, GatewayError) else "no answer in time"
            _log.warning("provider %s does not list its models: %s", provider.name, reason)
        self._lists[provider.name] = (time.monotonic() + _FRESH, list(listed))


def _parted(target: str) -> tuple[str, str]:
    provider, _, model = target.partition("/")
    return provider, model
