"""The metrics of all workers, whichever of them is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import aiohttp
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

Render = Callable[[str], Awaitable[tuple[bytes, str]]]
"""An `accept` header -> the metrics and their content type."""

_PATIENCE: Final = 2.0
"""Seconds that a worker has to tell of its metrics."""


class AllMetrics:
    """Asks every worker whose socket is in `folder`, and labels what each says with its number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def render(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics of all workers. One that does not answer is left out, as one that is not there any more."""
        sockets = sorted(self._folder.glob("*.sock"))
        told = await asyncio.gather(*(_ask(socket) for socket in sockets))
        registry = CollectorRegistry()
        pairs = zip(sockets, told, strict=True)
        registry.register(_Joined([(socket.name.partition(".")[0], text) for socket, text in pairs if text]))
        if any(kind.partition(";")[0].strip() == "application/openmetrics-text" for kind in accept.split(",")):
            text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
            return text, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


class _Joined(Collector):
    """What several workers said, one family of metrics at a time."""

    def __init__(self, told: Iterable[tuple[str, str]]) -> None:
        self._told = list(told)

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for worker, text in self._told:
            for family in text_string_to_metric_families(text):
                joined = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                joined.samples += [
                    sample._replace(labels={**sample.labels, "worker": worker}) for sample in family.samples
                ]
        yield from families.values()


async def _ask(socket: Path) -> str:
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)), timeout=timeout) as session,
            session.get("http://worker/metrics") as answer,
        ):
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError):
        return ""
