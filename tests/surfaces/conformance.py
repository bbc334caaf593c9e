"""What every surface does with every kind of provider behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from e2e.conftest import Running, running
from surfaces.said import PIXEL, Asked, Said, Surface
from surfaces.worlds import WORLDS, World

KEY = "sk-caller-0123456789"
TOOLS = ("weather", "time")


_SYSTEM = "You are a coding agent. Be careful with the files of your user. " * 40


class SurfaceConformance:
    """Inherited once by each surface, which says by `surface` which it is."""

    surface: type[Surface]
    turns = 200
    """How long the long session is."""

    def connect(self, house: Running, key: str) -> Surface:
        """A client of the surface."""
        return self.surface(house.url, key)

    @pytest.fixture(params=list(WORLDS))
    async def world(self, request: pytest.FixtureRequest) -> AsyncIterator[World]:
        """Each kind of provider in turn."""
        async with WORLDS[request.param]() as world:
            yield world

    @pytest.fixture
    async def house(self, world: World) -> AsyncIterator[Running]:
        """A gateway in front of it."""
        keys = [{"name": "caller", "key": KEY}]
        async with running(providers={"world": world.provider}, models={}, keys=keys) as house:
            yield house

    @pytest.fixture
    async def client(self, house: Running) -> AsyncIterator[Surface]:
        """The vendor's own client."""
        client = self.connect(house, KEY)
        yield client
        await client.close()

    def asked(self, client: Surface, world: World, way: str, *, image: str = "") -> Asked:
        """A request with one word of the user's."""
        model, words = world.way(way)
        return Asked(model, [client.user(words, image)])

    async def test_a_text(self, client: Surface, world: World) -> None:
        """A text comes at once and as a stream, with what it used."""
        asked = self.asked(client, world, "text")
        whole = await client.ask(asked)
        streamed = await client.ask(Asked(asked.model, asked.history, streamed=True))

        assert "Hello" in whole.text
        assert streamed.text == whole.text
        assert streamed.tokens == whole.tokens > 0

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_tools(self, client: Surface, world: World, streamed: bool) -> None:
        """Tools are called at once, under different ids, and what they return ends in a text."""
        model, words = world.way("tools")
        history = [client.user(words)]
        called = await client.ask(Asked(model, history, TOOLS, streamed=streamed))

        assert [name for _, name, _ in called.calls] == list(TOOLS)
        assert all("city" in arguments for _, _, arguments in called.calls)
        ids = [call for call, _, _ in called.calls]
        assert len(set(ids)) == 2
        results = {call: f"result of {name}" for call, name, _ in called.calls}
        history += [*called.turn, *client.answered(results, called)]
        ended = await client.ask(Asked(model, history, TOOLS, streamed=streamed))

        assert ended.text
        assert not ended.calls
        assert all(text in world.said()[-1] for text in results.values())

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_a_forced_tool(self, client: Surface, world: World, streamed: bool) -> None:
        """The tool that is asked for is the one that is called."""
        model, words = world.way("forced")
        said = await client.ask(Asked(model, [client.user(words)], TOOLS[:1], forced="weather", streamed=streamed))

        assert [name for _, name, _ in said.calls] == ["weather"]

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_structured_output(self, client: Surface, world: World, streamed: bool) -> None:
        """The answer is JSON that has what its schema requires."""
        model, words = world.way("schema")
        said = await client.ask(Asked(model, [client.user(words)], schema=True, streamed=streamed))

        assert "name" in json.loads(said.text)

    async def test_reasoning_over_twenty_turns(self, client: Surface, world: World) -> None:
        """What a provider needs back of its reasoning, streamed or told at once, reaches it as it was, turn after
        turn: the fakes refuse it otherwise."""
        way = "tools" if world.reasons else "reasoning"
        model, words = world.way(way)
        history = [client.user(words)]
        for turn in range(20):
            tools, streamed = TOOLS if world.reasons else (), turn % 2 == 0
            said = await client.ask(Asked(model, history, tools, reasoning=True, streamed=streamed))
            assert said.reasoning or said.calls
            history += said.turn
            if said.calls:
                history += client.answered({call: f"result {turn}" for call, _, _ in said.calls}, said)
                said = await client.ask(Asked(model, history, tools, reasoning=True, streamed=streamed))
                assert said.text
                history += said.turn
            history.append(client.user(words))

    async def test_an_image(self, client: Surface, world: World) -> None:
        """An image reaches the provider byte for byte."""
        said = await client.ask(self.asked(client, world, "image", image=PIXEL))

        assert said.text
        assert PIXEL in world.said()[-1]

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_a_provider_that_is_busy(self, client: Surface, world: World, streamed: bool) -> None:
        """A rate limit is told by its status before anything is streamed."""
        asked = self.asked(client, world, "limited")
        with pytest.raises(client.errors) as refused:
            await client.ask(Asked(asked.model, asked.history, streamed=streamed))
        assert client.status(refused.value) == 429

    async def test_an_unknown_model(self, client: Surface, world: World) -> None:
        """A model that nobody has is not found."""
        with pytest.raises(client.errors) as refused:
            await client.ask(Asked("nobody/nothing", [client.user("Hello")]))
        assert client.status(refused.value) == 404

    async def test_a_wrong_key(self, house: Running, world: World) -> None:
        """A caller whom nobody knows is refused, and no provider is asked."""
        stranger = self.connect(house, "sk-stranger-0123456789")
        with pytest.raises(stranger.errors) as refused:
            await stranger.ask(self.asked(stranger, world, "text"))
        await stranger.close()
        assert stranger.status(refused.value) == 401
        assert not world.said()

    @pytest.mark.parametrize("way", ["cut", "failing"])
    async def test_a_stream_that_is_cut(self, client: Surface, world: World, way: str) -> None:
        """A stream that breaks, or that tells an error, is an error to the client, and never looks finished."""
        asked = self.asked(client, world, way)
        said: Said | None = None
        with pytest.raises(client.errors):
            said = await client.ask(Asked(asked.model, asked.history, streamed=True))
        assert said is None

    async def test_a_client_that_leaves(self, client: Surface, world: World) -> None:
        """When the client goes away, the provider is left at once."""
        stream = await client.begin(self.asked(client, world, "hanging"))
        close = getattr(stream, "close", None) or stream.aclose
        await close()
        await client.close()
        async with asyncio.timeout(30):
            await world.left()

    async def test_a_long_session(self, client: Surface, world: World) -> None:
        """A session as a coding agent makes it: a long system prompt, thirty tools, calls with results and
        images, turns that are given up, and a history that is compacted on the way."""
        many = (*TOOLS, *(f"tool_{number}" for number in range(28)))
        history: list[Any] = []
        said = Said()
        model, words = world.way("text")
        for turn in range(self.turns):
            calls = turn % 4 == 1
            if not said.calls:
                model, words = world.way("tools" if calls else "text")
            if turn % 60 == 30:
                stream = await client.begin(Asked(model, [client.user("Never mind.")], many, system=_SYSTEM))
                await (getattr(stream, "close", None) or stream.aclose)()
            if turn % 30 == 29:
                history = [client.user(f"What was done in {turn} turns: much."), *said.turn]
            if not said.calls:
                history.append(client.user(words))
            tools = TOOLS if calls or said.calls else many
            asked = Asked(model, history, tools, reasoning=world.reasons, streamed=turn % 2 == 0, system=_SYSTEM)
            said = await client.ask(asked)
            assert said.calls or said.text
            history += said.turn
            if said.calls:
                results = {call: f"result {turn} of {name}" for call, name, _ in said.calls}
                history += client.answered(results, said, PIXEL if world.sees and turn % 8 == 1 else "")
        assert _SYSTEM.strip() in world.said()[-1]
