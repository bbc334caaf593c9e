"""Counts and times of calls, in the text formats that Prometheus reads."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from trunkline.call import Call
from trunkline.observe.outcome import attempt_outcome, ended
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import Usage

NONE: Final = "none"
"""The label of what was not known: no operation, no model that resolved, no provider asked."""

OTHER: Final = "other"
"""The label of every model beyond the limit."""

# The boundaries that OpenTelemetry's GenAI conventions advise, and two more for calls of several minutes.
_DURATION: Final = (
    0.01,
    0.02,
    0.04,
    0.08,
    0.16,
    0.32,
    0.64,
    1.28,
    2.56,
    5.12,
    10.24,
    20.48,
    40.96,
    81.92,
    163.84,
    327.68,
)
_FIRST_TOKEN: Final = (0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0)


@dataclass(slots=True)
class _Target:
    """The children that the answers of one model by one provider are counted with."""

    first_token: Histogram
    input: Counter
    output: Counter
    cached_input: Counter
    reasoning: Counter


class Metrics:
    """An observer that counts. `known_models` always have a label of their own; of the other names that callers ask
    for, the first `model_limit` that resolve do. `dropped` gives the number of lost log records.
    """

    def __init__(
        self,
        *,
        known_models: Iterable[str] = (),
        model_limit: int = 200,
        dropped: Callable[[], int] = lambda: 0,
    ) -> None:
        # `_created` series double what is scraped, and nothing here reads them. The switch is the library's only one.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        self._models: set[str] = set()
        self._known: frozenset[str] = frozenset()
        self._model_limit = model_limit
        self.know(known_models)
        self._calls = Counter(
            "trunkline_calls_total",
            "Calls that ended.",
            ("surface", "operation", "model", "provider", "outcome"),
            registry=registry,
        )
        self._duration = Histogram(
            "trunkline_call_duration_seconds",
            "Time from the arrival of a call to its last byte.",
            ("operation", "model", "provider"),
            buckets=_DURATION,
            registry=registry,
        )
        self._first_token = Histogram(
            "trunkline_call_time_to_first_token_seconds",
            "Time from the arrival of a streamed call to the first event of its answer.",
            ("model", "provider"),
            buckets=_FIRST_TOKEN,
            registry=registry,
        )
        self._tokens = Counter(
            "trunkline_tokens_total",
            "Tokens used. `cached_input` is part of `input`, and `reasoning` of `output`.",
            ("model", "provider", "kind"),
            registry=registry,
        )
        self._attempts = Counter(
            "trunkline_attempts_total", "Requests to providers.", ("provider", "outcome"), registry=registry
        )
        self._in_flight = Gauge("trunkline_calls_in_flight", "Calls now running.", ("surface",), registry=registry)
        Info("trunkline_build", "The program that runs.", registry=registry).info(
            {"version": version("trunkline"), "python": platform.python_version()}
        )
        registry.register(_Dropped(dropped))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        # `labels()` costs more than counting does, so what it gives is kept. The labels are bounded; so are these.
        self._calls_by: dict[tuple[str, str, str, str, str], Counter] = {}
        self._durations_by: dict[tuple[str, str, str], Histogram] = {}
        self._targets_by: dict[tuple[str, str], _Target] = {}
        self._attempts_by: dict[tuple[str, str], Counter] = {}
        self._in_flight_by: dict[str, Gauge] = {}

    def know(self, models: Iterable[str]) -> None:
        """Take these as the models that the configuration names."""
        self._known = frozenset(models)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their content type, in OpenMetrics where the header `Accept` names it.

        Takes some milliseconds for each thousand series; may be called from another thread.
        """
        if any(kind.partition(";")[0].strip() == "application/openmetrics-text" for kind in accept.split(",")):
            text: bytes = openmetrics.generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return text, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

    def call_started(self, call: Call) -> None:
        """Count the call as running."""
        self._running(call.surface).inc()

    def call_ended(self, call: Call) -> None:
        """Count the call and all that it used."""
        self._running(call.surface).dec()
        operation = call.operation or NONE
        model = self._model(call)
        provider = call.provider or NONE
        self._call(call.surface, operation, model, provider, call.outcome).inc()
        self._lasted(operation, model, provider).observe(max(0.0, ended(call) - call.started))
        if not call.attempts:
            return
        target = self._target(model, provider)
        # A unary answer comes at once: the time to its first token would be its whole time.
        if call.first_event is not None and operation == "stream_chat":
            target.first_token.observe(max(0.0, call.first_event - call.started))
        if call.usage is not None:
            _count(target, call.usage)
        for attempt in call.attempts:
            self._attempt(attempt.provider, attempt_outcome(attempt)).inc()

    def _model(self, call: Call) -> str:
        if not call.attempts:
            return NONE
        model = call.model
        if model in self._known or model in self._models:
            return model
        # Callers can ask for any name, so only names that a provider did not deny take one of the places.
        denied = call.error is not None and call.error.reason == errors_pb2.ERROR_REASON_NOT_FOUND
        if denied or len(self._models) >= self._model_limit or len(model) > 128 or not model.isprintable():
            return OTHER
        self._models.add(model)
        return model

    def _running(self, surface: str) -> Gauge:
        child = self._in_flight_by.get(surface)
        if child is None:
            child = self._in_flight_by[surface] = self._in_flight.labels(surface)
        return child

    def _call(self, *labels: str) -> Counter:
        key = (labels[0], labels[1], labels[2], labels[3], labels[4])
        child = self._calls_by.get(key)
        if child is None:
            child = self._calls_by[key] = self._calls.labels(*key)
        return child

    def _attempt(self, provider: str, outcome: str) -> Counter:
        child = self._attempts_by.get((provider, outcome))
        if child is None:
            child = self._attempts_by[provider, outcome] = self._attempts.labels(provider, outcome)
        return child

    def _lasted(self, operation: str, model: str, provider: str) -> Histogram:
        child = self._durations_by.get((operation, model, provider))
        if child is None:
            child = self._duration.labels(operation, model, provider)
            self._durations_by[operation, model, provider] = child
        return child

    def _target(self, model: str, provider: str) -> _Target:
        target = self._targets_by.get((model, provider))
        if target is None:
            target = self._targets_by[model, provider] = _Target(
                first_token=self._first_token.labels(model, provider),
                input=self._tokens.labels(model, provider, "input"),
                output=self._tokens.labels(model, provider, "output"),
                cached_input=self._tokens.labels(model, provider, "cached_input"),
                reasoning=self._tokens.labels(model, provider, "reasoning"),
            )
        return target


class _Dropped(Collector):
    """Reads the number of lost log records when it is asked for."""

    def __init__(self, dropped: Callable[[], int]) -> None:
        self._dropped = dropped

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(
            "trunkline_log_records_dropped",
            "Log records lost because the log was read too slowly or could not be written.",
            value=self._dropped(),
        )


def _count(target: _Target, usage: Usage) -> None:
    # A provider can send any number; a counter takes none below zero.
    if usage.input_tokens > 0:
        target.input.inc(usage.input_tokens)
    if usage.output_tokens > 0:
        target.output.inc(usage.output_tokens)
    if usage.cached_input_tokens > 0:
        target.cached_input.inc(usage.cached_input_tokens)
    if usage.reasoning_output_tokens > 0:
        target.reasoning.inc(usage.reasoning_output_tokens)
