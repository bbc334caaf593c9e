"""The kind `deepseek`, through the gateway's own core, against a server that is as strict as DeepSeek."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from fakes.deepseek_server import KEY, MODELS, DeepSeekServer
from openai import APIStatusError, AsyncOpenAI
from providers.house import House, answering, asking, calling, house_of, losses_of, provider_of, texts_of

from trunkline.call import Loss, LossKind
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import (
    ChatRequest,
    Function,
    JsonObject,
    JsonSchema,
    ReasoningConfig,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from trunkline.v1.content_pb2 import Media, Message, Part
from trunkline.v1.embeddings_pb2 import EmbedInput, EmbedRequest

MODEL = "deepseek-v4-flash"
TOOLS = [Tool(function=Function(name=name)) for name in ("weather", "time")]
OFF = ReasoningConfig(enabled=False)

streamed_or_not = pytest.mark.parametrize("streamed", [False, True])


@pytest.fixture
async def server() -> AsyncIterator[DeepSeekServer]:
    """The fake."""
    async with DeepSeekServer() as server:
        yield server


@pytest.fixture
async def house(server: DeepSeekServer) -> AsyncIterator[House]:
    """A gateway in front of the fake."""
    provider = provider_of("deepseek", server.url, api_key=KEY)
    yield house_of(provider)
    await provider.close()


def prefixed(extras: str = '{"prefix":true}') -> ChatRequest:
    """A request that ends with the assistant's words."""
    request = asking("Hi", model=MODEL)
    request.messages.add(role=content_pb2.ROLE_ASSISTANT, parts=[Part(text="Well")], extras={"openai": extras})
    return request


@streamed_or_not
async def test_a_text_and_its_thought(house: House, streamed: bool) -> None:
    """Models think unasked; usage is counted once, with what was cached."""
    call = calling(strict=True)
    response = await house.ask(asking("Hello", model=MODEL), call, streamed=streamed)
    thought, text = response.choices[0].message.parts
    assert (thought.reasoning.text, text.text) == ("Asked: Hello", "You said: Hello")
    usage = response.usage
    assert (usage.input_tokens, usage.cached_input_tokens) == (20, 6)
    assert (usage.output_tokens, usage.reasoning_output_tokens) == (5, 2)
    assert not usage.extras  # the tokens that were not cached are the rest
    assert call.attempts[0].upstream_id == "req_1"


@pytest.mark.parametrize(
    ("config", "sent", "losses"),
    [
        (OFF, {"thinking": {"type": "disabled"}}, []),
        (ReasoningConfig(effort="none"), {"thinking": {"type": "disabled"}}, []),
        (ReasoningConfig(enabled=True), {"thinking": {"type": "enabled"}}, []),
        (ReasoningConfig(effort="max"), {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}, []),
        (
            ReasoningConfig(budget_tokens=2000),
            {"thinking": {"type": "enabled"}, "reasoning_effort": "low"},
            [Loss("reasoning.budget_tokens", LossKind.APPROXIMATED)],
        ),
    ],
)
async def test_how_much_to_think(
    house: House, server: DeepSeekServer, config: ReasoningConfig, sent: object, losses: list[Loss]
) -> None:
    """On, off, and how much."""
    call = calling()
    await house.ask(asking("Hello", model=MODEL, reasoning=config), call)
    body = server.requests[0].body
    assert {key: value for key, value in body.items() if key not in ("model", "messages")} == sent
    assert losses_of(call) == losses


@streamed_or_not
async def test_thoughts_go_back_between_calls(house: House, server: DeepSeekServer, streamed: bool) -> None:
    """What the model thought before its calls goes back with them, as DeepSeek demands, turn after turn."""
    request = asking("tools", model=MODEL, tools=TOOLS)
    for _ in range(5):
        message = (await house.ask(request, calling(strict=True), streamed=streamed)).choices[0].message
        assert [part.tool_call.name for part in message.parts[1:]] == ["weather", "time"]
        request.messages.extend([message, *answering(message, ["a", "b"])])
        request.messages.append((await house.ask(request, streamed=streamed)).choices[0].message)
        request.messages.add(role=content_pb2.ROLE_USER, parts=[Part(text="tools")])
    said = [one for one in server.requests[-1].body["messages"] if one["role"] == "assistant"]
    assert {one["reasoning_content"] for one in said} == {"Asked: tools"}


async def test_what_another_model_said(house: House, server: DeepSeekServer) -> None:
    """It had no thoughts, and DeepSeek wants some: they are empty, unless nobody is to think."""
    for more in ({}, {"reasoning": OFF}):
        request = asking("Hi", "So?", model=MODEL, **more)
        request.messages.insert(1, Message(role=content_pb2.ROLE_ASSISTANT, parts=[Part(text="Hello")]))
        await house.ask(request, calling(strict=True))
    thinking, silent = (received.body["messages"][1] for received in server.requests)
    assert thinking == {"role": "assistant", "content": "Hello", "reasoning_content": ""}
    assert silent == {"role": "assistant", "content": "Hello"}


