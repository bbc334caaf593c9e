"""`ChatService` over real channels: answers, errors and metadata."""

from __future__ import annotations

import asyncio
import logging

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from rpc.player import KEY, MODEL, House, drain, ending, open_house, opening, request, soon, words

from trunkline.call import Loss, LossKind
from trunkline.core.fold import fold
from trunkline.errors import GatewayError, unsupported
from trunkline.rpc.status import DETAILS, from_rpc_error
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest
from trunkline.v1.chat_pb2_grpc import ChatServiceStub


async def test_unary_answer(house: House) -> None:
    """`Chat` gives the provider's answer and names the provider."""
    response = await house.chat.Chat(request())
    assert response.choices[0].message.parts[0].text == "hello"
    assert response.usage.output_tokens == 2
    assert response.provider == "player"


async def test_folded_stream_is_the_unary_answer(house: House) -> None:
    """Folding the events of `StreamChat` gives the response of `Chat`."""
    events = await drain(house.chat.StreamChat(request()))
    assert len(events) == 7
    assert fold(events) == await house.chat.Chat(request())


async def test_events_arrive_as_they_are_written(house: House) -> None:
    """An event reaches the caller before the provider has written the next."""
    more = asyncio.Event()
    house.player.steps = [opening(), words("one"), more, words("two"), ending()]
    stream = house.chat.StreamChat(request())
    texts = []
    async for event in stream:
        if event.WhichOneof("event") == "part_delta":
            texts.append(event.part_delta.text)
            more.set()
    assert texts == ["one", "two"]


def test_sync_stubs_work_too(sync_house: tuple[House, grpc.Channel]) -> None:
    """The synchronous stubs get the same answers and errors."""
    house, channel = sync_house
    stub = ChatServiceStub(channel)
    response = stub.Chat(request())
    assert fold(stub.StreamChat(request())) == response
    house.player.steps = [unsupported("No such thing.", "tools")]
    with pytest.raises(grpc.RpcError) as caught:
        stub.Chat(request())
    assert from_rpc_error(caught.value).param == "tools"


async def test_call_record(house: House) -> None:
    """The observers are told of the surface, the caller, the model, the usage and the end."""
    await house.chat.Chat(request())
    call = await soon(house.ledger.ended.get())
    assert (call.surface, call.operation, call.caller, call.model) == ("grpc", "chat", "tester", MODEL)
    assert (call.outcome, call.served_model, call.provider) == ("ok", "song", "player")
    assert call.usage is not None
    assert call.usage.input_tokens == 3
    assert call.ended is not None


async def test_error_before_the_stream(house: House) -> None:
    """An error before the first event ends the stream without one."""
    house.player.steps = [GatewayError(errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE, "Busy.", provider="player")]
    stream = house.chat.StreamChat(request())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    error = from_rpc_error(caught.value)
    assert (error.name, error.message, error.provider) == ("PROVIDER_UNAVAILABLE", "Busy.", "player")
    assert (await soon(house.ledger.ended.get())).outcome == "provider_unavailable"


async def test_error_in_the_middle_of_the_stream(house: House) -> None:
    """What was written before an error arrives, then the status with its details."""
    house.player.steps = [
        opening(),
        words("one"),
        GatewayError(errors_pb2.ERROR_REASON_RATE_LIMITED, "Too fast.", provider="player", provider_status=429),
    ]
    events: list[ChatEvent] = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await drain(house.chat.StreamChat(request(), metadata=(("x-request-id", "mine"),)), events)
    assert len(events) == 3
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailers = dict(caught.value.trailing_metadata())
    assert trailers["x-request-id"] == "mine"
    assert trailers["x-trunkline-provider"] == "player"
    status = status_pb2.Status.FromString(trailers[DETAILS])
    info = error_details_pb2.ErrorInfo()
    assert [detail.Unpack(info) for detail in status.details] == [True]
    assert (info.reason, info.domain) == ("RATE_LIMITED", "trunkline")
    assert info.metadata == {"requestId": "mine", "model": MODEL, "provider": "player", "providerStatus": "429"}


async def test_cut_stream_is_an_error(house: House) -> None:
    """A stream whose provider stopped halfway never ends with OK."""
    house.player.steps = [opening(), words("half")]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await drain(house.chat.StreamChat(request()))
    assert from_rpc_error(caught.value).name == "PROVIDER_FAILED"


async def test_bad_request_names_the_field(house: House) -> None:
    """A request that cannot be answered is refused with the field at fault."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.chat.Chat(ChatRequest(model=MODEL))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert from_rpc_error(caught.value).param == "messages"


async def test_unknown_model(house: House) -> None:
    """A model that no one serves is NOT_FOUND."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.chat.Chat(request(model="nobody/nothing"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("stream", [False, True])
