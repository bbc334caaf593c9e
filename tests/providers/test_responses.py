"""What is special about the kinds `openai-responses` and `openai`, against a server as strict as OpenAI."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest
from fakes.responses_server import KEY, MODELS, ResponsesServer
from openai import APIStatusError, AsyncOpenAI, BadRequestError
from providers.house import House, Unlisted, calling, house_of, texts_of
from providers.house import asking as asking_any

from trunkline.call import Call, Loss
from trunkline.config.model import ProviderConfig
from trunkline.core.check import Limits
from trunkline.core.gateway import Gateway
from trunkline.core.plan import InOrder
from trunkline.core.target import Target
from trunkline.errors import GatewayError
from trunkline.providers.build import build_providers
from trunkline.providers.responses import needs_responses
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import (
    Function,
    ReasoningConfig,
    Sampling,
    Tool,
    ToolChoice,
)
from trunkline.v1.content_pb2 import Media, Message, Part, ToolResult

MODEL = "gpt-5.1"
TOOLS = [Tool(function=Function(name=name)) for name in ("weather", "time")]


def provider_of(server: ResponsesServer, kind: str = "openai-responses", key: str = KEY, **more: Any) -> Any:
    """A provider as the configuration describes it."""
    config = ProviderConfig(kind=kind, base_url=server.url, api_key=key, **more)
    return build_providers({"responses": config})["responses"]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A gateway in front of the fake."""
    async with ResponsesServer() as server:
        provider = provider_of(server)
        yield house_of(provider, server)
        await provider.close()


asking = partial(asking_any, model=MODEL)

streamed_or_not = pytest.mark.parametrize("streamed", [False, True])


