"""A gateway that is told to stop, and goes on taking calls until load balancers have noticed."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import grpc
import httpx
from cli.running import serving
from fakes.scripted_provider import asking
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from workers.conftest import PATIENCE, SAY, gone, started, until_true

from trunkline.v1 import chat_pb2_grpc


async def test_calls_are_taken_while_it_leaves(tmp_path: Path) -> None:
    """It says over both wires that it leaves, answers all the same, and each answer is its connection's last; told once
    more it ends."""
    with serving("--shutdown-delay", "600", TRUNKLINE_DATA=str(tmp_path)) as gateway:
        async with (
            httpx.AsyncClient(base_url=gateway.http[1], timeout=PATIENCE) as client,
            grpc.aio.insecure_channel(gateway.grpc[1]) as channel,
        ):

            async def call() -> httpx.Response:
                return await client.post("/v1/chat/completions", json={"model": "sim/echo", "messages": SAY})

            watch = HealthStub(channel).Watch(HealthCheckRequest())
            assert (await watch.read()).status == HealthCheckResponse.SERVING
            before = await call()
            gateway.process.send_signal(signal.SIGTERM)

            async def told() -> bool:
                return (await client.get("/readyz")).status_code == 503

            await until_true(told)
            assert (await asyncio.wait_for(watch.read(), PATIENCE)).status == HealthCheckResponse.NOT_SERVING
            after = await call()
            assert [before.status_code, after.status_code] == [200, 200]
            assert "connection" not in before.headers
            assert after.headers["connection"] == "close"
            answer = await chat_pb2_grpc.ChatServiceStub(channel).Chat(asking(model="sim/echo"))
            assert answer.choices[0].message.parts[0].text == "Hi"
            gateway.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(gateway.process.wait, PATIENCE) == 0


async def test_workers_leave_at_once_when_told_twice(tmp_path: Path) -> None:
    """Their supervisor passes it on."""
    with started(tmp_path, {"shutdown_delay": 600}) as workers:
        everyone = workers.pids()
        async with httpx.AsyncClient(base_url=workers.url, timeout=PATIENCE) as client:

            async def told() -> bool:
                return (await client.get("/readyz")).status_code == 503

            workers.signal(signal.SIGTERM)
            await until_true(told)

        async def ended() -> bool:
            workers.signal(signal.SIGTERM)
            return workers.gateway.process.poll() is not None

        await until_true(ended)
        await gone(everyone)