@streamed_or_not
async def test_a_forced_tool(house: House, server: DeepSeekServer, streamed: bool) -> None:
    """A model that thinks cannot be forced: it does not think, and who asked for that is told."""
    choice = ToolChoice(name="time")
    call = calling(strict=True)
    response = await house.ask(asking("Hi", model=MODEL, tools=TOOLS, tool_choice=choice), call, streamed=streamed)
    assert [part.tool_call.name for part in response.choices[0].message.parts] == ["time"]
    assert server.requests[0].body["thinking"] == {"type": "disabled"}
    call = calling()
    config = ReasoningConfig(effort="high")
    await house.ask(asking("Hi", model=MODEL, tools=TOOLS, tool_choice=choice, reasoning=config), call)
    assert losses_of(call) == [Loss("reasoning_effort")]
    assert "reasoning_effort" not in server.requests[1].body


@streamed_or_not
async def test_structured_output(house: House, server: DeepSeekServer, streamed: bool) -> None:
    """JSON by a schema is emulated by JSON mode, and JSON mode is told of JSON where nobody did."""
    schema = '{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}'
    form = ResponseFormat(json_schema=JsonSchema(name="person", schema_json=schema))
    call = calling()
    response = await house.ask(asking("Who?", model=MODEL, response_format=form), call, streamed=streamed)
    assert json.loads(texts_of(response)[0]) == {"name": "x"}
    assert losses_of(call) == [Loss("response_format", LossKind.EMULATED)]
    plain = ResponseFormat(json_object=JsonObject())
    for words, count in (("Who?", 2), ("Who, in JSON?", 1)):
        request = asking(words, model=MODEL, response_format=plain)
        assert texts_of(await house.ask(request, calling(strict=True), streamed=streamed)) == ['{"name": "x"}']
        assert len(server.requests[-1].body["messages"]) == count


@pytest.mark.parametrize(("suffix", "path"), [("", "/beta/chat/completions"), ("/beta", "/beta/chat/completions")])
async def test_words_that_are_to_be_gone_on_with(server: DeepSeekServer, suffix: str, path: str) -> None:
    """Are for the beta API, whichever the base URL is."""
    provider = provider_of("deepseek", server.url + suffix, api_key=KEY)
    house = house_of(provider)
    await house.ask(prefixed(), calling(strict=True))
    await house.ask(prefixed('{"prefix":false}'))
    await provider.close()
    assert [received.path for received in server.requests] == [path, f"{suffix}/chat/completions"]
    assert server.requests[0].body["messages"][1]["prefix"] is True


@streamed_or_not
async def test_several_answers(house: House, server: DeepSeekServer, streamed: bool) -> None:
    """There is no `n`: as many calls are made."""
    response = await house.ask(asking("Hi", model=MODEL, choice_count=3), calling(strict=True), streamed=streamed)
    assert [choice.index for choice in response.choices] == [0, 1, 2]
    assert len(server.requests) == 3


async def test_images(house: House, server: DeepSeekServer) -> None:
    """An image reaches a model that sees; another's refusal is told."""
    for model in (MODELS[2], MODEL):
        request = asking("Look", model=model)
        request.messages[0].parts.add().media.MergeFrom(Media(media_type="image/png", uri="data:image/png;base64,AA=="))
        if model == MODEL:
            with pytest.raises(GatewayError, match="image_url"):
                await house.ask(request)
        else:
            await house.ask(request, calling(strict=True))
    assert server.requests[0].body["messages"][0]["content"][1]["image_url"]["url"] == "data:image/png;base64,AA=="


async def test_what_openais_callers_send_is_taken(house: House, server: DeepSeekServer) -> None:
    """A request with all that callers of OpenAI send is taken, and what DeepSeek would pass over is named."""
    request = asking(
        "Hello",
        model=MODEL,
        tools=TOOLS,
        sampling=Sampling(temperature=0.2, top_p=0.9, frequency_penalty=0.5, seed=7, top_k=5),
        stop_sequences=["END"],
        parallel_tool_calls=False,
        max_output_tokens=2000,
        user="ann-1",
        service_tier="auto",
        top_logprobs=2,
        extras={"openai": '{"logit_bias":{"1":2}}'},
    )
    request.messages.insert(0, Message(role=content_pb2.ROLE_DEVELOPER, parts=[Part(text="Be kind.")]))
    call = calling()
    await house.ask(request, call)
    body = server.requests[0].body
    assert (body["user_id"], body["max_tokens"], body["messages"][0]["role"]) == ("ann-1", 2000, "system")
    lost = {"seed", "top_k", "parallel_tool_calls", "service_tier", "logit_bias"}
    assert {loss.field for loss in losses_of(call)} == lost
    call = calling()
    await house.ask(asking("Hello", model=MODEL, user="ann@example.com"), call)
    assert losses_of(call) == [Loss("user")]


