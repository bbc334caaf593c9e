"""The gRPC server: health, reflection, limits, its start and its end."""

from __future__ import annotations

import asyncio
import errno

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from rpc.player import House, drain, ending, open_house, opening, request, soon, words

from trunkline.config.address import Address
from trunkline.config.model import GrpcConfig
from trunkline.core.fold import fold
from trunkline.rpc.server import RpcServer
from trunkline.rpc.status import from_rpc_error
from trunkline.v1.chat_pb2_grpc import ChatServiceStub

OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
NAMES = ["", "trunkline.v1.ChatService", "trunkline.v1.ModelService"]


@pytest.mark.parametrize("name", NAMES)
async def test_health(house: House, name: str) -> None:
    """Each service and the whole are SERVING."""
    answer = await HealthStub(house.channel).Check(HealthCheckRequest(service=name))
    assert answer.status == HealthCheckResponse.SERVING


async def test_health_of_no_service(house: House) -> None:
    """A service that is not there is NOT_FOUND, and SERVICE_UNKNOWN to a watcher."""
    health = HealthStub(house.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(HealthCheckRequest(service="nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    watch = health.Watch(HealthCheckRequest(service="nobody"))
    assert (await soon(watch.read())).status == HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


async def test_reflection(house: House) -> None:
    """The services are listed and described."""
    stub = ServerReflectionStub(house.channel)
    asked = [
        ServerReflectionRequest(list_services=""),
        ServerReflectionRequest(file_containing_symbol="trunkline.v1.ChatService"),
    ]
    listed, described = [answer async for answer in stub.ServerReflectionInfo(iter(asked))]
    assert [service.name for service in listed.list_services_response.service] == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "trunkline.v1.ChatService",
        "trunkline.v1.EmbeddingService",
        "trunkline.v1.ModelService",
        "trunkline.v1.RouteService",
    ]
    assert described.file_descriptor_response.file_descriptor_proto


async def test_stop_drains_streams(house: House) -> None:
    """A server that stops tells its watchers, takes no more calls, and lets running streams end."""
    more = asyncio.Event()
    house.player.steps = [opening(), more, words("hel", "lo"), ending()]
    stream = house.chat.StreamChat(request())
    first = await soon(stream.read())
    watch = HealthStub(house.channel).Watch(HealthCheckRequest())
    assert (await soon(watch.read())).status == HealthCheckResponse.SERVING
    stopping = asyncio.create_task(house.server.stop(600))
    assert (await soon(watch.read())).status == HealthCheckResponse.NOT_SERVING
    assert await soon(watch.read()) is grpc.aio.EOF
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.chat.Chat(request())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert not stopping.done()
    more.set()
    response = fold([first, *await soon(drain(stream))])
    assert response.choices[0].message.parts[0].text == "hello"
    await soon(stopping)
    assert (await soon(house.ledger.ended.get())).outcome == "ok"


async def test_leaving_takes_calls(house: House) -> None:
    """A server that leaves says so to everyone who watches, and answers on every connection, old or new."""
    watch = HealthStub(house.channel).Watch(HealthCheckRequest())
    assert (await soon(watch.read())).status == HealthCheckResponse.SERVING
    house.server.leave(to_others=False)
    assert (await soon(watch.read())).status == HealthCheckResponse.NOT_SERVING
    checked = await soon(HealthStub(house.channel).Check(HealthCheckRequest()))
    assert checked.status == HealthCheckResponse.NOT_SERVING
    async with grpc.aio.insecure_channel(house.address, OWN_CONNECTION) as channel:
        await soon(ChatServiceStub(channel).Chat(request()))
    stopping = asyncio.create_task(house.server.stop(600))
    assert await soon(watch.read()) is grpc.aio.EOF
    await soon(stopping)


async def test_leaving_to_others(house: House) -> None:
    """New connections are not taken any more, and calls on those that there are come to their end."""
    more = asyncio.Event()
    house.player.steps = [opening(), more, words("hel", "lo"), ending()]
    stream = house.chat.StreamChat(request())
    first = await soon(stream.read())
    house.server.leave(to_others=True)
    async with grpc.aio.insecure_channel(house.address, OWN_CONNECTION) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await soon(ChatServiceStub(channel).Chat(request()))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    more.set()
    assert fold([first, *await soon(drain(stream))]).choices[0].message.parts[0].text == "hello"
    house.player.steps = [opening(), words("x"), ending()]
    await soon(house.chat.Chat(request()))


async def test_stop_ends_streams_after_the_grace(house: House) -> None:
    """Streams that outlive the grace are cancelled, and their providers stopped before the server is."""
    house.player.steps = [opening(), asyncio.Event()]
    stream = house.chat.StreamChat(request())
    await soon(stream.read())
    await soon(house.server.stop(0.05))
    assert house.player.closed.is_set()
    assert house.ledger.ended.get_nowait().outcome == "cancelled"
    with pytest.raises(grpc.aio.AioRpcError):
        await drain(stream)


async def test_stop_without_start(house: House) -> None:
    """A server that was never started can be stopped."""
    await RpcServer(house.entry, GrpcConfig()).stop(0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])  # noqa: S104 - nothing listens there
async def test_taken_port(house: House, host: str) -> None:
    """A second server on the same port fails, and says why."""
    second = RpcServer(house.entry, GrpcConfig(address=Address(host, house.port)))
    with pytest.raises(OSError, match=f"cannot listen on {host}:{house.port}: Address already in use") as caught:
        await second.start()
    assert caught.value.errno == errno.EADDRINUSE


async def test_unknown_host(house: House) -> None:
    """A host that is not of this machine fails, and says why."""
    second = RpcServer(house.entry, GrpcConfig(address=Address("192.0.2.1", 0)))
    with pytest.raises(OSError, match="Cannot assign requested address"):
        await second.start()


async def test_host_without_address(house: House) -> None:
    """A name that stands for nothing fails, and says why."""
    second = RpcServer(house.entry, GrpcConfig(address=Address("a..b", 0)))
    with pytest.raises(OSError, match=r"cannot listen on a\.\.b:0"):
        await second.start()


async def test_port_is_free_again(house: House) -> None:
    """A port can be listened on again as soon as the server before stopped."""
    await house.chat.Chat(request())
    await house.server.stop(0)
    second = RpcServer(house.entry, GrpcConfig(address=Address("127.0.0.1", house.port)))
    assert await second.start() == house.port
    await second.stop(0)


async def test_oversize_request() -> None:
    """A request over the limit is RESOURCE_EXHAUSTED, says so, and does not reach the gateway; the next is answered."""
    async with open_house(max_message_bytes=10_000) as house:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await house.chat.Chat(request("x" * 10_001))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than max" in (caught.value.details() or "")
        assert from_rpc_error(caught.value).name == "REQUEST_TOO_LARGE"
        assert house.ledger.ended.empty()
        await house.chat.Chat(request("x" * 9_000))


async def test_compressed_request_is_refused(house: House) -> None:
    """A compressed message, which could unfold to any size, is not taken, and the answer says what is."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.chat.Chat(request("x" * 10_000), compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert house.ledger.ended.empty()


async def test_request_of_junk(house: House) -> None:
    """Bytes that are no message end their own call, and no other."""
    junk = house.channel.unary_unary("/trunkline.v1.ChatService/Chat")
    with pytest.raises(grpc.aio.AioRpcError):
        await junk(b"\xff\xff\xff")
    await house.chat.Chat(request())


async def test_header_flood(house: House) -> None:
    """More metadata than a call may carry is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.chat.Chat(request(), metadata=[(f"x-{index}", "x" * 100) for index in range(1000)])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await house.chat.Chat(request())


async def test_no_http2(house: House) -> None:
    """A client that does not speak HTTP/2 is sent away; the others are served."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await soon(reader.read())
    writer.close()
    await house.chat.Chat(request())


@pytest.mark.parametrize("stream", [False, True])
async def test_oversize_answer(stream: bool) -> None:
    """An answer over the limit is RESOURCE_EXHAUSTED, and its provider is stopped; the next is sent."""
    async with open_house(max_message_bytes=10_000) as house:
        song = house.player.steps
        house.player.steps = [opening(), words("x" * 10_001), ending()]
        call = house.chat.StreamChat(request()) if stream else house.chat.Chat(request())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (drain(call) if stream else call)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await soon(house.player.closed.wait())
        house.player.steps = song
        await house.chat.Chat(request())