async def test_unexpected_failure_tells_nothing_of_the_inside(
    house: House, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    """A fault of the gateway is INTERNAL without details; the log has the traceback and the id."""
    house.player.steps = [KeyError("secret inside")]
    answer = drain(house.chat.StreamChat(request())) if stream else house.chat.Chat(request())
    with caplog.at_level(logging.ERROR, "trunkline"), pytest.raises(grpc.aio.AioRpcError) as caught:
        await answer
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert from_rpc_error(caught.value).name == "INTERNAL"
    assert "secret" not in str(caught.value)
    call = await soon(house.ledger.ended.get())
    assert call.outcome == "internal"
    [record] = [record for record in caplog.records if record.name == "trunkline"]
    assert call.id in record.getMessage()
    assert record.exc_info is not None


async def test_request_id_is_taken_over(house: House) -> None:
    """The caller's id comes back in the trailers, and ahead of a stream."""
    metadata = (("x-request-id", "mine"),)
    unary = house.chat.Chat(request(), metadata=metadata)
    await unary
    assert (await unary.trailing_metadata())["x-request-id"] == "mine"
    never = asyncio.Event()
    house.player.steps = [never]
    stream = house.chat.StreamChat(request(), metadata=metadata)
    assert (await soon(stream.initial_metadata()))["x-request-id"] == "mine"
    stream.cancel()


async def test_request_id_is_made(house: House) -> None:
    """Without an id of the caller's the gateway makes one."""
    call = house.chat.StreamChat(request())
    await drain(call)
    made = (await call.initial_metadata())["x-request-id"]
    assert made.startswith("req_")
    assert (await call.trailing_metadata())["x-request-id"] == made


@pytest.mark.parametrize("stream", [False, True])
async def test_losses_are_in_the_trailers(house: House, stream: bool) -> None:
    """What the provider could not take is named by kind, in ASCII."""
    house.player.losses = [
        Loss("seed"),
        Loss("größe\n"),
        Loss("response_format", LossKind.EMULATED),
    ]
    if stream:
        call = house.chat.StreamChat(request())
        await drain(call)
    else:
        call = house.chat.Chat(request())
        await call
    trailers = await call.trailing_metadata()
    assert trailers["x-trunkline-dropped"] == r"seed,gr\xf6\xdfe\n"
    assert trailers["x-trunkline-emulated"] == "response_format"
    assert "x-trunkline-approximated" not in trailers
    assert trailers["x-trunkline-provider"] == "player"


async def test_losses_fit_in_the_trailers(house: House) -> None:
    """Many losses, and an error as long as can be, are cut to what a client takes, and say so."""
    house.player.losses = [Loss(f"messages[{index}].content") for index in range(1000)]
    call = house.chat.Chat(request())
    await call
    assert (await call.trailing_metadata())["x-trunkline-dropped"].endswith(",...")
    house.player.steps = [
        GatewayError(
            errors_pb2.ERROR_REASON_UNSUPPORTED, "ß" * 5000, param="ß" * 5000, provider="ß" * 5000, provider_status=400
        )
    ]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.chat.Chat(request(model="player/" + "ß" * 5000), metadata=(("x-request-id", "i" * 128),))
    assert from_rpc_error(caught.value).name == "UNSUPPORTED"
    trailers = caught.value.trailing_metadata()
    size = sum(len(key) + len(value) + 32 for key, value in trailers) + 3 * len((caught.value.details() or "").encode())
    assert size < 8192


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer sk-wrong"),)])
async def test_a_key_is_required(metadata: tuple[tuple[str, str], ...]) -> None:
    """Where there are keys, a call without a right one is UNAUTHENTICATED."""
    async with open_house(KEY) as house:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await house.chat.Chat(request(), metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert from_rpc_error(caught.value).name == "UNAUTHENTICATED"
        assert not house.player.playing.is_set()
        with pytest.raises(grpc.aio.AioRpcError):
            await house.chat.StreamChat(request(), metadata=metadata).read()


async def test_the_right_key_is_let_in() -> None:
    """A call with a right key is answered."""
    async with open_house(KEY) as house:
        await house.chat.Chat(request(), metadata=(("authorization", f"Bearer {KEY}"),))


@pytest.mark.parametrize(("sent", "strict"), [("true", True), ("0", False)])
async def test_strict_is_taken_from_the_metadata(house: House, sent: str, strict: bool) -> None:
    """`x-trunkline-strict` reaches the call."""
    await house.chat.Chat(request(), metadata=(("x-trunkline-strict", sent),))
    assert (await soon(house.ledger.ended.get())).strict is strict


async def test_bad_timeout_is_refused(house: House) -> None:
    """A timeout that is no number is INVALID_REQUEST."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.chat.Chat(request(), metadata=(("x-trunkline-timeout", "soon"),))
    assert from_rpc_error(caught.value).param == "x-trunkline-timeout"
