"""The command lines of Continue and of Cline, run without a head: they share their cores with the extensions."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import Running, running
from node.conftest import Execute
from surfaces.worlds import WORLDS, World

KEY = "sk-agent-0123456789"
SAY = "Say hello"

CONTINUE = """
name: gateway
version: 0.0.1
schema: v1
models:
  - name: gateway
    provider: {provider}
    model: {model}
    apiBase: {url}/v1
    apiKey: {key}
    roles: [chat]
"""


@pytest.fixture(params=["anthropic", "gemini"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Two kinds of provider: what a surface does before each is told by the tests of surfaces."""
    async with WORLDS[request.param]() as world:
        yield world


@pytest.fixture
async def house(world: World) -> AsyncIterator[Running]:
    """A gateway in front of it, beside the fake OpenAI."""
    providers = {"world": world.provider}
    async with running(providers=providers, models={}, keys=[{"name": "agent", "key": KEY}]) as house:
        yield house


@pytest.fixture
async def openai_house() -> AsyncIterator[Running]:
    """A gateway in front of a fake OpenAI, whose models call tools with arguments that fit."""
    async with running(keys=[{"name": "agent", "key": KEY}]) as house:
        yield house


@pytest.fixture
def cline(node_home: Path, tmp_path: Path) -> Iterator[Path]:
    """Cline's program, which is one binary for each machine. The daemon that it leaves behind ends with the test."""
    program = next(node_home.glob("node_modules/@cline/cli-*/bin/cline"), None)
    if program is None:
        pytest.skip("CLINE'S PROGRAM FOR THIS MACHINE IS NOT LOCKED: Cline is NOT tested here")
    yield program
    for process in Path("/proc").glob("[0-9]*"):
        # One that ends meanwhile has none any more.
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"--cline-hub-daemon" in words and os.fsencode(tmp_path) in words:
                os.kill(int(process.name), signal.SIGTERM)


async def _continue(
    execute: Execute, node_home: Path, folder: Path, house: Running, provider: str, model: str, words: str
) -> str:
    config = folder / "config.yaml"
    config.write_text(CONTINUE.format(provider=provider, model=model, url=house.url, key=KEY))
    program = node_home / "node_modules/.bin/cn"
    environment = {"CONTINUE_TELEMETRY_ENABLED": "0"}
    return (await execute(program, "-p", "--auto", "--config", config, words, environment=environment)).out


async def _cline(
    execute: Execute, cline: Path, folder: Path, house: Running, provider: str, model: str
) -> list[dict[str, Any]]:
    """What Cline tells of a run: its events, of which the last is the result."""
    settings = {"provider": provider, "apiKey": KEY, "model": model, "baseUrl": f"{house.url}/v1"}
    entry = {"settings": settings, "updatedAt": "2026-11-01T00:00:00.000Z", "tokenSource": "manual"}
    kept = folder / ".cline/data/settings/providers.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"version": 1, "lastUsedProvider": provider, "providers": {provider: entry}}))
    ended = await execute(cline, "--json", SAY)
    return [json.loads(line) for line in ended.out.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_continue(
    house: Running, world: World, provider: str, node_home: Path, execute: Execute, tmp_path: Path
) -> None:
    """Continue asks by chat and by Messages, and shows what the model said."""
    model, _ = world.way("text")
    assert SAY in await _continue(execute, node_home, tmp_path, house, provider, model, SAY)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_continue_calls_a_tool(
    openai_house: Running, provider: str, node_home: Path, execute: Execute, tmp_path: Path
) -> None:
    """It runs the tool that the model calls, and the result reaches the model."""
    told = await _continue(execute, node_home, tmp_path, openai_house, provider, "fake/tool", SAY)

    assert told.startswith("Read answered: ")
    last = json.loads(openai_house.upstream.requests[-1].body)["messages"][-1]
    assert last["role"] == "tool"


@pytest.mark.parametrize("world", ["gemini"], indirect=True)
async def test_cline(house: Running, world: World, cline: Path, execute: Execute, tmp_path: Path) -> None:
    """Cline asks by chat, and shows what the model said, with what it used."""
    model, _ = world.way("text")
    result = (await _cline(execute, cline, tmp_path, house, "openai-compatible", model))[-1]

    assert (result["type"], result["finishReason"]) == ("run_result", "completed")
    assert SAY in result["text"]
    assert result["usage"]["outputTokens"] > 0


@pytest.mark.parametrize("provider", ["openai-compatible", "openai-native", "anthropic"])
async def test_cline_calls_a_tool(
    openai_house: Running, provider: str, cline: Path, execute: Execute, tmp_path: Path
) -> None:
    """By chat, by Responses with the tools that OpenAI would run itself, and by Messages: it runs the tool that the
    model calls, and the result reaches the model."""
    result = (await _cline(execute, cline, tmp_path, openai_house, provider, "fake/tool"))[-1]

    assert (result["finishReason"], result["iterations"]) == ("completed", 2)
    assert result["text"].startswith("read_files answered: ")
    last = json.loads(openai_house.upstream.requests[-1].body)["messages"][-1]
    assert last["role"] == "tool"
