"""A response that is written whether or not anyone listens."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.web.responses import run as module
from trunkline.web.responses.run import Run
from trunkline.web.responses.turn import Turn


def begun() -> Run:
    """A response that is being written."""
    return Run(Turn("resp_1", "ann", ChatRequest(), [], {}, True, True, True, None, None))


async def heard(run: Run, after: int = -1) -> bytes:
    """All that a listener gets."""
    return b"".join([data async for data in run.listen(after)])


async def test_every_listener_hears_all() -> None:
    """Whoever comes before, in the middle or at the end; from the place where he wants to go on."""
    run = begun()
    early = asyncio.ensure_future(heard(run))
    run.tell([b"a", b"b"])
    middle = asyncio.ensure_future(heard(run, 0))
    await asyncio.sleep(0)
    run.tell([b"c"])
    run.end()

    assert await early == b"abc"
    assert await middle == b"bc"
    assert await heard(run) == b"abc"
    assert await heard(run, 1) == b"c"
    assert await heard(run, 2) == b""
    assert await heard(run, 99) == b""


async def test_a_listener_who_is_ahead_waits_for_his_place() -> None:
    """What he has is not told again."""
    run = begun()
    ahead = asyncio.ensure_future(heard(run, 1))
    for data in (b"a", b"b", b"c"):
        run.tell([data])
        await asyncio.sleep(0)
    run.end()

    assert await ahead == b"c"


async def test_what_is_too_long_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the bound nothing is held any more, and a listener is told so rather than that it is over."""
    monkeypatch.setattr(module, "_MOST_HELD", 10)
    run = begun()
    listening = asyncio.ensure_future(heard(run))
    assert run.tell([b"x" * 8]) == 8
    assert run.tell([b"x" * 8]) == -8
    assert run.tell([b"x" * 8]) == 0
    run.end()

    for listener in (listening, heard(run)):
        with pytest.raises(GatewayError, match="too long"):
            await listener
