"""The spans of a call reach a collector, below the caller's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from observe.samples import PARENT, TRACE, answered, failure, output, refused, started, tried
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from trunkline.call import Call
from trunkline.errors import invalid_request
from trunkline.observe.log import Log
from trunkline.observe.redaction import WITHHELD
from trunkline.observe.tracing import Tracing


class Collector:
    """What was sent to a collector on loopback."""

    def __init__(self) -> None:
        self.url = ""
        self.headers: list[dict[str, str]] = []
        self.raw = b""
        self.requests: list[ExportTraceServiceRequest] = []
        self.status = 200
        self.release = asyncio.Event()
        self.release.set()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        await self.release.wait()
        self.raw += body
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        return web.Response(status=self.status, content_type="application/x-protobuf")

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def only(self, kind: Span.SpanKind.ValueType) -> Span:
        [span] = [span for span in self.spans if span.kind == kind]
        return span


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    taken = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", taken.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    taken.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield taken
    await runner.cleanup()


async def send(tracing: Tracing, *calls: Call) -> None:
    for call in calls:
        tracing.call_started(call)
        tracing.call_ended(call)
    await asyncio.to_thread(tracing.close)


def attributes(holder: Any) -> dict[str, Any]:
    return {pair.key: plain(pair.value) for pair in holder.attributes}


def plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind)


async def test_answered_call(collector: Collector):
    """A call is a server span below the caller's, an attempt a client span below that, with GenAI attributes."""
    call = answered(traceparent=f"00-{TRACE}-{PARENT}-01")
    tracing = Tracing(
        collector.url,
        headers={"x-team": "blue"},
        service_name="gate",
        addresses={"openai": ("api.openai.com", 443)},
    )
    await send(tracing, call)
    assert collector.headers[0]["x-team"] == "blue"
    resource = attributes(collector.requests[0].resource_spans[0].resource)
    assert resource["service.name"] == "gate"
    server = collector.only(Span.SPAN_KIND_SERVER)
    client = collector.only(Span.SPAN_KIND_CLIENT)
    assert server.trace_id.hex() == client.trace_id.hex() == TRACE
    assert server.parent_span_id.hex() == PARENT
    assert client.parent_span_id == server.span_id
    assert (server.name, client.name) == ("chat best", "chat gpt-4o")
    answer = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.stream": True,
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 34,
        "gen_ai.usage.cache_read.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 7,
    }
    assert attributes(server) == {
        **answer,
        "gen_ai.request.model": "best",
        "gen_ai.response.time_to_first_chunk": pytest.approx(0.5),
        "trunkline.call.id": "req_1",
        "trunkline.surface": "openai",
        "trunkline.caller": "alice",
        "trunkline.losses": ["seed"],
    }
    assert attributes(client) == {
        **answer,
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.time_to_first_chunk": pytest.approx(0.25),
        "trunkline.attempt.number": 1,
        "trunkline.upstream.id": "up_1",
        "http.response.status_code": 200,
        "server.address": "api.openai.com",
        "server.port": 443,
    }
    assert server.status.code == client.status.code == Status.STATUS_CODE_UNSET


async def test_times(collector: Collector):
    """Spans tell wall-clock times, and attempts lie where they were within the call."""
    call = answered()
    await send(Tracing(collector.url), call)
    server = collector.only(Span.SPAN_KIND_SERVER)
    client = collector.only(Span.SPAN_KIND_CLIENT)
    assert server.start_time_unix_nano == pytest.approx(call.start_time * 1e9, abs=1e6)
    assert server.end_time_unix_nano - server.start_time_unix_nano == pytest.approx(1e9, abs=1e4)
    assert client.start_time_unix_nano - server.start_time_unix_nano == pytest.approx(0.25e9, abs=1e4)
    assert client.end_time_unix_nano - server.start_time_unix_nano == pytest.approx(0.75e9, abs=1e4)


async def test_upstream_carries_the_call(collector: Collector):
    """From its start on, a call carries its own span as the parent of what comes after."""
    call = answered(traceparent=f"00-{TRACE}-{PARENT}-01")
    tracing = Tracing(collector.url)
    tracing.call_started(call)
    version, trace_id, span_id, flags = call.traceparent.split("-")
    tracing.call_ended(call)
    await asyncio.to_thread(tracing.close)
    assert (version, trace_id, flags) == ("00", TRACE, "01")
    assert span_id == collector.only(Span.SPAN_KIND_SERVER).span_id.hex()


