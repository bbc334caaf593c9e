"""Errors over real channels, back to what they were in the gateway."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest
from rpc.player import House, request

from trunkline.errors import TABLE, GatewayError
from trunkline.rpc.status import DETAILS, from_rpc_error
from trunkline.v1.chat_pb2_grpc import ChatServiceStub
from trunkline.v1.errors_pb2 import ErrorReason


def _error(reason: ErrorReason.ValueType) -> GatewayError:
    return GatewayError(
        reason,
        "Größer als erlaubt\n100%",
        param="messages[2].content",
        retry_after=timedelta(seconds=1.5),
        provider="player",
        provider_status=418,
    )


@pytest.mark.parametrize("reason", TABLE, ids=ErrorReason.Name)
async def test_every_row_survives(house: House, reason: ErrorReason.ValueType) -> None:
    """An error of any reason reaches a client as it was raised, with the code of the table."""
    sent = _error(reason)
    house.player.steps = [sent]
    for call in (house.chat.Chat(request()), house.chat.StreamChat(request()).read()):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code().value[0] == sent.row.grpc
        assert caught.value.details() == sent.message
        assert vars(from_rpc_error(caught.value)) == vars(sent)


@pytest.mark.parametrize("reason", TABLE, ids=ErrorReason.Name)
def test_every_row_survives_sync(sync_house: tuple[House, grpc.Channel], reason: ErrorReason.ValueType) -> None:
    """The same by the synchronous stubs."""
    house, channel = sync_house
    sent = _error(reason)
    house.player.steps = [sent]
    with pytest.raises(grpc.RpcError) as caught:
        ChatServiceStub(channel).Chat(request())
    assert vars(from_rpc_error(caught.value)) == vars(sent)


@pytest.mark.parametrize("details", [(), ((DETAILS, b"\xff\xff"),)])
def test_error_of_another_server(details: tuple[tuple[str, bytes], ...]) -> None:
    """Without details, or with some that cannot be read, the code decides the reason."""
    error = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(*details), details="connection refused"
    )
    read = from_rpc_error(error)
    assert (read.name, read.message) == ("PROVIDER_UNAVAILABLE", "connection refused")
