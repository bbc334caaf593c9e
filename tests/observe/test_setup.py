"""All observers together see a call from its entry to its end, and none can harm it."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import web
from observe.samples import Scripted, answered, failure, output
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from trunkline.call import Call, Caller
from trunkline.core.check import Limits
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.core.plan import InOrder
from trunkline.core.target import Target
from trunkline.observe.metrics import Metrics
from trunkline.observe.setup import Guard, Observers
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.models_pb2 import Model

PROMPT = "the prompt of the caller"
ANSWER = "the answer of the model"
KEY = "sk-caller-0123456789"


class NoModels:
    async def list(self) -> list[Model]:
        return []


async def alice(key: str) -> Caller:
    """Everyone is Alice."""
    return Caller("alice")


def gateway() -> Gateway:
    broken = Scripted("broken", error=failure("INVALID_REQUEST", f"Bad content: {PROMPT}", provider="broken"))
    busy = Scripted("busy", error=failure("PROVIDER_UNAVAILABLE", f"Key {KEY} is busy.", provider="busy"))
    good = Scripted("good", answer=ANSWER)
    plans = {
        "good": [Target(busy, "small"), Target(good, "large")],
        "broken": [Target(broken, "small")],
    }
    return Gateway(InOrder(lambda name: plans[name]), NoModels(), Limits())


def request(model: str) -> ChatRequest:
    asked = ChatRequest(model=model, user=PROMPT)
    asked.messages.add(role=content_pb2.ROLE_USER).parts.add(text=PROMPT)
    return asked


async def test_no_prompt_and_no_key():
    """Of a real call, served or refused, no output holds the prompt, the answer or a key; all agree on the rest."""
    bodies: list[bytes] = []

    async def take(received: web.Request) -> web.Response:
        bodies.append(await received.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with output() as pipe:
        observers = Observers(
            log_format="json",
            log_fd=pipe.fd,
            tracing_endpoint=f"http://127.0.0.1:{runner.addresses[0][1]}",
            tracing_headers={"authorization": f"Bearer {KEY}"},
        )
        entry = Entry(gateway(), alice, observers.observers)
        for model in ("good", "broken"):
            headers = {"authorization": f"Bearer {KEY}"}
            call = entry.open("openai", headers)
            try:
                admitted = await entry.admit(call, headers)
                await admitted.chat(request(model), call)
            except Exception as error:  # noqa: BLE001 - as a surface does
                call.fail(error)
            entry.close(call)
        metrics, _ = observers.metrics.render()
        await asyncio.to_thread(observers.close)
        log = pipe.text()
        served, refused = pipe.records()
    await runner.cleanup()
    sent = b"".join(bodies)
    for secret in (PROMPT, ANSWER, KEY):
        assert secret not in log
        assert secret.encode() not in metrics
        assert secret.encode() not in sent
    assert [attempt["outcome"] for attempt in served["attempts"]] == ["provider_unavailable", "ok"]
    assert served["served_model"] == "large-served"
    assert refused["outcome"] == "invalid_request"
    assert (
        b'trunkline_calls_total{model="good",operation="chat",outcome="ok",provider="good",surface="openai"} 1.0'
        in (metrics)
    )
    spans = [
        span
        for body in bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert len(spans) == 5
    assert {span.trace_id.hex() for span in spans} == {served["trace_id"], refused["trace_id"]}


def test_tracing_is_off_unless_configured():
    """Without an endpoint the caller's trace context is passed on as it came."""
    with output() as pipe:
        observers = Observers(log_format="json", log_fd=pipe.fd)
        call = answered(traceparent="given")
        for observer in observers.observers:
            observer.call_started(call)
            observer.call_ended(call)
        observers.close()
    assert call.traceparent == "given"


class Broken:
    def call_started(self, call: Call) -> None:
        raise RuntimeError("no start")

    def call_ended(self, call: Call) -> None:
        raise RuntimeError("no end")


def test_guard(caplog: pytest.LogCaptureFixture):
    """An observer that raises is reported once in a while, and the others are told all the same."""
    metrics = Metrics()
    guard = Guard([Broken(), metrics])
    with caplog.at_level(logging.ERROR, "trunkline.observe"):
        for _ in range(3):
            call = answered()
            guard.call_started(call)
            guard.call_ended(call)
    [record] = caplog.records
    assert record.getMessage() == "Broken failed on call req_1 (failure 1)."
    assert "no start" in caplog.text
    assert b'provider="openai",surface="openai"} 3.0' in metrics.render()[0]
