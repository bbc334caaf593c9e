"""A rolling update of replicas behind a load balancer, as their callers and their ledger see it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import yaml
from cli.running import PROGRAM, environment, run
from fakes.scripted_provider import asking
from openai import AsyncOpenAI
from servers.balancer import Backend, Balancer
from servers.valkey import ValkeyServer
from workers.conftest import PATIENCE, SAY

from trunkline.v1 import chat_pb2_grpc

REPLICAS = 2
CALLERS = 2
PACE = 0.01
"""Seconds between two calls of a caller: gateways that start need the machine, too."""
KEY = "sk-me-0123456789"
METADATA = (("authorization", f"Bearer {KEY}"),)

SETTINGS: dict[str, Any] = {
    "keys": [{"name": "me", "key": KEY, "plan": "large"}],
    "plans": {"large": {"limits": {"requests_per_day": 1_000_000, "total_usd": 1_000}}},
    "catalog": {"sim/*": {"max_output": 100, "prices": [{"input": 1, "output": 2}]}},
    "ledger": {"keep_free_bytes": 1 << 20, "segment_bytes": 1 << 20},
    # Connections of gRPC are renewed while a replica leaves, as the page on deployment says.
    "grpc": {"max_connection_age": 0.5},
    "shutdown_delay": 1.5,
    "shutdown_grace": 20,
}


class Replica:
    """A gateway on ports of its own, with a journal of its own."""

    def __init__(self, folder: Path, config: Path, variables: dict[str, str]) -> None:
        folder.mkdir()
        addresses = ("--http-address", "127.0.0.1:0", "--grpc-address", "127.0.0.1:0", "--discover", "false")
        self.process = subprocess.Popen(
            [*PROGRAM, "serve", *addresses, "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(TRUNKLINE_DATA=str(folder), **variables),
        )

    async def backend(self) -> Backend:
        """Where it serves, when it does."""
        return Backend(await asyncio.to_thread(self._ports))

    def _ports(self) -> dict[str, int]:
        assert self.process.stdout is not None
        ports: dict[str, int] = {}
        for line in self.process.stdout:
            name, *rest = line.split() or [""]
            if name in ("HTTP", "gRPC"):
                ports[name.lower()] = int(rest[0].rpartition(":")[2])
            if len(ports) == 2:
                return ports
        raise AssertionError("it did not start")

    async def ended(self) -> int:
        """Its exit status, when it has ended."""
        return await asyncio.to_thread(self.process.wait, PATIENCE)


@contextmanager
def replica(*arguments: Any) -> Iterator[Replica]:
    """One; nothing is left of it."""
    one = Replica(*arguments)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()
        assert one.process.stdout is not None
        one.process.stdout.close()


class Callers:
    """Call again and again, and try nothing twice. `done` counts calls by their kinds; one that fails ends them all."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.done: Counter[str] = Counter()
        self._ports = ports
        self._stop = asyncio.Event()
        self._more = asyncio.Event()

    def stop(self) -> None:
        """Begin no more calls."""
        self._stop.set()

    async def some_more(self) -> None:
        """Return when a call of each kind was made that began after now."""
        for _ in range(2):
            before = self.done.copy()
            while any(self.done[kind] <= before[kind] for kind in ("unary", "stream", "grpc", "grpc stream")):
                self._more.clear()
                await asyncio.wait_for(self._more.wait(), PATIENCE)

    async def run(self) -> None:
        """Call until told to stop."""
        url = f"http://127.0.0.1:{self._ports['http']}/v1"
        address = f"127.0.0.1:{self._ports['grpc']}"
        async with (
            AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=PATIENCE) as client,
            grpc.aio.insecure_channel(address) as channel,
            asyncio.TaskGroup() as group,
        ):
            stub = chat_pb2_grpc.ChatServiceStub(channel)
            for _ in range(CALLERS):
                group.create_task(self._again("unary", lambda: unary(client)))
                group.create_task(self._again("stream", lambda: stream(client)))
                group.create_task(self._again("grpc", lambda: grpc_unary(stub)))
                group.create_task(self._again("grpc stream", lambda: grpc_stream(stub)))

    async def _again(self, kind: str, call: Any) -> None:
        while not self._stop.is_set():
            await call()
            self.done[kind] += 1
            self._more.set()
            await asyncio.sleep(PACE)


