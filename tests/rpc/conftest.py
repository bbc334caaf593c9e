"""A running gateway for the tests of the gRPC surface."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
from rpc.player import House, open_house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A gateway that asks for no key."""
    async with open_house() as house:
        yield house


@pytest.fixture
def sync_house() -> Iterator[tuple[House, grpc.Channel]]:
    """A gateway that runs on a thread of its own, and a synchronous channel to it."""
    with asyncio.Runner() as runner:
        opened = open_house()
        loop = runner.get_loop()
        house = runner.run(opened.__aenter__())
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            with grpc.insecure_channel(house.address) as channel:
                yield house, channel
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            runner.run(opened.__aexit__(None, None, None))
