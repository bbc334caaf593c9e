"""Codex calls its tools, run without a head against every kind of provider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import running
from node.conftest import Execute
from surfaces.worlds import WORLDS

CONFIG = """
model = "{model}"
model_provider = "gateway"
[model_providers.gateway]
name = "gateway"
base_url = "{url}/v1"
env_key = "GATEWAY_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""


def _answers(sent: str) -> int:
    """How many results of tools a request holds, in whichever language."""
    marks = (
        '"role":"tool"',
        '"role": "tool"',
        '"type": "tool_result"',
        '"toolResult"',
        '"functionResponse"',
        '"type": "function_call_output"',
    )
    return max(sent.count(mark) for mark in marks)


@pytest.mark.parametrize("kind", WORLDS)
async def test_codex_calls_its_tools(kind: str, node_home: Path, execute: Execute, tmp_path: Path) -> None:
    """The calls reach Codex under the names that it knows, those of its namespaces, too; it answers each, the provider
    gets every answer, and Codex shows what the model says then."""
    async with WORLDS[kind]() as world, running(providers={"world": world.provider}, models={}) as house:
        model, words = world.way("tools")
        folder = tmp_path / ".codex"
        folder.mkdir()
        (folder / "config.toml").write_text(CONFIG.format(model=model, url=house.url))
        ended = await execute(
            node_home / "node_modules/.bin/codex",
            "exec",
            "--skip-git-repo-check",
            "--json",
            words,
            environment={"GATEWAY_KEY": "none"},
        )
    events: list[Any] = [json.loads(line) for line in ended.out.splitlines() if line.startswith("{")]
    said = [event["item"]["text"] for event in events if event.get("item", {}).get("type") == "agent_message"]
    last = world.said()[-1]

    assert said[-1]
    assert events[-1]["type"] == "turn.completed"
    assert _answers(last) >= 5
    assert "unsupported call" not in last