async def unary(client: AsyncOpenAI) -> None:
    """One call of OpenAI's SDK."""
    answer = await client.chat.completions.create(model="sim/echo", messages=SAY)  # type: ignore[arg-type]
    assert answer.choices[0].message.content == "Hi"


async def stream(client: AsyncOpenAI) -> None:
    """One stream of OpenAI's SDK, whole."""
    chunks = await client.chat.completions.create(
        model="sim/long:tokens=20,delay=0.01",
        messages=SAY,  # type: ignore[arg-type]
        stream=True,
    )
    assert [chunk.choices[0].finish_reason async for chunk in chunks if chunk.choices][-1] == "stop"


async def grpc_unary(stub: chat_pb2_grpc.ChatServiceStub) -> None:
    """One call over gRPC."""
    answer = await stub.Chat(asking(model="sim/echo"), metadata=METADATA)
    assert answer.choices[0].message.parts[0].text == "Hi"


async def grpc_stream(stub: chat_pb2_grpc.ChatServiceStub) -> None:
    """One stream over gRPC, whole."""
    events = [each async for each in stub.StreamChat(asking(model="sim/long:tokens=20,delay=0.01"), metadata=METADATA)]
    assert events[-1].WhichOneof("event") == "choice_end"


async def test_a_rolling_update_fails_no_call(
    tmp_path: Path, postgres_url: str, own_valkey_server: ValkeyServer
) -> None:
    """Replicas are replaced one after the other behind a balancer that knows nothing but `/readyz`: no call fails, over
    either wire, and each that was answered is in the ledger, once, whichever replica it came to."""
    config = tmp_path / "trunkline.yaml"
    config.write_text(yaml.safe_dump(SETTINGS))
    variables = {"TRUNKLINE_STORE_URL": postgres_url, "TRUNKLINE_COUNTERS_URL": own_valkey_server.url}
    async with AsyncExitStack() as stack:
        balancer = await stack.enter_async_context(Balancer())

        def start(number: int) -> Replica:
            return stack.enter_context(replica(tmp_path / f"{number}", config, variables))

        async def join(one: Replica) -> Backend:
            backend = await one.backend()
            balancer.add(backend)
            await asyncio.wait_for(backend.ready.wait(), PATIENCE)
            return backend

        replicas = [start(number) for number in range(REPLICAS)]
        backends = await asyncio.gather(*(join(one) for one in replicas))
        callers = Callers(balancer.ports)
        successors: list[Replica] = []

        async def update() -> None:
            await callers.some_more()
            for number, (old, backend) in enumerate(zip(replicas, backends, strict=True)):
                new = start(REPLICAS + number)
                await join(new)
                successors.append(new)
                old.process.send_signal(signal.SIGTERM)
                assert await old.ended() == 0
                assert backend.away.is_set(), "it ended before the balancer could know"
                balancer.remove(backend)
            await callers.some_more()
            callers.stop()

        async with asyncio.TaskGroup() as group:
            group.create_task(callers.run())
            group.create_task(update())
        for one in successors:
            one.process.send_signal(signal.SIGTERM)
        assert [await one.ended() for one in successors] == [0] * REPLICAS
    data = str(tmp_path / "0")
    told = run("ledger", "verify", "--json", "--config", str(config), TRUNKLINE_DATA=data, **variables)
    assert told.returncode == 0, told.stdout + told.stderr
    found = json.loads(told.stdout)
    assert (found["ok"], found["unshipped"], found["abandoned"]) == (True, 0, 0)
    assert found["calls"] == callers.done.total()
