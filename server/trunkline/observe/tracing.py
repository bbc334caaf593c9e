"""One OpenTelemetry span for each call and one below it for each attempt, sent over OTLP/HTTP."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from trunkline.call import Attempt, Call
from trunkline.errors import GatewayError
from trunkline.observe.outcome import attempt_ended, attempt_outcome, ended
from trunkline.observe.record import FINISH
from trunkline.observe.redaction import NAME_LIMIT, clip, told
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import Usage

_Value = str | int | float | bool | list[str]
_Attributes = dict[str, _Value]

Address = tuple[str, int]
"""The host and the port of a server."""

_CHAT: Final = frozenset({"chat", "stream_chat"})
_EXPORT_SECONDS: Final = 5.0


class Tracing:
    """An observer that traces.

    `endpoint` is the collector's base URL, or the whole URL where it has a path. `sample_ratio` is the share of traces
    to keep of those that no caller began; a caller's own decision is followed. `addresses` tells where each provider
    is, by name; it is looked at for every attempt and may be changed meanwhile.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str] | None = None,
        sample_ratio: float = 1.0,
        service_name: str = "trunkline",
        addresses: Mapping[str, Address] = MappingProxyType({}),
    ) -> None:
        exporter = OTLPSpanExporter(
            endpoint=_traces_url(endpoint), headers=dict(headers or {}), timeout=_EXPORT_SECONDS
        )
        release = version("trunkline")
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
            resource=Resource.create({"service.name": service_name, "service.version": release}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("trunkline", release)
        self._propagator = TraceContextTextMapPropagator()
        self._addresses = addresses
        # By `id`, since a call cannot be hashed, and its own id is the caller's choice and need not be unique.
        self._spans: dict[int, Span] = {}

    def call_started(self, call: Call) -> None:
        """Begin the call's span, below the caller's, and have upstream requests carry it on."""
        parent = Context()
        if call.traceparent:
            parent = self._propagator.extract({"traceparent": call.traceparent}, context=parent)
        span = self._tracer.start_span("call", parent, SpanKind.SERVER, start_time=_nanoseconds(call, call.started))
        context = span.get_span_context()
        call.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        if span.is_recording():
            self._spans[id(call)] = span

    def call_ended(self, call: Call) -> None:
        """End the call's span, and write those of its attempts."""
        span = self._spans.pop(id(call), None)
        if span is None:
            return
        span.update_name(_name(call, call.model if call.attempts else ""))
        span.set_attributes(_call_attributes(call))
        # Of a server's span, only the server's own failures are errors.
        if call.error is not None and call.error.row.http >= 500:
            span.set_status(Status(StatusCode.ERROR, told(call.error)))
        below = set_span_in_context(span, Context())
        for number, attempt in enumerate(call.attempts, 1):
            self._trace(call, attempt, number, below)
        span.end(_nanoseconds(call, ended(call)))

    def close(self, timeout: float = 5.0) -> None:
        """Send what is queued, waiting at most `timeout` seconds for the collector."""
        # The provider's own shutdown waits for as long as the collector hangs.
        flush = threading.Thread(target=self._provider.shutdown, name="trunkline-traces", daemon=True)
        flush.start()
        flush.join(timeout)

    def _trace(self, call: Call, attempt: Attempt, number: int, below: Context) -> None:
        attributes = _attempt_attributes(call, attempt, number)
        address = self._addresses.get(attempt.provider)
        if address is not None:
            attributes["server.address"], attributes["server.port"] = address
        span = self._tracer.start_span(
            _name(call, attempt.model),
            below,
            SpanKind.CLIENT,
            attributes=attributes,
            start_time=_nanoseconds(call, attempt.started),
        )
        if attempt.error is not None and attempt.error.reason != errors_pb2.ERROR_REASON_CANCELLED:
            span.set_status(Status(StatusCode.ERROR, told(attempt.error)))
        span.end(_nanoseconds(call, attempt_ended(attempt)))


def _traces_url(endpoint: str) -> str:
    return endpoint.rstrip("/") + "/v1/traces" if urlsplit(endpoint).path in {"", "/"} else endpoint


def _nanoseconds(call: Call, moment: float) -> int:
    """A `time.monotonic()` moment of the call as nanoseconds since the epoch."""
    return int(call.start_time * 1e9) + int((moment - call.started) * 1e9)


def _name(call: Call, model: str) -> str:
    operation = "chat" if call.operation in _CHAT else call.operation or "call"
    return f"{operation} {clip(model, NAME_LIMIT)}" if model else operation


def _call_attributes(call: Call) -> _Attributes:
    attributes = _chat_attributes(call, call.model)
    attributes["trunkline.call.id"] = call.id
    attributes["trunkline.surface"] = call.surface
    if call.caller:
        attributes["trunkline.caller"] = clip(call.caller, NAME_LIMIT)
    if call.provider:
        attributes["gen_ai.provider.name"] = call.provider
    _add_answer(attributes, call)
    if call.first_event is not None and call.operation == "stream_chat":
        attributes["gen_ai.response.time_to_first_chunk"] = call.first_event - call.started
    if call.losses:
        attributes["trunkline.losses"] = [clip(loss.field, NAME_LIMIT) for loss in call.losses[:16]]
    _add_error(attributes, call.outcome, call.error)
    return attributes


def _attempt_attributes(call: Call, attempt: Attempt, number: int) -> _Attributes:
    attributes = _chat_attributes(call, attempt.model)
    attributes["gen_ai.provider.name"] = attempt.provider
    attributes["trunkline.attempt.number"] = number
    if attempt.status is not None:
        attributes["http.response.status_code"] = attempt.status
    if attempt.upstream_id:
        attributes["trunkline.upstream.id"] = clip(attempt.upstream_id, NAME_LIMIT)
    if attempt.first_event is not None and call.operation == "stream_chat":
        attributes["gen_ai.response.time_to_first_chunk"] = attempt.first_event - attempt.started
    if attempt is call.last:
        _add_answer(attributes, call)
    _add_error(attributes, attempt_outcome(attempt), attempt.error)
    return attributes


# The names of the GenAI conventions are written out: the installed package calls all of them deprecated, since they
# have moved to a repository of their own, for which there is no package yet.


def _chat_attributes(call: Call, model: str) -> _Attributes:
    attributes: _Attributes = {}
    if call.operation in _CHAT:
        attributes["gen_ai.operation.name"] = "chat"
        if call.operation == "stream_chat":
            attributes["gen_ai.request.stream"] = True
    if model:
        attributes["gen_ai.request.model"] = clip(model, NAME_LIMIT)
    return attributes


def _add_answer(attributes: _Attributes, call: Call) -> None:
    if call.served_model:
        attributes["gen_ai.response.model"] = clip(call.served_model, NAME_LIMIT)
    if call.finish is not None:
        attributes["gen_ai.response.finish_reasons"] = [FINISH.get(call.finish, "other")]
    if call.usage is not None:
        _add_usage(attributes, call.usage)


def _add_usage(attributes: _Attributes, usage: Usage) -> None:
    if usage.HasField("input_tokens"):
        attributes["gen_ai.usage.input_tokens"] = usage.input_tokens
    if usage.HasField("output_tokens"):
        attributes["gen_ai.usage.output_tokens"] = usage.output_tokens
    if usage.HasField("cached_input_tokens"):
        attributes["gen_ai.usage.cache_read.input_tokens"] = usage.cached_input_tokens
    if usage.HasField("cache_write_input_tokens"):
        attributes["gen_ai.usage.cache_creation.input_tokens"] = usage.cache_write_input_tokens
    if usage.HasField("reasoning_output_tokens"):
        attributes["gen_ai.usage.reasoning.output_tokens"] = usage.reasoning_output_tokens


def _add_error(attributes: _Attributes, outcome: str, error: GatewayError | None) -> None:
    if outcome != "ok":
        attributes["error.type"] = outcome
    if error is not None and error.param:
        attributes["trunkline.error.param"] = clip(error.param, NAME_LIMIT)
