"""The simulator behind the seam of the providers: nothing it opens stays open."""

from __future__ import annotations

import asyncio

import pytest
from providers.sim.asking import ask, body_of

from trunkline.providers.sim.occupancy import Occupancy
from trunkline.providers.sim.transport import SimTransport
from trunkline.providers.transport import Transport


async def test_it_is_a_transport(transport: SimTransport) -> None:
    """The type is the one that providers ask for."""
    seam: Transport = transport
    reply = await seam.send("GET", "/models", {}, None)
    assert reply.status == 200
    await reply.close()
    await seam.close()


async def test_a_reply_is_open_until_it_is_closed(transport: SimTransport) -> None:
    """Closing a reply that was read in part ends it, and closing it again does nothing."""
    reply = await transport.send("POST", "/chat/completions", {}, body_of("long", stream=True))
    assert transport.open_replies == 1
    await anext(reply.chunks())
    await reply.close()
    await reply.close()
    assert transport.open_replies == 0
    assert [chunk async for chunk in reply.chunks()] == []


async def test_a_reply_that_was_read_to_its_end_is_not_open(transport: SimTransport) -> None:
    """The end of the body is the end of the reply."""
    reply = await transport.send("POST", "/chat/completions", {}, body_of("echo"))
    assert [chunk async for chunk in reply.chunks()]
    assert transport.open_replies == 0


async def test_an_unread_reply_can_be_closed(transport: SimTransport) -> None:
    """A script that was never begun ends, too."""
    reply = await transport.send("POST", "/chat/completions", {}, body_of("fault/stall", stream=True))
    await reply.close()
    assert transport.open_replies == 0


async def test_a_request_that_is_cancelled_while_it_waits_is_not_open(transport: SimTransport) -> None:
    """`wait` and `hang` hold the answer back; cancelling is enough to end them."""
    for model in ("echo:wait=600", "fault/hang"):
        sent = asyncio.create_task(transport.send("POST", "/chat/completions", {}, body_of(model)))
        await transport.replies_reach(1)
        sent.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sent
        assert transport.open_replies == 0


async def test_waiting_answers_come(transport: SimTransport) -> None:
    """A paced stream is the same stream."""
    paced = await ask(transport, "echo:wait=0.001,delay=0.001,seed=1", stream=True)
    assert len(paced.events) == len((await ask(transport, "echo:seed=1", stream=True)).events)


async def test_a_long_stream_lets_others_run(transport: SimTransport) -> None:
    """A stream without pauses gives way to other tasks before its end."""
    other = asyncio.create_task(asyncio.sleep(0))
    reply = await transport.send("POST", "/chat/completions", {}, body_of("long:tokens=1000,delay=0", stream=True))
    ran = [other.done() async for _ in reply.chunks()]
    assert ran[0] is False
    assert ran[-1] is True


async def test_occupancy_wakes_those_who_wait_for_a_number() -> None:
    """Each waiter returns when its number is reached, those whose number is there at once."""
    occupancy = Occupancy()
    await occupancy.reach(0)
    two = asyncio.create_task(occupancy.reach(2))
    gone = asyncio.create_task(occupancy.reach(2))
    await asyncio.sleep(0)
    occupancy.enter()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert not two.done()
    occupancy.enter()
    await two
    occupancy.leave()
    assert occupancy.count == 1