async def test_what_is_sent(house: House) -> None:
    """The path and the key; the server is to keep nothing, so it is asked for what reasoning needs to be sent back."""
    call = calling()
    await house.ask(asking("Hello"), call)
    received = house.server.requests[0]
    assert (received.method, received.path) == ("POST", "/v1/responses")
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body == {
        "model": MODEL,
        "input": [{"role": "user", "content": "Hello"}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    assert call.attempts[0].upstream_id == "req_1"
    assert call.attempts[0].losses == []


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini"])
async def test_models_that_do_not_reason_are_not_asked_for_it(house: House, model: str) -> None:
    """OpenAI refuses to encrypt what they do not have."""
    await house.ask(asking("Hello", model=model))
    assert "include" not in house.server.requests[0].body


@pytest.mark.parametrize(
    ("extras", "sent"),
    [
        ({"store": True}, {"store": True}),
        ({"store": False}, {"store": False, "include": ["reasoning.encrypted_content"]}),
        ({"previous_response_id": "resp_1"}, {"previous_response_id": "resp_1"}),
        ({"conversation": "conv_1"}, {"conversation": "conv_1"}),
        ({"background": True}, {"background": True}),
        (
            {"include": ["web_search_call.action.sources"]},
            {"store": False, "include": ["web_search_call.action.sources", "reasoning.encrypted_content"]},
        ),
    ],
)
async def test_the_caller_says_what_is_kept(house: House, extras: Any, sent: Any) -> None:
    """What the caller says of the server's state goes on as it was said."""
    await house.ask(asking("Hello", extras={"responses": json.dumps(extras)}))
    body = house.server.requests[0].body
    assert {key: value for key, value in body.items() if key not in ("model", "input")} == sent


@streamed_or_not
async def test_parallel_tools_and_their_results(house: House, streamed: bool) -> None:
    """Calls come with ids and arguments, and their results are taken in any order."""
    request = asking("tools", tools=TOOLS)
    response = await house.ask(request, streamed=streamed)
    message = response.choices[0].message
    calls = [part.tool_call for part in message.parts if part.HasField("tool_call")]
    assert [call.name for call in calls] == ["weather", "time"]
    assert [json.loads(call.arguments_json) for call in calls] == [{"city": "Zürich"}] * 2
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    request.messages.append(message)
    for call in reversed(calls):
        result = ToolResult(tool_call_id=call.id, parts=[Part(text="5")])
        request.messages.append(Message(role=content_pb2.ROLE_TOOL, parts=[Part(tool_result=result)]))
    request.messages.append(Message(role=content_pb2.ROLE_USER, parts=[Part(text="and now?")]))
    assert texts_of(await house.ask(request, streamed=streamed)) == ["You said: and now?"]


@pytest.mark.parametrize(
    ("choice", "parallel", "names"),
    [
        (ToolChoice(name="time"), None, ["time"]),
        (ToolChoice(mode=chat_pb2.ToolChoice.MODE_REQUIRED), None, ["weather", "time"]),
        (ToolChoice(mode=chat_pb2.ToolChoice.MODE_REQUIRED), False, ["weather"]),
        (ToolChoice(mode=chat_pb2.ToolChoice.MODE_NONE), None, []),
    ],
)
async def test_tool_choice(house: House, choice: ToolChoice, parallel: bool | None, names: list[str]) -> None:
    """A tool can be forced, by name or any, one or several, or forbidden."""
    request = asking("tools", tools=TOOLS, tool_choice=choice, parallel_tool_calls=parallel)
    parts = (await house.ask(request)).choices[0].message.parts
    assert [part.tool_call.name for part in parts if part.HasField("tool_call")] == names


@streamed_or_not
async def test_reasoning_goes_back_sealed(house: House, streamed: bool) -> None:
    """Reasoning of twenty turns goes back with its encrypted content, which the server checks, before its calls."""
    request = asking("tools", tools=TOOLS, reasoning=ReasoningConfig(effort="low", summary="auto"))
    for _ in range(20):
        response = await house.ask(request, streamed=streamed)
        message = response.choices[0].message
        assert message.parts[0].reasoning.text == "Asked: tools\n\nDone"
        request.messages.append(message)
        for part in message.parts:
            if part.HasField("tool_call"):
                result = ToolResult(tool_call_id=part.tool_call.id, parts=[Part(text="5")])
                request.messages.append(Message(role=content_pb2.ROLE_TOOL, parts=[Part(tool_result=result)]))
        request.messages.append(Message(role=content_pb2.ROLE_USER, parts=[Part(text="tools")]))
    sent = house.server.requests[-1].body["input"]
    assert sum(item.get("type") == "reasoning" for item in sent) == 19


async def test_reasoning_that_the_server_cannot_find_is_left_out(house: House) -> None:
    """An item that was kept by a server, or by another one, is not named to one that keeps nothing."""
    request = asking("Hello")
    stored = Part(reasoning={"text": "hm"}, extras={"responses": '{"id":"rs_9"}'})
    foreign = Part(reasoning={"text": "hm"}, extras={"anthropic": '{"signature":"x"}'})
    request.messages.append(Message(role=content_pb2.ROLE_ASSISTANT, parts=[stored, foreign, Part(text="Hi")]))
    request.messages.append(Message(role=content_pb2.ROLE_USER, parts=[Part(text="again")]))
    assert texts_of(await house.ask(request)) == ["You said: again"]


@streamed_or_not
async def test_refusals_hosted_items_and_cuts(house: House, streamed: bool) -> None:
    """A refusal is no text, a search is no call of the caller's, and an answer cut short says so."""
    parts = (await house.ask(asking("refuse", model="gpt-4o"), streamed=streamed)).choices[0].message.parts
    assert [part.refusal for part in parts] == ["I will not."]
    response = await house.ask(asking("search", model="gpt-4o"), streamed=streamed)
    assert [part.WhichOneof("kind") for part in response.choices[0].message.parts] == ["opaque", "text"]
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_STOP
    response = await house.ask(asking("cut"), streamed=streamed)
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_LENGTH


async def test_images_and_files(house: House) -> None:
    """They reach the server as they came."""
    request = asking("Look")
    image = Media(media_type="image/png", uri="data:image/png;base64,AAAA")
    document = Media(media_type="application/pdf", uri="https://a/b.pdf")
    request.messages[0].parts.extend([Part(media=image), Part(media=document)])
    await house.ask(request)
    content = house.server.requests[0].body["input"][0]["content"]
    assert content[1:] == [
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"},
        {"type": "input_file", "file_url": "https://a/b.pdf"},
    ]


async def test_what_openais_callers_send_is_taken(house: House) -> None:
    """A request with all that callers of Chat Completions send is taken, and the rest is named."""
    request = asking(
        "Hello",
        "",
        "there",
        tools=TOOLS,
        sampling=Sampling(temperature=0.2, top_p=0.9, frequency_penalty=0.5, seed=7),
        reasoning=ReasoningConfig(effort="high"),
        stop_sequences=["END"],
        parallel_tool_calls=False,
        max_output_tokens=2000,
        user="u",
        service_tier="auto",
        top_logprobs=2,
        extras={"openai": '{"logit_bias":{"1":2}}'},
    )
    request.messages.insert(0, Message(role=content_pb2.ROLE_DEVELOPER, parts=[Part(text="Be kind.")]))
    request.messages.insert(2, Message(role=content_pb2.ROLE_SYSTEM, parts=[Part(text="Be brief.")]))
    request.messages.insert(3, Message(role=content_pb2.ROLE_ASSISTANT, parts=[Part(text="a"), Part(text="b")]))
    call = calling()
    assert texts_of(await house.ask(request, call)) == ["You said: there"]
    refused = ("temperature", "top_p", "frequency_penalty", "seed", "stop", "logit_bias", "top_logprobs")
    assert set(call.losses) == {Loss(name) for name in refused}
    with pytest.raises(GatewayError) as caught:
        await house.ask(request, calling(strict=True))
    assert caught.value.name == "UNSUPPORTED"


async def test_another_target_answers_for_one_that_fails_at_once() -> None:
    """Also where a stream was begun: nothing was told of it yet."""
    async with ResponsesServer() as server:
        first, second = provider_of(server), provider_of(server)
        targets = [Target(first, "gpt-5.1"), Target(second, "gpt-4o")]
        gateway = Gateway(InOrder(lambda name: targets), Unlisted(), Limits())
        call = Call("c", "grpc")
        with pytest.raises(GatewayError):
            async with aclosing(gateway.stream_chat(asking("errs", model="any"), call)) as batches:
                async for _ in batches:
                    pass
        await first.close()
        await second.close()
    assert [attempt.model for attempt in call.attempts] == ["gpt-5.1", "gpt-4o"]


async def test_models_are_listed(house: House) -> None:
    """As the server names them; the configured names are not asked for."""
    assert [model.id for model in await house.provider.list_models()] == list(MODELS)
    named = provider_of(house.server, models=["mine"])
    assert [model.id for model in await named.list_models()] == ["mine"]
    await named.close()
    assert len(house.server.requests) == 1


@pytest.mark.parametrize("kind", ["openai", "openai-responses"])
def test_a_key_is_required_where_openai_itself_is_meant(kind: str) -> None:
    """Without an address of its own the provider needs a key."""
    with pytest.raises(ValueError, match="api_key"):
        build_providers({"o": ProviderConfig(kind=kind)})


@streamed_or_not
async def test_openai_sends_each_model_where_it_is_served(streamed: bool) -> None:
    """The kind `openai` answers through Chat Completions, and through Responses what only that can."""
    async with ResponsesServer() as server:
        provider = provider_of(server, "openai")
        house = house_of(provider, server)
        assert texts_of(await house.ask(asking("Hello", model="gpt-4o"))) == ["From chat"]
        assert texts_of(await house.ask(asking("Hello", model="gpt-5-pro"), streamed=streamed)) == ["You said: Hello"]
        two = await house.ask(asking("Hello", model="gpt-5-pro", choice_count=2), streamed=streamed)
        assert len(two.choices) == 2
        stored = asking("Hello", model="gpt-4o", extras={"responses": '{"store":true}'})
        assert texts_of(await house.ask(stored, streamed=streamed)) == ["You said: Hello"]
        await provider.close()
    paths = [received.path.removeprefix("/v1") for received in server.requests]
    assert paths == ["/chat/completions", *["/responses"] * 4]


@pytest.mark.parametrize(("kind", "own"), [("openai", True), ("xai", False), ("openrouter", False)])
@streamed_or_not
async def test_what_came_by_responses_is_asked_by_responses(kind: str, own: bool, streamed: bool) -> None:
    """Of a server that has both languages; what came otherwise goes by the model, where that is one of OpenAI's own."""
    async with ResponsesServer() as server:
        provider = provider_of(server, kind)
        house = house_of(provider, server)
        assert texts_of(await house.ask(asking("Hello"), Call("c", "responses"), streamed=streamed)) == [
            "You said: Hello"
        ]
        assert texts_of(await house.ask(asking("Hello"), Call("c", "openai"))) == ["From chat"]
        if own:
            assert (await house.gateway.count_tokens(asking("Hello"), calling())).input_tokens == 42
            assert (await house.gateway.compact(asking("Hello"), calling())).usage.input_tokens == 20
        else:
            assert (await house.gateway.count_tokens(asking("Hello"), calling())).estimated
            with pytest.raises(GatewayError, match="does not compact"):
                await house.gateway.compact(asking("Hello"), calling())
        await provider.close()
    paths = [received.path.removeprefix("/v1") for received in server.requests]
    more = ["/responses/input_tokens", "/responses/compact"] if own else []
    assert paths == ["/responses", "/chat/completions", *more]


@pytest.mark.parametrize(
    ("model", "needed"),
    [
        ("gpt-5-pro", True),
        ("gpt-5.2-pro-2025-12-11", True),
        ("o1-pro", True),
        ("o3-deep-research", True),
        ("gpt-5.1-codex-max", True),
        ("codex-mini-latest", True),
        ("computer-use-preview", True),
        ("gpt-5.1", False),
        ("gpt-4o", False),
        ("o4-mini", False),
        ("gpt-5-prose", False),
        ("gemini-2.5-pro", False),
    ],
)
def test_the_models_that_need_responses(model: str, needed: bool) -> None:
    """By OpenAI's own names alone: a server of another sort may be behind the kind."""
    assert needs_responses(asking("Hello"), model) == needed


async def test_openais_own_sdk_accepts_the_fake() -> None:
    """The fake is understood by OpenAI's SDK: answers, streams, calls, reasoning, models and errors."""
    async with ResponsesServer() as server, AsyncOpenAI(api_key=KEY, base_url=server.url, max_retries=0) as client:
        asked: Any = {
            "model": MODEL,
            "input": "tools",
            "tools": [{"type": "function", "name": "weather", "parameters": {}, "strict": False}],
            "reasoning": {"summary": "auto"},
        }
        response = await client.responses.create(**asked)
        async with client.responses.stream(**asked) as stream:
            streamed = await stream.get_final_response()
        assert [item.type for item in response.output] == ["reasoning", "function_call"]
        assert [item.id for item in streamed.output] == [item.id for item in response.output]
        assert [model.id async for model in client.models.list()] == list(MODELS)
        with pytest.raises(APIStatusError) as caught:
            await client.responses.create(**{**asked, "input": "limited"})
        assert caught.value.status_code == 429


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stop": ["a"]}, "Unknown parameter"),
        ({"input": ""}, "Missing required"),
        ({"input": [{"role": "user", "content": [{"type": "output_text", "text": "a"}]}]}, "Supported values"),
        ({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "a"}]}]}, "Supported values"),
        ({"input": [CALL]}, "No tool output found"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "a"}]}, "No tool call found"),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, "required following item"),
        (
            {"tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}]},
            "additionalProperties",
        ),
        ({"model": "gpt-4o", "include": ["reasoning.encrypted_content"]}, "not supported with this model"),
        ({"text": {"format": {"type": "json_schema"}}}, "Invalid value"),
    ],
)
async def test_the_fake_refuses_what_openai_refuses(change: Any, words: str) -> None:
    """In OpenAI's words."""
    async with ResponsesServer() as server, AsyncOpenAI(api_key=KEY, base_url=server.url, max_retries=0) as client:
        with pytest.raises(BadRequestError, match=words):
            await client.responses.create(model=MODEL, input="a", extra_body=change)
