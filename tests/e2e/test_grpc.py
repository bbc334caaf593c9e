"""The generated stubs against a whole gateway, and both wires beside each other."""

from __future__ import annotations

import asyncio
import json

import grpc
import httpx
import pytest
from e2e.conftest import KEY, Running, Start
from google.protobuf.json_format import MessageToDict

from trunkline.core.fold import fold
from trunkline.rpc.status import from_rpc_error
from trunkline.v1 import chat_pb2, chat_pb2_grpc, content_pb2, errors_pb2, models_pb2, models_pb2_grpc


def chat(model: str, text: str = "Hello there") -> chat_pb2.ChatRequest:
    """A request with one message."""
    part = content_pb2.Part(text=text)
    message = content_pb2.Message(role=content_pb2.ROLE_USER, parts=[part])
    return chat_pb2.ChatRequest(model=model, messages=[message])


async def test_unary_and_stream_say_the_same(gateway: Running) -> None:
    """Folding the stream gives the unary answer, but for what each call has of its own."""
    async with grpc.aio.insecure_channel(gateway.grpc) as channel:
        stub = chat_pb2_grpc.ChatServiceStub(channel)
        unary = await stub.Chat(chat("fake/reasoning:seed=1"))
        folded = fold([event async for event in stub.StreamChat(chat("fake/reasoning:seed=1"))])
    for answer in (unary, folded):
        answer.ClearField("id")
        answer.ClearField("create_time")

    assert folded == unary
    assert unary.provider == "fake"


async def test_the_synchronous_stub(gateway: Running) -> None:
    """A service without asyncio calls with the same stub."""

    def ask() -> tuple[str, int]:
        with grpc.insecure_channel(gateway.grpc) as channel:
            stub = chat_pb2_grpc.ChatServiceStub(channel)
            return stub.Chat(chat("fake/echo")).choices[0].message.parts[0].text, len(
                list(stub.StreamChat(chat("fake/echo")))
            )

    text, events = await asyncio.to_thread(ask)

    assert text == "Hello there"
    assert events > 4


async def test_a_cut_stream_ends_with_an_error(gateway: Running) -> None:
    """Events, then a status that is not OK and tells the reason."""
    async with grpc.aio.insecure_channel(gateway.grpc) as channel:
        events = []
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for event in chat_pb2_grpc.ChatServiceStub(channel).StreamChat(chat("fake/fault/cut:delay=0.01")):
                events.append(event)  # noqa: PERF401 - what came before the error counts

    assert events
    assert not any(event.HasField("choice_end") for event in events)
    assert from_rpc_error(caught.value).reason == errors_pb2.ERROR_REASON_PROVIDER_FAILED


@pytest.mark.parametrize("model", ["fake/fault/hang", "fake/fault/stall"])
async def test_the_deadline_and_the_cancel_reach_the_upstream(gateway: Running, model: str) -> None:
    """A deadline that passes, and a client that cancels, end the provider's work."""
    async with grpc.aio.insecure_channel(gateway.grpc) as channel:
        stub = chat_pb2_grpc.ChatServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in stub.StreamChat(chat(model), timeout=0.2):
                pass
        await gateway.upstream.replies_reach(0)
        call = stub.StreamChat(chat(model))
        reading = asyncio.create_task(call.read())
        await gateway.upstream.replies_reach(1)
        call.cancel()
        await gateway.upstream.replies_reach(0)
        reading.cancel()

    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_keys_and_models(start: Start) -> None:
    """The key goes in the metadata; the same models are listed on both wires and on the native route."""
    async with (
        start(keys=[{"name": "team", "key": KEY}]) as gateway,
        grpc.aio.insecure_channel(gateway.grpc) as channel,
    ):
        stub = models_pb2_grpc.ModelServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListModels(models_pb2.ListModelsRequest())
        bearer = f"Bearer {KEY}"
        listed = await stub.ListModels(models_pb2.ListModelsRequest(), metadata=(("authorization", bearer),))
        async with httpx.AsyncClient(base_url=gateway.url, headers={"authorization": bearer}) as client:
            native = (await client.get("/trunkline/v1/models")).json()
            openai = (await client.get("/v1/models")).json()

    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    names = [model.id for model in listed.models]
    assert names == [model["id"] for model in native["models"]] == [model["id"] for model in openai["data"]]


async def test_native_http_streams_the_same_events(gateway: Running) -> None:
    """`{"result": ...}` lines hold the events that gRPC sends."""
    body = MessageToDict(chat("fake/echo:seed=1"))
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{gateway.url}/trunkline/v1/chat:stream", json=body)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    async with grpc.aio.insecure_channel(gateway.grpc) as channel:
        stub = chat_pb2_grpc.ChatServiceStub(channel)
        events = [event async for event in stub.StreamChat(chat("fake/echo:seed=1"))]

    assert [next(iter(line["result"])) for line in lines] == [next(iter(MessageToDict(event))) for event in events]


async def test_what_a_target_cannot_take_is_told(gateway: Running) -> None:
    """A field of another dialect is left out and named, on both wires; strict callers are refused instead."""
    request = chat("fake/echo")
    request.extras["anthropic"] = '{"container":"c"}'
    async with grpc.aio.insecure_channel(gateway.grpc) as channel:
        stub = chat_pb2_grpc.ChatServiceStub(channel)
        call = stub.Chat(request)
        await call
        trailers = dict(await call.trailing_metadata())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Chat(request, metadata=(("x-trunkline-strict", "true"),))
        request.routing.require_parameters = True
        with pytest.raises(grpc.aio.AioRpcError) as also:
            await stub.Chat(request)

    assert trailers["x-trunkline-dropped"] == "container"
    for error in (caught, also):
        assert from_rpc_error(error.value).reason == errors_pb2.ERROR_REASON_UNSUPPORTED
    assert b"container" not in gateway.upstream.requests[0].body
