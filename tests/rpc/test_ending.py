"""A call whose caller is gone, or whose time is up, stops its provider at once and is closed once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from rpc.player import House, drain, opening, request, soon, words

from trunkline.rpc.status import from_rpc_error
from trunkline.v1.chat_pb2_grpc import ChatServiceStub


@pytest.mark.parametrize("stream", [False, True])
async def test_deadline(house: House, stream: bool) -> None:
    """A call past its deadline ends with DEADLINE_EXCEEDED, and its provider is stopped."""
    house.player.steps = [opening(), asyncio.Event()]
    answer = house.chat.StreamChat if stream else house.chat.Chat
    call = answer(request(), timeout=0.5)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (drain(call) if stream else call)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await soon(house.player.closed.wait())
    ended = await soon(house.ledger.ended.get())
    assert ended.deadline is not None
    assert ended.outcome in ("cancelled", "provider_timeout")


@pytest.mark.parametrize("stream", [False, True])
async def test_timeout_of_the_metadata(house: House, stream: bool) -> None:
    """`x-trunkline-timeout` ends the call with DEADLINE_EXCEEDED and a reason."""
    house.player.steps = [opening(), asyncio.Event()]
    answer = house.chat.StreamChat if stream else house.chat.Chat
    call = answer(request(), metadata=(("x-trunkline-timeout", "0.05"),))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (drain(call) if stream else call)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert from_rpc_error(caught.value).name == "PROVIDER_TIMEOUT"
    await soon(house.player.closed.wait())


async def test_cancelled_unary_call(house: House) -> None:
    """A caller that cancels stops the provider."""
    house.player.steps = [asyncio.Event()]
    call = house.chat.Chat(request())
    await soon(house.player.playing.wait())
    call.cancel()
    await soon(house.player.closed.wait())
    assert (await soon(house.ledger.ended.get())).outcome == "cancelled"


async def test_cancelled_stream(house: House) -> None:
    """A caller that cancels between two events stops the provider."""
    house.player.steps = [opening(), asyncio.Event()]
    stream = house.chat.StreamChat(request())
    await soon(stream.read())
    stream.cancel()
    await soon(house.player.closed.wait())
    assert (await soon(house.ledger.ended.get())).outcome == "cancelled"


async def test_cancelled_stream_that_no_one_reads(house: House) -> None:
    """A caller that cancels while a write waits for it to read stops the provider, which has not run far ahead."""
    house.player.steps = [opening(), *[words("x" * 65536)] * 1000]
    stream = house.chat.StreamChat(request())
    await soon(stream.read())
    stream.cancel()
    await soon(house.player.closed.wait())
    assert (await soon(house.ledger.ended.get())).outcome == "cancelled"


async def test_closed_channel(house: House) -> None:
    """A channel that is closed under a stream stops the provider."""
    house.player.steps = [opening(), asyncio.Event()]
    channel = grpc.aio.insecure_channel(house.address)
    stream = ChatServiceStub(channel).StreamChat(request())
    await soon(stream.read())
    await channel.close()
    await soon(house.player.closed.wait())
    assert (await soon(house.ledger.ended.get())).outcome == "cancelled"


@pytest.mark.parametrize("blocked", [False, True])
async def test_cut_connection(house: House, caplog: pytest.LogCaptureFixture, blocked: bool) -> None:
    """A connection that breaks without a word stops the provider, and is no error of the gateway's."""
    house.player.steps = [opening(), *([words("x" * 65536)] * 1000 if blocked else [asyncio.Event()])]
    async with _cable(house.port) as (port, cut), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stream = ChatServiceStub(channel).StreamChat(request())
        await soon(stream.read())
        cut()
        await soon(house.player.closed.wait())
        assert (await soon(house.ledger.ended.get())).outcome == "cancelled"
    assert not caplog.records


async def test_other_calls_go_on(house: House) -> None:
    """A cancelled call leaves the others of its connection alone."""
    more = asyncio.Event()
    house.player.steps = [opening(), more]
    cancelled, kept = house.chat.StreamChat(request()), house.chat.StreamChat(request())
    await soon(asyncio.gather(cancelled.read(), kept.read()))
    cancelled.cancel()
    await soon(house.ledger.ended.get())
    more.set()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await drain(kept)
    assert from_rpc_error(caught.value).name == "PROVIDER_FAILED"


@asynccontextmanager
async def _cable(to: int) -> AsyncIterator[tuple[int, object]]:
    """A port that leads to port `to` until it is cut."""
    writers: list[asyncio.StreamWriter] = []
    tasks: list[asyncio.Task[None]] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def join(near_reader: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to)
        writers.extend((near_writer, far_writer))
        tasks.append(asyncio.create_task(carry(near_reader, far_writer)))
        tasks.append(asyncio.create_task(carry(far_reader, near_writer)))

    def cut() -> None:
        for writer in writers:
            writer.transport.abort()

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], cut
    finally:
        server.close()
        cut()
        await asyncio.gather(*tasks, return_exceptions=True)
