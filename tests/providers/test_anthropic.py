"""What is special about the provider `anthropic`, against a server that is as strict as Anthropic."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from anthropic import APIStatusError, AsyncAnthropic
from fakes.anthropic_server import KEY, MODELS, AnthropicServer
from providers.house import House, calling, house_of
from providers.house import asking as asking_any

from trunkline.call import Loss, LossKind
from trunkline.config.model import ProviderConfig
from trunkline.providers.build import build_providers
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import (
    Function,
    ReasoningConfig,
    Sampling,
    Tool,
    ToolChoice,
)
from trunkline.v1.content_pb2 import Message, Part, ToolResult

MODEL = "claude-opus-4-6"
TOOLS = [Tool(function=Function(name=name)) for name in ("weather", "time")]


def provider_of(server: AnthropicServer, suffix: str = "", key: str = KEY, **more: Any) -> Any:
    """A provider as the configuration describes it."""
    config = ProviderConfig(kind="anthropic", base_url=server.url + suffix, api_key=key, **more)
    return build_providers({"anthropic": config})["anthropic"]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A gateway in front of the fake."""
    async with AnthropicServer() as server:
        provider = provider_of(server)
        yield house_of(provider, server)
        await provider.close()


asking = partial(asking_any, model=MODEL)

streamed_or_not = pytest.mark.parametrize("streamed", [False, True])