@pytest.mark.parametrize("given", ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01-x", "\x00é"])
async def test_bad_parent_begins_a_trace(collector: Collector, given: str):
    """Without a parent that is one, a call begins a trace of its own."""
    call = answered(traceparent=given)
    await send(Tracing(collector.url), call)
    server = collector.only(Span.SPAN_KIND_SERVER)
    assert server.parent_span_id == b""
    assert call.traceparent == f"00-{server.trace_id.hex()}-{server.span_id.hex()}-{call.traceparent[-2:]}"
    assert int(call.traceparent[-2:], 16) & 1


async def test_sampling_follows_the_caller(collector: Collector):
    """A ratio of zero keeps only what the caller keeps, and a ratio of one all but what the caller does not."""
    kept = answered(id="kept", traceparent=f"00-{TRACE}-{PARENT}-01")
    await send(Tracing(collector.url, sample_ratio=0.0), answered(id="own"), kept)
    left = answered(id="left", traceparent=f"00-{TRACE}-{PARENT}-00")
    await send(Tracing(collector.url), left)
    assert attributes(collector.only(Span.SPAN_KIND_SERVER))["trunkline.call.id"] == "kept"
    assert left.traceparent.startswith(f"00-{TRACE}-")
    assert not int(left.traceparent[-2:], 16) & 1


async def test_failures(collector: Collector):
    """A failed attempt is an error with its type; the call that fell back is none."""
    call = answered()
    tried(call, "groq", "llama", failure("PROVIDER_UNAVAILABLE", "Busy.", provider="groq"))
    call.attempts.reverse()
    await send(Tracing(collector.url), call)
    server = collector.only(Span.SPAN_KIND_SERVER)
    failed, good = sorted(
        (span for span in collector.spans if span.kind == Span.SPAN_KIND_CLIENT),
        key=lambda span: attributes(span)["trunkline.attempt.number"],
    )
    assert (failed.status.code, failed.status.message) == (Status.STATUS_CODE_ERROR, "Busy.")
    assert attributes(failed)["error.type"] == "provider_unavailable"
    assert "gen_ai.response.model" not in attributes(failed)
    for span in (good, server):
        assert span.status.code == Status.STATUS_CODE_UNSET
        assert "error.type" not in attributes(span)


async def test_callers_mistake_is_no_error_of_the_server(collector: Collector):
    """A bad request has an error type but no error status; a request that never resolved no model in its name."""
    call = refused(invalid_request("No such role.", "messages[0].role"), operation="chat", model="junk")
    await send(Tracing(collector.url), call)
    server = collector.only(Span.SPAN_KIND_SERVER)
    assert server.name == "chat"
    assert server.status.code == Status.STATUS_CODE_UNSET
    assert attributes(server)["error.type"] == "invalid_request"
    assert attributes(server)["trunkline.error.param"] == "messages[0].role"


async def test_provider_failure_is_an_error_of_the_server(collector: Collector):
    """A call that no provider could answer has the status error."""
    call = started(operation="chat", model="best")
    error = failure("PROVIDER_FAILED", "It broke.")
    tried(call, error=error)
    call.fail(error)
    call.ended = call.started + 1
    await send(Tracing(collector.url), call)
    assert collector.only(Span.SPAN_KIND_SERVER).status.message == "It broke."


async def test_providers_words_about_the_request_stay_out(collector: Collector):
    """What a provider says about a request may quote it, and is in no span."""
    call = started(operation="chat", model="best")
    error = failure("INVALID_REQUEST", "Bad content: my secret plan", provider_status=400)
    tried(call, error=error)
    call.fail(error)
    await send(Tracing(collector.url), call)
    assert collector.only(Span.SPAN_KIND_CLIENT).status.message == WITHHELD
    assert b"secret plan" not in collector.raw


async def test_other_operations(collector: Collector):
    """A listing is traced without claiming to be a chat."""
    await send(Tracing(collector.url), started(operation="list_models"))
    server = collector.only(Span.SPAN_KIND_SERVER)
    assert server.name == "list_models"
    assert "gen_ai.operation.name" not in attributes(server)


async def test_equal_ids(collector: Collector):
    """Two running calls with the id that one caller gave both are two spans."""
    tracing = Tracing(collector.url)
    first, second = answered(model="one"), answered(model="two")
    for call in (first, second):
        tracing.call_started(call)
    for call in (first, second):
        tracing.call_ended(call)
    await send(tracing)
    servers = [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert [span.name for span in servers] == ["chat one", "chat two"]
    assert f"-{servers[1].span_id.hex()}-" in second.traceparent


async def test_whole_url_is_kept(collector: Collector):
    """An endpoint with a path is used as it is."""
    await send(Tracing(collector.url + "/v1/traces"), answered())
    assert collector.only(Span.SPAN_KIND_SERVER)


async def test_failing_collector_harms_nothing(collector: Collector):
    """Where the collector fails, calls go on, and the log says so without the headers."""
    collector.status = 500
    with output() as pipe:
        log = Log("json", fd=pipe.fd)
        log.install()
        await send(Tracing(collector.url, headers={"authorization": "Bearer 0123456789"}), answered())
        await asyncio.to_thread(log.close)
        [record] = pipe.records()
    assert record["level"] == "error"
    assert record["logger"].startswith("opentelemetry")
    assert "0123456789" not in repr(record)
    assert collector.headers[0]["authorization"] == "Bearer 0123456789"


async def test_hanging_collector_does_not_hold_up_the_end(collector: Collector):
    """A collector that never answers holds up the end for no longer than the timeout."""
    collector.release.clear()
    tracing = Tracing(collector.url)
    tracing.call_started(call := answered())
    tracing.call_ended(call)
    await asyncio.to_thread(tracing.close, 0.01)
    assert not collector.spans
    collector.release.set()
    await asyncio.to_thread(tracing.close)


async def test_no_global_provider(collector: Collector):
    """Nothing is made global: a program that embeds the gateway keeps its own provider."""
    before = trace.get_tracer_provider()
    await send(Tracing(collector.url), answered())
    assert trace.get_tracer_provider() is before
