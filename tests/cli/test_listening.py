"""Whether an address can be listened on."""

from __future__ import annotations

import socket

from trunkline.cli.client import Client
from trunkline.cli.grpc_client import GrpcClient
from trunkline.cli.listening import examine
from trunkline.config.address import Address


async def _nobody() -> Client:
    raise AssertionError("an address that is free is not dialled")


async def test_a_free_address() -> None:
    """An address that nobody has is free."""
    found = await examine(Address("127.0.0.1", 0), "grpc.address", _nobody)
    assert (found.state, found.well) == ("free", True)


async def test_an_address_that_another_program_has() -> None:
    """What listens and is no gateway is told apart, with the remedy."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = Address("127.0.0.1", other.getsockname()[1])

        async def dial() -> Client:
            other.close()
            return GrpcClient(str(address), "", None)

        found = await examine(address, "grpc.address", dial)
    assert (found.state, found.well) == ("taken", False)
    assert "`grpc.address`" in found.remedy
    assert str(address.port) in found.remedy


async def test_an_address_of_another_machine() -> None:
    """An address that this machine does not have cannot be listened on."""
    found = await examine(Address("192.0.2.1", 8080), "http.address", _nobody)
    assert found.state == "unusable"
    assert "127.0.0.1:8080" in found.remedy