async def test_what_is_sent(house: House) -> None:
    """The path, the version, the key and the configured headers."""
    call = calling()
    await house.ask(asking("Hello"), call)
    received = house.server.requests[0]
    assert (received.method, received.path) == ("POST", "/v1/messages")
    assert received.headers["x-api-key"] == KEY
    assert received.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in received.headers
    assert received.body == {
        "model": MODEL,
        "max_tokens": 32000,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    assert call.attempts[0].upstream_id == "req_1"
    assert call.attempts[0].losses == []


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_the_base_url_may_have_its_version(suffix: str) -> None:
    """The version of the path is never doubled."""
    async with AnthropicServer() as server:
        provider = provider_of(server, suffix)
        assert len(await provider.list_models()) == len(MODELS)
        await provider.close()
        assert server.requests[0].path.startswith("/v1/models?")


async def test_headers_choose_version_and_betas() -> None:
    """Configured headers replace the usual version, and name the betas."""
    async with AnthropicServer() as server:
        headers = {"Anthropic-Version": "2026-10-21", "anthropic-beta": "files-api-2025-04-14,x"}
        provider = provider_of(server, headers=headers)
        await provider.list_models()
        await provider.close()
        sent = server.requests[0].headers
        assert (sent["anthropic-version"], sent["anthropic-beta"]) == ("2026-10-21", "files-api-2025-04-14,x")


async def test_models_are_read_page_by_page(house: House) -> None:
    """Every page of the list is read; the configured names are not asked for."""
    assert [model.id for model in await house.provider.list_models()] == list(MODELS)
    assert [received.path for received in house.server.requests] == [
        "/v1/models?limit=1000",
        "/v1/models?limit=1000&after_id=claude-01",
        "/v1/models?limit=1000&after_id=claude-03",
    ]
    named = provider_of(house.server, models=["mine"])
    assert [model.id for model in await named.list_models()] == ["mine"]
    await named.close()
    assert len(house.server.requests) == 3


def test_a_key_is_required_where_anthropic_itself_is_meant() -> None:
    """Without an address of its own the provider needs a key, or a header that holds one."""
    with pytest.raises(ValueError, match="api_key"):
        build_providers({"anthropic": ProviderConfig(kind="anthropic")})
    headers: dict[str, Any] = {"authorization": "Bearer x"}
    assert build_providers({"anthropic": ProviderConfig(kind="anthropic", headers=headers)})


@streamed_or_not
async def test_parallel_tools_and_their_results(house: House, streamed: bool) -> None:
    """Calls come with ids and arguments, and their results are taken in any order and beside more text."""
    request = asking("tools", tools=TOOLS)
    response = await house.ask(request, streamed=streamed)
    message = response.choices[0].message
    assert [part.tool_call.name for part in message.parts] == ["weather", "time"]
    assert [json.loads(part.tool_call.arguments_json) for part in message.parts] == [{"city": "Zürich"}] * 2
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    request.messages.append(message)
    for part in reversed(message.parts):
        result = ToolResult(tool_call_id=part.tool_call.id, parts=[Part(text="5")])
        request.messages.append(Message(role=content_pb2.ROLE_TOOL, parts=[Part(tool_result=result)]))
    request.messages.append(Message(role=content_pb2.ROLE_USER, parts=[Part(text="and now?")]))
    response = await house.ask(request, streamed=streamed)
    assert response.choices[0].message.parts[0].text == "You said: and now?"


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
@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-4-8"])
async def test_reasoning_goes_back_signed(house: House, model: str, streamed: bool) -> None:
    """Thinking of many turns goes back with its signatures, which the server checks, between calls and results."""
    request = asking("tools", model=model, tools=TOOLS, reasoning=ReasoningConfig(effort="low"))
    for _ in range(4):
        response = await house.ask(request, streamed=streamed)
        message = response.choices[0].message
        assert message.parts[0].reasoning.text == "I was asked: tools"
        assert message.parts[1].reasoning.redacted
        request.messages.append(message)
        for part in message.parts:
            if part.HasField("tool_call"):
                result = ToolResult(tool_call_id=part.tool_call.id, parts=[Part(text="5")])
                request.messages.append(Message(role=content_pb2.ROLE_TOOL, parts=[Part(tool_result=result)]))
        request.messages.append(Message(role=content_pb2.ROLE_USER, parts=[Part(text="tools")]))
    assert len(house.server.requests) == 4


@pytest.mark.parametrize(
    "model", ["claude-3-5-haiku-latest", "claude-sonnet-4-5", "claude-opus-4-8", "claude-opus-5-5"]
)
async def test_what_openais_callers_send_is_taken(house: House, model: str) -> None:
    """A request with all that OpenAI's callers send is taken by every generation of models, and the rest is named."""
    request = asking(
        "Hello",
        "",
        "there",
        model=model,
        tools=TOOLS,
        sampling=Sampling(temperature=0.2, top_p=0.9, frequency_penalty=0.5, seed=7),
        reasoning=ReasoningConfig(effort="high"),
        stop_sequences=["END", "\n"],
        parallel_tool_calls=False,
        max_output_tokens=2000,
        user="u",
        service_tier="auto",
    )
    request.messages.insert(0, Message(role=content_pb2.ROLE_DEVELOPER, parts=[Part(text="Be kind.")]))
    request.messages.insert(2, Message(role=content_pb2.ROLE_SYSTEM, parts=[Part(text="Be brief.")]))
    call = calling()
    response = await house.ask(request, call)
    assert response.choices[0].message.parts[-1].text == "You said: there"
    assert Loss("frequency_penalty") in call.losses


async def test_losses_are_told_with_their_kind(house: House) -> None:
    """What is approximated is told apart from what is left out."""
    call = calling()
    await house.ask(asking("Hello", sampling=Sampling(temperature=1.5, seed=1)), call)
    assert call.losses == [Loss("temperature", LossKind.APPROXIMATED), Loss("seed")]


async def test_anthropics_own_sdk_accepts_the_fake() -> None:
    """The fake is understood by Anthropic's SDK: answers, streams, calls, thinking, models and errors."""
    async with AnthropicServer() as server, AsyncAnthropic(api_key=KEY, base_url=server.url, max_retries=0) as client:
        asked: Any = {
            "model": MODEL,
            "max_tokens": 2000,
            "messages": [{"role": "user", "content": "tools"}],
            "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
            "thinking": {"type": "adaptive"},
        }
        message = await client.messages.create(**asked)
        async with client.messages.stream(**asked) as stream:
            streamed = await stream.get_final_message()
        kinds = ["thinking", "redacted_thinking", "tool_use"]
        assert [block.type for block in message.content] == kinds
        assert streamed.to_dict() == message.to_dict()
        assert [model.id async for model in client.models.list(limit=2)] == list(MODELS)
        with pytest.raises(APIStatusError) as caught:
            await client.messages.create(**{**asked, "messages": [{"role": "user", "content": "overloaded"}]})
        assert caught.value.status_code == 529


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "Extra inputs"),
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "alternate"),
        ({"messages": [{"role": "user", "content": " "}]}, "non-whitespace"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x"}]}]}, "unexpected"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, "budget_tokens"),
        ({"tool_choice": {"type": "auto"}}, "tools"),
    ],
)
async def test_the_fake_refuses_what_anthropic_refuses(change: dict[str, Any], words: str) -> None:
    """The fake is no easier to please than Anthropic."""
    body = {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": "a"}], **change}
    async with AnthropicServer() as server, AsyncAnthropic(api_key=KEY, base_url=server.url, max_retries=0) as client:
        with pytest.raises(APIStatusError, match=words) as caught:
            await client.post("/v1/messages", cast_to=object, body={k: v for k, v in body.items() if v is not None})
        assert caught.value.status_code == 400
