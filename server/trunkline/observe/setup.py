"""Makes the observers of a process, and sees to it that none of them harms a call."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from trunkline.call import Call, Observer
from trunkline.observe.log import Format, Log
from trunkline.observe.metrics import Metrics
from trunkline.observe.outcome import Level
from trunkline.observe.tracing import Address, Tracing

_LOGGER = logging.getLogger("trunkline.observe")
_QUIET: Final = 60.0
"""Seconds between two reports of the same observer's failures."""


class Observers:
    """The log, the metrics and, where `tracing_endpoint` is given, the traces.

    `observers` is what an `Entry` takes. `close` waits for the log's reader and the collector, some seconds at the
    most, and may be called once.
    """

    def __init__(
        self,
        *,
        log_format: Format = "auto",
        log_level: Level = "info",
        log_fd: int = 2,
        known_models: Iterable[str] = (),
        tracing_endpoint: str = "",
        tracing_headers: Mapping[str, str] | None = None,
        tracing_sample_ratio: float = 1.0,
        tracing_service_name: str = "trunkline",
        provider_addresses: Mapping[str, Address] = MappingProxyType({}),
    ) -> None:
        self._log = log = Log(log_format, log_level, fd=log_fd)
        self.metrics = Metrics(known_models=known_models, dropped=lambda: log.dropped)
        self._tracing = (
            Tracing(
                tracing_endpoint,
                headers=tracing_headers,
                sample_ratio=tracing_sample_ratio,
                service_name=tracing_service_name,
                addresses=provider_addresses,
            )
            if tracing_endpoint
            else None
        )
        # The traces come first: they give the call the trace id that its log record names.
        parts: list[Observer] = [*([self._tracing] if self._tracing else []), log, self.metrics]
        self.observers: list[Observer] = [Guard(parts)]
        log.install()

    def close(self) -> None:
        """Send and write what is queued. The log is last, so that it can tell of the others' failures."""
        if self._tracing is not None:
            self._tracing.close()
        self._log.close()


class Guard:
    """An observer that tells others, and keeps what they raise from the call."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers
        self._failures: dict[int, int] = {}
        self._quiet_until: dict[int, float] = {}

    def call_started(self, call: Call) -> None:
        """Tell each that the call began."""
        for observer in self._observers:
            try:
                observer.call_started(call)
            except Exception as error:  # noqa: BLE001 - whatever an observer does wrong, the call is served
                self._report(observer, call, error)

    def call_ended(self, call: Call) -> None:
        """Tell each that the call is over."""
        for observer in self._observers:
            try:
                observer.call_ended(call)
            except Exception as error:  # noqa: BLE001 - as above
                self._report(observer, call, error)

    def _report(self, observer: Observer, call: Call, error: Exception) -> None:
        key = id(observer)
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        now = time.monotonic()
        if now < self._quiet_until.get(key, 0.0):
            return
        self._quiet_until[key] = now + _QUIET
        _LOGGER.error("%s failed on call %s (failure %d).", type(observer).__name__, call.id, failures, exc_info=error)
