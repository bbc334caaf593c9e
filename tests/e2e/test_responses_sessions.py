"""Sessions as Codex makes them, with each kind of provider behind: nothing is kept, everything is sent again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from e2e.conftest import Running, running
from surfaces.said import CITY, PIXEL
from surfaces.worlds import WORLDS, World

HEADERS = {
    "originator": "codex_exec",
    "session-id": "0199f0b2-7f2d-7c31-9a11-3d2c7d0b6a5e",
    "x-codex-turn-metadata": '{"turn_id":"1"}',
    "x-codex-window-id": "1",
}
TURNS = 40
INNER = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "strict": False,
    "parameters": CITY,
}
IMAGE = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"}


def tools(count: int = 30) -> list[Any]:
    """What Codex offers: functions, those of MCP servers in namespaces, and a search that the provider runs."""
    functions = [{**INNER, "name": f"tool_{number}"} for number in range(count)]
    namespace = {"type": "namespace", "name": "mcp__earth", "description": "Of the server earth.", "tools": [INNER]}
    return [*functions, namespace, {"type": "web_search", "external_web_access": True}]


def developer(text: str) -> Any:
    """What Codex says in place of `instructions`."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "id": "msg_dev", "role": "developer", "content": content}


def user(number: int, text: str) -> Any:
    """What the user says, with an id, as Codex writes it."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "id": f"msg_user_{number}", "role": "user", "content": content}


class Session:
    """One session: its history, and what it says with each request."""

    def __init__(self, house: Running, world: World) -> None:
        self.world = world
        self.client = openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=0)
        self.history: list[Any] = [developer("You are a coding agent."), developer("<environment_context/>")]
        self.turns = 0

    async def ask(self, way: str, words: str | None = None, offered: list[Any] | None = None) -> Any:
        """One streamed request, whose whole answer goes into the history."""
        model, known = self.world.way(way)
        if words is not None:
            self.history.append(user(self.turns, words or known))
            self.turns += 1
        response = None
        async for event in await self._create(model, offered):
            if event.type == "response.completed":
                response = event.response
        assert response is not None
        assert response.status == "completed"
        self.history += [_sent_back(item.to_dict(warnings=False)) for item in response.output]
        return response

    async def _create(self, model: str, offered: list[Any] | None) -> Any:
        return await self.client.responses.create(
            model=model,
            input=self.history,
            tools=offered or [],
            tool_choice="auto",
            parallel_tool_calls=True,
            reasoning={"summary": "auto"},
            store=False,
            stream=True,
            include=["reasoning.encrypted_content"],
            prompt_cache_key="0199f0b2",
            extra_body={"client_metadata": {"x-codex-installation-id": "i"}},
            extra_headers=HEADERS,
        )

    async def abort(self, words: str) -> None:
        """A turn that the user ends in the middle."""
        self.history.append(user(self.turns, words))
        stream = await self._create(self.world.way("hanging")[0], None)
        await anext(aiter(stream))
        await stream.close()
        async with asyncio.timeout(30):
            await self.world.left()
        self.history[-1] = user(self.turns, "<turn_aborted/>")
        self.turns += 1

    def answer(self, response: Any, text: str) -> int:
        """Give each call of `response` its result, with an image where it is seen; how many there were."""
        calls = [item for item in response.output if item.type == "function_call"]
        for call in calls:
            output = [{"type": "input_text", "text": text}, *([IMAGE] if self.world.sees else [])]
            self.history.append({"type": "function_call_output", "call_id": call.call_id, "output": output})
        return len(calls)


def _sent_back(item: dict[str, Any]) -> dict[str, Any]:
    """An item as Codex sends it back: without its state."""
    return {key: value for key, value in item.items() if key != "status" and value is not None}


@pytest.fixture(params=list(WORLDS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Each kind of provider in turn."""
    async with WORLDS[request.param]() as world:
        yield world


@pytest.fixture
async def session(world: World) -> AsyncIterator[Session]:
    """A session with it."""
    async with running(providers={"world": world.provider}, models={}) as house:
        one = Session(house, world)
        yield one
        await one.client.close()


async def test_a_session_of_many_turns(session: Session) -> None:
    """Turns with calls and with words alone, one that is aborted, results with images: all of it reaches the provider,
    and the reasoning as it was."""
    for turn in range(TURNS):
        way = "tools" if turn % 5 == 0 else "text"
        if turn == 12:
            await session.abort(session.world.way("hanging")[1])
        # Every tool that is offered is called at once.
        offered = tools(2 if way == "tools" else 30)
        response = await session.ask(way, session.world.way("tools")[1] if way == "tools" else f"Turn {turn}", offered)
        if session.answer(response, f"result {turn}"):
            response = await session.ask(way, None, offered)
        assert response.output_text
    said = session.world.said()[-1]

    assert all(f"Turn {turn}" in said for turn in range(TURNS) if turn % 5)
    assert all(f"result {turn}" in said for turn in range(0, TURNS, 5))
    assert "turn_aborted" in said
    assert (PIXEL in said) is session.world.sees


async def test_the_tools_of_a_session(session: Session) -> None:
    """A call of a tool of a namespace is told under both names, comes back under both, and reaches the provider under
    the one that it knows."""
    native = session.world.provider["kind"] in ("openai-responses", "azure")
    offered = [INNER] if native else tools(0)
    response = await session.ask("tools", "", offered)
    calls = [item.to_dict() for item in response.output if item.type == "function_call"]
    session.answer(response, "sunny")
    await session.ask("text", None, offered)
    said = json.loads(session.world.said()[-1])

    assert [(call.get("namespace"), call["name"]) for call in calls] == [(None if native else "mcp__earth", "weather")]
    assert json.dumps(said).count("weather" if native else "mcp__earth__weather") >= 2


async def test_a_session_is_compacted(session: Session) -> None:
    """The history is replaced by a summary of the model's, as Codex does by itself, and goes on."""
    for turn in range(3):
        await session.ask("text", f"Turn {turn}")
    summary = (await session.ask("text", "Summarize.")).output_text
    session.history = [session.history[0], user(99, f"Before: {summary}")]
    response = await session.ask("text", "Go on")

    assert response.output_text
    assert "Turn 1" not in session.world.said()[-1]
