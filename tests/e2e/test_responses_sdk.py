"""Responses and Conversations by OpenAI's SDK, with a fake of every language behind: what the gateway keeps itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, get_args

import httpx
import openai
import pytest
from e2e.conftest import Running, Start
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel
from surfaces.worlds import WORLDS, World

KEYS = [{"name": "ann", "key": "sk-ann-0123456789"}, {"name": "bob", "key": "sk-bob-0123456789"}]
EVENTS: dict[str, type[BaseModel]] = {
    get_args(event.model_fields["type"].annotation)[0]: event for event in get_args(get_args(ResponseStreamEvent)[0])
}
"""The type of each event that the SDK knows -> its class."""


class Person(BaseModel):
    """What `.parse()` is asked for."""

    name: str
    age: int


def sdk(house: Running, key: str = "none") -> openai.AsyncOpenAI:
    """A client that does not repeat what fails."""
    return openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=key, max_retries=0)


@pytest.fixture
async def client(gateway: Running) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of a gateway that asks nobody for a key."""
    async with sdk(gateway) as one:
        yield one


@pytest.fixture(params=list(WORLDS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Each kind of provider in turn."""
    async with WORLDS[request.param]() as world:
        yield world


async def ended(client: openai.AsyncOpenAI, response_id: str) -> Response:
    """The response, polled until it runs no longer."""
    async with asyncio.timeout(30):
        while True:
            response = await client.responses.retrieve(response_id)
            if response.status not in ("queued", "in_progress"):
                return response


async def test_a_conversation_by_the_previous_response(world: World, start: Start) -> None:
    """Every provider goes on from what the gateway keeps, reasoning and calls among it: the fakes refuse it
    otherwise."""
    model, words = world.way("tools")
    tool: Any = {
        "type": "function",
        "name": "weather",
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
        "strict": False,
    }
    async with start(providers={"world": world.provider}, models={}) as house, sdk(house) as client:
        previous = None
        for turn in range(20):
            response = await client.responses.create(
                model=model, input=words, tools=[tool], previous_response_id=previous
            )
            calls = [item for item in response.output if item.type == "function_call"]
            assert calls
            results: Any = [
                {"type": "function_call_output", "call_id": call.call_id, "output": f"result {turn}"} for call in calls
            ]
            response = await client.responses.create(
                model=model, input=results, tools=[tool], previous_response_id=response.id
            )
            assert response.output_text
            previous = response.id

        assert all(f"result {turn}" in world.said()[-1] for turn in range(20))


async def test_a_conversation_by_its_own_id(world: World, start: Start) -> None:
    """Each turn is added to the conversation, what was asked and what was answered, streamed or not."""
    model, _ = world.way("text")
    async with start(providers={"world": world.provider}, models={}) as house, sdk(house) as client:
        made = await client.conversations.create(metadata={"topic": "greetings"})
        await client.responses.create(model=model, input="first words", conversation=made.id)
        async with client.responses.stream(model=model, input="second words", conversation=made.id) as stream:
            streamed = await stream.get_final_response()
        await client.responses.create(model=model, input="third words", conversation={"id": made.id}, store=False)
        items = [item async for item in client.conversations.items.list(made.id, order="asc")]

        assert streamed.conversation is not None
        assert streamed.conversation.id == made.id
        assert [item.role for item in items if item.type == "message"] == ["user", "assistant"] * 3
        assert all(words in world.said()[-1] for words in ("first words", "second words", "third words"))


@pytest.mark.parametrize("way", ["text", "tools", "schema", "reasoning"])
async def test_every_event_is_one_that_the_sdk_knows(world: World, start: Start, way: str) -> None:
    """Strictly by its types: each event, in order and numbered, and the whole response at the end."""
    model, words = world.way(way)
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    body: dict[str, Any] = {"model": model, "input": words, "stream": True, "reasoning": {"summary": "auto"}}
    if way == "tools":
        body["tools"] = [{"type": "function", "name": "weather", "parameters": schema, "strict": False}]
    if way == "schema":
        body["text"] = {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}}
    async with start(providers={"world": world.provider}, models={}) as house, httpx.AsyncClient() as http:
        answer = await http.post(f"{house.url}/v1/responses", json=body)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    names = [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]
    for event in events:
        EVENTS[event["type"]].model_validate(event)

    assert names == [event["type"] for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert names[:2] == ["response.created", "response.in_progress"]
    assert names[-1] == "response.completed"
    added = {e["output_index"]: e["item"]["id"] for e in events if e["type"] == "response.output_item.added"}
    done = {e["output_index"]: e["item"] for e in events if e["type"] == "response.output_item.done"}
    assert {place: item["id"] for place, item in done.items()} == added
    assert [done[place] for place in sorted(done)] == events[-1]["response"]["output"]
    Response.model_validate(events[-1]["response"])


async def test_a_parsed_answer(client: openai.AsyncOpenAI) -> None:
    """`.parse()` gives an object of the class that was asked for."""
    response = await client.responses.parse(model="fake/json", input="Who?", text_format=Person)
    assert isinstance(response.output_parsed, Person)


async def test_what_is_kept(client: openai.AsyncOpenAI) -> None:
    """A response is got as it was answered; deleted, it is gone; `store: false` keeps nothing."""
    response = await client.responses.create(model="fake/echo", input="Hello", metadata={"k": "v"})
    got = await client.responses.retrieve(response.id)
    assert got == response
    assert got.metadata == {"k": "v"}
    assert got.completed_at is not None
    async with client.responses.stream(model="fake/echo", input="Hello") as stream:
        streamed = await stream.get_final_response()
    assert (await client.responses.retrieve(streamed.id)).output_text == "Hello"

    await client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(response.id)
    fleeting = await client.responses.create(model="fake/echo", input="Hello", store=False)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(fleeting.id)


async def test_the_end_is_stored_before_it_is_told(gateway: Running, client: openai.AsyncOpenAI) -> None:
    """Whoever saw the last event can go on from the response at once."""
    async with client.responses.stream(model="fake/echo", input="Hello") as stream:
        async for event in stream:
            if event.type == "response.completed":
                assert (await client.responses.retrieve(event.response.id)).status == "completed"


async def test_instructions_are_of_one_turn(client: openai.AsyncOpenAI) -> None:
    """They do not go on with the conversation; its items do."""
    first = await client.responses.create(model="fake/echo", input="One", instructions="Be brief.")
    second = await client.responses.create(model="fake/request", input="Two", previous_response_id=first.id)
    messages = json.loads(second.output_text)["messages"]

    assert [message["content"] for message in messages] == ["One", "One", "Two"]


async def test_input_items_come_in_pages(client: openai.AsyncOpenAI) -> None:
    """The newest first, unless asked otherwise, each with an id."""
    given: Any = [{"role": "user", "content": f"word {number}"} for number in range(5)]
    response = await client.responses.create(model="fake/echo", input=given)
    newest = [item async for item in client.responses.input_items.list(response.id, limit=2)]
    oldest = [item async for item in client.responses.input_items.list(response.id, limit=2, order="asc")]

    assert len(newest) == 5
    assert newest == oldest[::-1]
    assert oldest[0].content[0].text == "word 0"  # type: ignore[union-attr]
    with pytest.raises(openai.BadRequestError, match="limit"):
        await client.responses.input_items.list(response.id, limit=1000)


async def test_items_are_named_instead_of_sent(client: openai.AsyncOpenAI) -> None:
    """An item of an answer that is kept can be told by its id."""
    first = await client.responses.create(model="fake/echo", input="One")
    named: Any = [{"type": "item_reference", "id": first.output[0].id}, {"role": "user", "content": "Two"}]
    second = await client.responses.create(model="fake/request", input=named)
    assert [one["content"] for one in json.loads(second.output_text)["messages"]] == ["One", "Two"]

    with pytest.raises(openai.BadRequestError, match="msg_gone"):
        await client.responses.create(model="fake/echo", input=[{"type": "item_reference", "id": "msg_gone"}])


async def test_a_conversations_items(client: openai.AsyncOpenAI) -> None:
    """Conversations are made with items, which are added, got and deleted one by one."""
    hello: Any = {"type": "message", "role": "user", "content": "Hello"}
    made = await client.conversations.create(items=[hello], metadata={"a": "1"})
    added = await client.conversations.items.create(made.id, items=[hello])
    one = await client.conversations.items.retrieve(added.data[0].id, conversation_id=made.id)  # type: ignore[arg-type]
    assert one.id == added.data[0].id
    assert len([item async for item in client.conversations.items.list(made.id)]) == 2
    await client.conversations.items.delete(str(one.id), conversation_id=made.id)
    assert len([item async for item in client.conversations.items.list(made.id)]) == 1
    assert (await client.conversations.update(made.id, metadata={"b": "2"})).metadata == {"b": "2"}
    assert (await client.conversations.retrieve(made.id)).metadata == {"b": "2"}
    await client.conversations.delete(made.id)
    for gone in (
        client.conversations.retrieve(made.id),
        client.responses.create(model="fake/echo", input="Hello", conversation=made.id),
    ):
        with pytest.raises(openai.NotFoundError):
            await gone


async def test_callers_see_their_own_alone(start: Start) -> None:
    """Another caller's response is as if it were not there, whatever is asked of it."""
    async with start(keys=KEYS) as house, sdk(house, KEYS[0]["key"]) as ann, sdk(house, KEYS[1]["key"]) as bob:
        response = await ann.responses.create(model="fake/long", input="Hello", background=True)
        made = await ann.conversations.create()
        for tried in (
            bob.responses.retrieve(response.id),
            bob.responses.retrieve(response.id, stream=True),
            bob.responses.cancel(response.id),
            bob.responses.delete(response.id),
            bob.responses.input_items.list(response.id),
            bob.conversations.retrieve(made.id),
        ):
            with pytest.raises(openai.NotFoundError):
                await tried
        with pytest.raises(openai.BadRequestError) as refused:
            await bob.responses.create(model="fake/echo", input="Hello", previous_response_id=response.id)
        assert refused.value.code == "previous_response_not_found"
        assert (await ended(ann, response.id)).status == "completed"


async def test_a_response_in_the_background(start: Start) -> None:
    """It is answered at once, written though nobody listens, and polled until its end, with the caller's own key."""
    async with start(keys=KEYS) as house, sdk(house, KEYS[0]["key"]) as client:
        response = await client.responses.create(model="fake/long", input="Hello", background=True)
        assert response.status == "queued"
        assert response.background
        done = await ended(client, response.id)
        assert done.status == "completed"
        assert len(done.output_text) == 400
        assert done.created_at == response.created_at
        assert done.usage is not None


async def test_it_says_where_it_stands(client: openai.AsyncOpenAI) -> None:
    """It is in progress from its first event on, and then can be cancelled; what came so far stays."""
    response = await client.responses.create(model="fake/fault/stall", input="Hello", background=True)
    async with asyncio.timeout(30):
        while (await client.responses.retrieve(response.id)).status != "in_progress":
            pass
    with pytest.raises(openai.BadRequestError, match="not finished"):
        await client.responses.create(model="fake/echo", input="More", previous_response_id=response.id)
    assert (await client.responses.cancel(response.id)).status == "cancelled"
    assert (await client.responses.cancel(response.id)).status == "cancelled"
    assert (await client.responses.retrieve(response.id)).status == "cancelled"


async def test_only_what_runs_in_the_background_is_cancelled(client: openai.AsyncOpenAI) -> None:
    """The error says so."""
    response = await client.responses.create(model="fake/echo", input="Hello")
    with pytest.raises(openai.BadRequestError, match="background"):
        await client.responses.cancel(response.id)
    with pytest.raises(openai.BadRequestError, match="store"):
        await client.responses.create(model="fake/echo", input="Hello", background=True, store=False)


async def test_a_running_stream_is_resumed(client: openai.AsyncOpenAI) -> None:
    """A client that left a stream goes on behind the last event it has, while it runs and after; each event comes
    once."""
    stream = await client.responses.create(model="fake/long", input="Hello", background=True, stream=True)
    first: list[Any] = []
    async for event in stream:
        first.append(event)
        if len(first) == 10:
            break
    await stream.close()
    name = first[0].response.id
    rest = [event async for event in await client.responses.retrieve(name, stream=True, starting_after=9)]
    again = [event async for event in await client.responses.retrieve(name, stream=True)]

    assert [event.type for event in first[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert [event.sequence_number for event in [*first, *rest]] == list(range(len(first) + len(rest)))
    assert [event.to_dict() for event in again] == [event.to_dict() for event in [*first, *rest]]
    assert rest[-1].type == "response.completed"
    assert rest[-1].response.output_text == (await client.responses.retrieve(name)).output_text
    assert [e async for e in await client.responses.retrieve(name, stream=True, starting_after=10_000)] == []


@pytest.mark.parametrize("model", ["fake/fault/error-500", "fake/fault/cut", "nobody/nothing"])
async def test_a_background_response_that_fails(client: openai.AsyncOpenAI, model: str) -> None:
    """It is told to have failed and why, polled and streamed, before its first event and after."""
    response = await client.responses.create(model=model, input="Hello there, this fails", background=True)
    done = await ended(client, response.id)
    assert done.status == "failed"
    assert done.error is not None
    assert done.error.message
    with pytest.raises(openai.APIError):
        async for _ in await client.responses.retrieve(response.id, stream=True):
            pass


async def test_a_deleted_background_response_is_left(gateway: Running, client: openai.AsyncOpenAI) -> None:
    """Its provider is left at once."""
    response = await client.responses.create(model="fake/fault/stall", input="Hello", background=True)
    await client.responses.delete(response.id)
    async with asyncio.timeout(30):
        await gateway.upstream.replies_reach(0)


async def test_a_gateway_that_stops(start: Start, tmp_path: Any) -> None:
    """What is kept outlives it. What it still wrote is told to have failed, never to be in progress for ever."""
    store = {"url": f"sqlite:///{tmp_path}/t.db", "encryption_key": "c2VjcmV0" * 5 + "c2U="}
    async with start(store=store, shutdown_grace=0) as house, sdk(house) as client:
        kept = await client.responses.create(model="fake/echo", input="whispered words")
        running = await client.responses.create(model="fake/fault/stall", input="Hello", background=True)
    assert not [path for path in tmp_path.iterdir() if b"whispered" in path.read_bytes()]

    async with start(store=store) as house, sdk(house) as client:
        assert (await client.responses.retrieve(kept.id)).output_text == "whispered words"
        after = await client.responses.create(model="fake/request", input="More", previous_response_id=kept.id)
        assert "whispered words" in after.output_text
        failed = await client.responses.retrieve(running.id)
        assert failed.status == "failed"
        assert failed.error is not None
        assert "stopped" in failed.error.message


async def test_a_gateway_that_crashed(start: Start, tmp_path: Any) -> None:
    """What a gateway wrote that is gone without a word is told to have failed once nobody vouches for it."""
    url = f"sqlite:///{tmp_path}/t.db"
    async with start(store={"url": url}, shutdown_grace=0) as house, sdk(house) as client:
        response = await client.responses.create(model="fake/fault/stall", input="Hello", background=True)
        async with house.app._database.writing() as connection:
            # As if it had said its last word a minute ago.
            await connection.exec_driver_sql("UPDATE responses SET lease_until = lease_until - 60")
        failed = await client.responses.retrieve(response.id)
        assert failed.status == "failed"
        assert failed.error is not None
        assert "gone" in failed.error.message


async def test_a_stream_that_failed_is_kept(client: openai.AsyncOpenAI) -> None:
    """What came of a response after its first event can be asked for, an error, too."""
    events: list[Any] = []
    with pytest.raises(openai.APIError):
        async for event in await client.responses.create(
            model="fake/fault/cut", input="Hello there, this is cut", stream=True
        ):
            events.append(event)  # noqa: PERF401 - what came before the error counts
    assert events[-1].type != "response.completed"
    assert (await client.responses.retrieve(events[0].response.id)).status == "failed"


async def test_tokens_are_counted(client: openai.AsyncOpenAI, start: Start) -> None:
    """As the provider counts them, or else estimated, which a header says; the turns before count, too."""
    first = await client.responses.create(model="fake/echo", input="Hello there " * 50)
    counted = await client.responses.input_tokens.with_raw_response.count(
        model="fake/echo", input="More", previous_response_id=first.id
    )
    assert counted.headers["x-trunkline-estimated"] == "input_tokens"
    assert counted.parse().input_tokens > 100
    async with (
        WORLDS["responses"]() as world,
        start(providers={"world": world.provider}, models={}) as house,
        sdk(house) as other,
    ):
        exact = await other.responses.input_tokens.with_raw_response.count(model=world.way("text")[0], input="Hi")
    assert "x-trunkline-estimated" not in exact.headers
    assert exact.parse().input_tokens == 42


async def test_a_conversation_is_compacted_where_that_can_be(client: openai.AsyncOpenAI, start: Start) -> None:
    """By a provider that does it, whose items go on verbatim; by nobody else, which the error says."""
    with pytest.raises(openai.BadRequestError, match="does not compact"):
        await client.responses.compact(model="fake/echo", input="Hello")  # type: ignore[arg-type]
    async with (
        WORLDS["responses"]() as world,
        start(providers={"world": world.provider}, models={}) as house,
        sdk(house) as other,
    ):
        model: Any = world.way("text")[0]
        first = await other.responses.create(model=model, input="Hello")
        compacted = await other.responses.compact(model=model, previous_response_id=first.id)
        items: Any = [item.to_dict(warnings=False) for item in compacted.output]
        assert compacted.object == "response.compaction"
        assert compacted.usage.total_tokens == 25
        assert [item["type"] for item in items] == ["message", "message", "compaction"]
        await other.responses.create(model=model, input=[*items, {"role": "user", "content": "More"}])
        sent = json.loads(world.said()[-1])["input"]
        assert [item.get("type", item.get("role")) for item in sent][-2:] == ["compaction", "user"]
        assert sent[-2]["encrypted_content"] == "gAAAA=="


async def test_upstream_keeps_nothing(start: Start) -> None:
    """The gateway holds the state: the provider is asked to store nothing, and for what it needs back."""
    async with (
        WORLDS["responses"]() as world,
        start(providers={"world": world.provider}, models={}) as house,
        sdk(house) as client,
    ):
        model = world.way("text")[0]
        first = await client.responses.create(model=model, input="One")
        await client.responses.create(model=model, input="Two", previous_response_id=first.id)
        sent = json.loads(world.said()[-1])
    assert sent["store"] is False
    assert sent["include"] == ["reasoning.encrypted_content"]
    assert "previous_response_id" not in sent
    assert [item.get("type", item.get("role")) for item in sent["input"]] == ["user", "reasoning", "message", "user"]


async def test_custom_tools(world: World, start: Start) -> None:
    """A tool that is called with a text: native where the provider has such tools, else told as a function, which the
    report says; the call comes as one of a custom tool, and goes back as it was."""
    model, words = world.way("forced")
    tool: Any = {"type": "custom", "name": "weather", "description": "Tells the weather."}
    history: list[Any] = [
        {"role": "user", "content": "Patch it"},
        {"type": "custom_tool_call", "call_id": "call_1", "name": "weather", "input": '*** Begin "Patch"'},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "Done"},
        {"role": "user", "content": words},
    ]
    async with start(providers={"world": world.provider}, models={}) as house, sdk(house) as client:
        raw = await client.responses.with_raw_response.create(
            model=model, input=history, tools=[tool], tool_choice={"type": "custom", "name": "weather"}
        )
        response = raw.parse()
        async with client.responses.stream(
            model=model, input=history, tools=[tool], tool_choice={"type": "custom", "name": "weather"}
        ) as stream:
            streamed = await stream.get_final_response()
    native = world.provider["kind"] in ("openai-responses", "azure")

    assert ("tools[0].custom" in raw.headers.get("x-trunkline-emulated", "")) is not native
    for one in (response, streamed):
        assert [(item.type, item.name) for item in one.output if item.type != "reasoning"] == [  # type: ignore[union-attr]
            ("function_call" if native else "custom_tool_call", "weather")
        ]
    assert '*** Begin \\"Patch\\"' in world.said()[-1].replace('\\\\\\"', '\\"')
    assert "Done" in world.said()[-1]


async def test_namespaces(world: World, start: Start) -> None:
    """A tool of a namespace is called under both its names."""
    model, words = world.way("tools")
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}
    inner = {"type": "function", "name": "weather", "parameters": schema, "strict": False}
    tool: Any = {"type": "namespace", "name": "mcp__earth", "description": "The earth.", "tools": [inner]}
    if world.provider["kind"] in ("openai-responses", "azure"):
        return
    async with start(providers={"world": world.provider}, models={}) as house, sdk(house) as client:
        raw = await client.responses.with_raw_response.create(model=model, input=words, tools=[tool])
    calls = [item.to_dict() for item in raw.parse().output if item.type == "function_call"]

    assert [(call["namespace"], call["name"]) for call in calls] == [("mcp__earth", "weather")]
    assert "tools[0].namespace" in raw.headers["x-trunkline-emulated"]


async def test_what_is_lost_is_told(client: openai.AsyncOpenAI) -> None:
    """By headers, also with a response that is got later; and refused where the caller is strict."""
    tool: Any = {"type": "web_search"}
    raw = await client.responses.with_raw_response.create(
        model="fake/echo", input="Hello", tools=[tool], truncation="auto", background=True
    )
    response = raw.parse()
    await ended(client, response.id)
    got = await client.responses.with_raw_response.retrieve(response.id)
    assert got.headers["x-trunkline-dropped"] == "truncation, tools[0].web_search"
    assert got.headers["x-trunkline-provider"] == "fake"

    with pytest.raises(openai.BadRequestError, match="truncation"):
        await client.responses.create(
            model="fake/echo", input="Hello", truncation="auto", extra_headers={"x-trunkline-strict": "true"}
        )
