"""Every fault by every surface, at once and as a stream, under each policy for answers that break off."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest
from e2e.conftest import Running, running
from surfaces.chat_surface import ChatSurface
from surfaces.gemini_surface import GeminiSurface
from surfaces.grpc_surface import GrpcSurface
from surfaces.messages_surface import MessagesSurface
from surfaces.responses_surface import ResponsesSurface
from surfaces.said import Asked, Said, Surface

from trunkline.providers.sim.faults import FAULTS

KEY = "sk-caller-0123456789"
MODES = ("fail", "restart", "continue")
WORDS = "one two three four"

_PARAMETERS = {
    "huge": ":megabytes=1",
    "huge-line": ":megabytes=1",
    "slow-drip": ":delay=0",
    "rate-limit": ":retry_after=0.05",
}
"""What makes a fault short."""

_HARMLESS = {"duplicate-usage", "slow-drip", "split-utf8", "huge", "huge-line", "wrong-content-type"}
"""Faults that spoil no answer: it is whole, and is told."""

_LATER = {"stall", "cut", "cut-clean", "truncated-json", "malformed-line", "error-in-stream"}
"""Faults after the beginning of a stream."""

_SILENT = {"hang", "stall"}
"""Faults that end only when patience does: all of them are waited for together."""

_CALLERS = {"content-filter", "invalid-request"}
"""Faults of the request: no other target is asked."""

_SURFACES: dict[str, type[Surface]] = {
    "chat": ChatSurface,
    "messages": MessagesSurface,
    "responses": ResponsesSurface,
    "gemini": GeminiSurface,
    "grpc": GrpcSurface,
}

_SECONDS = 30.0
"""In which each call must have ended."""


def _settings() -> dict[str, Any]:
    models: dict[str, Any] = {}
    for name, mode in product(FAULTS, MODES):
        target = f"fake/fault/{name}{_PARAMETERS.get(name, '')}"
        route = {"mid_stream": mode, "total_timeout": 2 if name in _SILENT else 15}
        models[f"{mode}-alone-{name}"] = {**route, "targets": [target]}
        models[f"{mode}-helped-{name}"] = {**route, "targets": [target, "fake/echo"]}
    return {
        "models": models,
        "catalog": {"fake/*": {"features": ["prefill"]}},
        "keys": [{"name": "caller", "key": KEY}],
        "routing": {
            "retries": 1,
            "backoff": 0.01,
            "timeout": 10,
            "breaker": {"failures": 1000},
        },
    }


async def _told(client: Surface, model: str, streamed: bool) -> Said | Exception:
    """The answer, or the error that the client's own library tells. Everything else is raised."""
    asked = Asked(model, [client.user(WORDS)], streamed=streamed)
    try:
        async with asyncio.timeout(_SECONDS):
            return await client.ask(asked)
    except client.errors as error:
        return error


def _wrong(fault: str, helped: bool, streamed: bool, mode: str, told: Said | Exception) -> str | None:
    """What is wrong with what the caller was told; None where nothing is."""
    if isinstance(told, Said):
        if not told.text:
            return "an empty answer"
        if fault in _HARMLESS:
            return None
        if not helped:
            return f"an answer: {told.text[:80]!r}"
        if told.text == WORDS:
            return None
        goes_on = streamed and mode == "continue" and told.text.startswith("one") and told.text.endswith(WORDS)
        return None if goes_on else f"no whole answer: {told.text[:80]!r}"
    if fault in _HARMLESS:
        return f"an error: {told!r}"
    if not str(told).strip():
        return "an error that says nothing"
    if helped and fault not in _CALLERS and not (streamed and mode != "continue" and fault in _LATER):
        return f"an error: {told!r}"
    return None


# Google's SDK subclasses aiohttp's session, of which aiohttp warns.
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("surface", _SURFACES)
async def test_every_fault(surface: str, streamed: bool) -> None:
    """The caller gets a whole answer or a clear error in his dialect, in time, and nothing is left behind: no reply of
    the provider's that runs, no call, no task. Where another target can answer, it does, before anything was told and,
    where the route says so, after."""
    before = asyncio.all_tasks()
    async with running(**_settings()) as house:
        client = _SURFACES[surface](house.grpc if surface == "grpc" else house.url, KEY)
        cases = list(product(MODES, ("alone", "helped"), FAULTS))
        busy = asyncio.Semaphore(8)

        async def told(name: str, fault: str) -> Said | Exception:
            if fault in _SILENT:
                return await _told(client, name, streamed)
            async with busy:
                return await _told(client, name, streamed)

        answers = await asyncio.gather(*(told("-".join(case), case[2]) for case in cases))
        await client.close()
        await _over(house)
    wrong = {
        "-".join(case): why
        for case, one in zip(cases, answers, strict=True)
        if (why := _wrong(case[2], case[1] == "helped", streamed, case[0], one)) is not None
    }
    assert not wrong
    left = asyncio.all_tasks() - before
    if left:
        _, going = await asyncio.wait(left, timeout=10)
        assert not going


async def _over(house: Running) -> None:
    """No call runs, and the provider answers nobody any more."""
    async with asyncio.timeout(_SECONDS):
        await house.app._house.gateway.drained()
        await house.upstream.replies_reach(0)
