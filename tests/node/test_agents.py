"""Claude Code, Codex and the Gemini command line, run without a head."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import Running, running
from node.conftest import Execute
from surfaces.worlds import WORLDS, World

KEY = "sk-agent-0123456789"
SAY = "Say hello"


@pytest.fixture(params=["openai", "anthropic", "responses", "gemini"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A provider of each language: what a surface does before the others is told by the tests of surfaces."""
    async with WORLDS[request.param]() as world:
        yield world


@pytest.fixture
async def house(world: World) -> AsyncIterator[Running]:
    """A gateway in front of it."""
    keys = [{"name": "agent", "key": KEY}]
    async with running(providers={"world": world.provider}, models={}, keys=keys) as house:
        yield house


async def test_claude_code(house: Running, world: World, node_home: Path, execute: Execute) -> None:
    """Claude Code asks, and shows what the model said."""
    model, _ = world.way("text")
    ended = await execute(
        node_home / "node_modules/.bin/claude",
        "-p",
        SAY,
        "--output-format",
        "json",
        environment={
            "ANTHROPIC_BASE_URL": house.url,
            "ANTHROPIC_AUTH_TOKEN": KEY,
            "ANTHROPIC_MODEL": model,
            "ANTHROPIC_SMALL_FAST_MODEL": model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        },
    )
    told: dict[str, Any] = json.loads(ended.out.splitlines()[-1])

    assert told["subtype"] == "success"
    assert not told["is_error"]
    assert SAY in told["result"]
    assert told["usage"]["output_tokens"] > 0


async def test_codex(house: Running, world: World, node_home: Path, execute: Execute, tmp_path: Path) -> None:
    """Codex asks by Responses, and shows what the model said."""
    model, _ = world.way("text")
    folder = tmp_path / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f'model = "{model}"\nmodel_provider = "gateway"\n[model_providers.gateway]\nname = "gateway"\n'
        f'base_url = "{house.url}/v1"\nenv_key = "GATEWAY_KEY"\nwire_api = "responses"\n'
        "request_max_retries = 0\nstream_max_retries = 0\n"
    )
    ended = await execute(
        node_home / "node_modules/.bin/codex",
        "exec",
        "--skip-git-repo-check",
        "--json",
        SAY,
        environment={"GATEWAY_KEY": KEY},
    )
    events = [json.loads(line) for line in ended.out.splitlines() if line.startswith("{")]
    said = [event["item"]["text"] for event in events if event.get("item", {}).get("type") == "agent_message"]

    assert any(event["type"] == "turn.completed" for event in events)
    assert SAY in said[-1]


async def test_gemini_cli(house: Running, world: World, node_home: Path, execute: Execute, tmp_path: Path) -> None:
    """The Gemini command line asks, and shows what the model said."""
    model, _ = world.way("text")
    folder = tmp_path / ".gemini"
    folder.mkdir()
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}
    (folder / "settings.json").write_text(json.dumps(settings))
    ended = await execute(
        node_home / "node_modules/.bin/gemini",
        "-p",
        SAY,
        "-m",
        model,
        "--output-format",
        "json",
        "--skip-trust",
        environment={"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": house.url},
    )
    told: dict[str, Any] = json.loads(ended.out)

    assert "error" not in told
    assert told["response"]