@streamed_or_not
@pytest.mark.parametrize(
    ("word", "name", "status"),
    [
        ("limited", "RATE_LIMITED", 429),
        ("overloaded", "PROVIDER_UNAVAILABLE", 503),
        ("poor", "QUOTA_EXCEEDED", 402),
        ("broken", "PROVIDER_FAILED", 500),
        ("long", "CONTEXT_LENGTH_EXCEEDED", 400),
    ],
)
async def test_errors(house: House, word: str, name: str, status: int, streamed: bool) -> None:
    """Errors have their reason and their status; an empty balance is a quota."""
    with pytest.raises(GatewayError) as caught:
        await house.ask(asking(word, model=MODEL), streamed=streamed)
    error = caught.value
    assert (error.name, error.provider_status, error.provider) == (name, status, "deepseek")


async def test_an_unknown_model_and_a_wrong_key(house: House, server: DeepSeekServer) -> None:
    """A model that DeepSeek does not have is not found; the gateway's key is not the caller's affair."""
    with pytest.raises(GatewayError) as caught:
        await house.ask(asking("Hello", model="deepseek-none"))
    assert (caught.value.name, caught.value.provider_status) == ("NOT_FOUND", 400)
    provider = provider_of("deepseek", server.url, api_key="sk-wrong")
    with pytest.raises(GatewayError) as caught:
        await house_of(provider).ask(asking("Hello", model=MODEL))
    await provider.close()
    assert caught.value.name == "PROVIDER_UNAUTHENTICATED"
    assert "rong" not in caught.value.message


@streamed_or_not
async def test_an_answer_that_was_starved(house: House, streamed: bool) -> None:
    """`insufficient_system_resource` breaks an answer off: it does not look finished."""
    with pytest.raises(GatewayError) as caught:
        await house.ask(asking("starved", model=MODEL), streamed=streamed)
    assert caught.value.name == "PROVIDER_UNAVAILABLE"
    assert "insufficient_system_resource" in caught.value.message


@pytest.mark.parametrize(
    ("word", "name"), [("fails", "PROVIDER_UNAVAILABLE"), ("breaks", "PROVIDER_FAILED"), ("ends", "PROVIDER_FAILED")]
)
async def test_a_stream_that_comes_to_nothing(house: House, word: str, name: str) -> None:
    """It ends in an error: nothing that was cut looks finished."""
    told = []
    with pytest.raises(GatewayError) as caught:
        async for event in house.events(asking(word, model=MODEL)):
            told.append(event)  # noqa: PERF401
    assert caught.value.name == name
    assert not any(event.HasField("choice_end") for event in told)


async def test_a_client_that_leaves(house: House, server: DeepSeekServer) -> None:
    """Leaving a stream leaves DeepSeek's."""
    async with aclosing(house.events(asking("hangs", model=MODEL))) as events:
        async for event in events:
            if event.HasField("part_delta"):
                break
    await asyncio.wait_for(server.abandoned.wait(), 10)


async def test_length_and_filter(house: House) -> None:
    """An answer that was cut says by what."""
    ends = [(await house.ask(asking(word, model=MODEL))).choices[0].finish.reason for word in ("cut", "unsafe")]
    assert ends == [chat_pb2.FINISH_REASON_LENGTH, chat_pb2.FINISH_REASON_CONTENT_FILTER]


async def test_nothing_is_embedded(house: House) -> None:
    """DeepSeek has no embeddings."""
    with pytest.raises(GatewayError) as caught:
        await house.gateway.embed(EmbedRequest(model=MODEL, inputs=[EmbedInput(text="Hi")]), calling())
    assert caught.value.name == "UNSUPPORTED"


async def test_the_fake_is_taken_for_deepseek(server: DeepSeekServer) -> None:
    """OpenAI's client, which DeepSeek tells its users to take, reads what the fake says."""
    async with AsyncOpenAI(api_key=KEY, base_url=server.url, max_retries=0) as client:
        assert [model.id async for model in client.models.list()] == list(MODELS)
        asked = [{"role": "user", "content": "tools"}]
        tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
        whole = await client.chat.completions.create(model=MODEL, messages=asked, tools=tools)  # type: ignore[call-overload]
        assert whole.choices[0].message.tool_calls[0].function.name == "weather"
        assert whole.choices[0].message.reasoning_content == "Asked: tools"
        with pytest.raises(APIStatusError) as caught:
            await client.chat.completions.create(model=MODEL, messages=asked, n=2)  # type: ignore[call-overload]
        assert caught.value.status_code == 400
