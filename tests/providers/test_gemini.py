"""What is special about the provider `gemini`, against a server that is as strict as Google."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakes.gemini_server import KEY, MODELS, GeminiServer
from google import genai
from google.genai import types
from google.genai.errors import APIError
from providers.google_house import MODEL, House, asking, calling, house_of, losses_of, provider_of

from trunkline.call import Loss
from trunkline.config.model import ProviderConfig
from trunkline.errors import GatewayError
from trunkline.providers.build import build_providers
from trunkline.v1 import chat_pb2, content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import (
    ChatRequest,
    Function,
    ReasoningConfig,
    Tool,
    ToolChoice,
)
from trunkline.v1.content_pb2 import Media, Message, Part, ToolResult

SCHEMA = '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}'
TOOLS = [Tool(function=Function(name=name, parameters_json=SCHEMA)) for name in ("weather", "time")]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A gateway in front of the fake."""
    async with GeminiServer() as server:
        provider = provider_of("gemini", server.url, api_key=KEY)
        yield house_of(server, provider)
        await provider.close()


streamed_or_not = pytest.mark.parametrize("streamed", [False, True])


@pytest.mark.parametrize(
    ("streamed", "method"), [(False, ":generateContent"), (True, ":streamGenerateContent?alt=sse")]
)
async def test_what_is_sent(house: House, *, streamed: bool, method: str) -> None:
    """The path, the key in its header, and nothing in the body that Google does not know."""
    call = calling()
    await house.ask(asking("Hello"), call, streamed=streamed)
    received = house.server.asked
    assert (received.method, received.path) == ("POST", f"/v1beta/models/{MODEL}{method}")
    assert received.headers["x-goog-api-key"] == KEY
    assert "authorization" not in received.headers
    assert received.body == {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    assert losses_of(call) == []


@pytest.mark.parametrize(
    ("suffix", "version"), [("", "v1beta"), ("/", "v1beta"), ("/v1beta/", "v1beta"), ("/v1", "v1")]
)
async def test_the_base_url_may_have_its_version(suffix: str, version: str) -> None:
    """The version of the API is never doubled."""
    async with GeminiServer() as server:
        provider = provider_of("gemini", server.url + suffix, api_key=KEY)
        assert [model.id for model in await provider.list_models()] == list(MODELS)
        await provider.close()
        assert [one.path for one in server.requests] == [
            f"/{version}/models?pageSize=1000",
            f"/{version}/models?pageSize=1000&pageToken=second%20page",
        ]


async def test_names_of_models_cannot_leave_their_place(house: House) -> None:
    """A name that a caller makes up is one name in the path, whatever is in it."""
    for name, sent in (("a?b#c", "a%3Fb%23c"), ("../../token/x", "..%2F..%2Ftoken%2Fx"), ("models/..", "..")):
        with pytest.raises(GatewayError):
            await house.ask(asking("Hello", model=name))
        assert house.server.requests[-1].path == f"/v1beta/models/{sent}:generateContent"


def test_a_key_is_needed() -> None:
    """Without a key there is no provider of Google's own address."""
    with pytest.raises(ValueError, match=r"providers\.g\.api_key"):
        build_providers({"g": ProviderConfig(kind="gemini")})


@streamed_or_not
async def test_tools_through_two_turns(house: House, streamed: bool) -> None:
    """Parallel calls without ids come back with results, in any order, and with the signature that Gemini 3 wants."""
    request = asking("all", tools=TOOLS)
    first = await house.ask(request, streamed=streamed)
    message = first.choices[0].message
    assert first.choices[0].finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    assert [part.tool_call.name for part in message.parts] == ["weather", "time"]
    assert json.loads(message.parts[0].tool_call.arguments_json) == {"city": "Zürich"}
    request.messages.append(message)
    for part in message.parts:
        result = ToolResult(tool_call_id=part.tool_call.id, parts=[Part(text=part.tool_call.name)])
        request.messages.add(role=content_pb2.ROLE_TOOL, parts=[Part(tool_result=result)])
    second = await house.ask(request, streamed=streamed)
    assert second.choices[0].message.parts[0].text == 'They said [{"output": "weather"}, {"output": "time"}]'
    request.messages.append(second.choices[0].message)
    request.messages.add(role=content_pb2.ROLE_USER, parts=[Part(text="Thanks")])
    await house.ask(request, streamed=streamed)
    sent = house.server.asked.body["contents"]
    assert [content["role"] for content in sent] == ["user", "model", "user", "model", "user"]
    assert "id" not in sent[1]["parts"][0]["functionCall"]
    assert sent[3]["parts"][-1]["text"] == ""
    assert sent[3]["parts"][-1]["thoughtSignature"]


async def test_a_conversation_of_another_provider(house: House) -> None:
    """Calls that another model made, and its reasoning, do not stop Gemini 3 from going on."""
    request = asking("Hello", tools=TOOLS)
    call = content_pb2.ToolCall(id="toolu_1", name="weather", arguments_json='{"city":"Rome"}')
    thought = Part(reasoning=content_pb2.Reasoning(text="Hm."), extras={"anthropic": '{"signature":"x"}'})
    request.messages.append(Message(role=content_pb2.ROLE_ASSISTANT, parts=[thought, Part(tool_call=call)]))
    result = ToolResult(tool_call_id="toolu_1", parts=[Part(text="warm")])
    request.messages.append(Message(role=content_pb2.ROLE_TOOL, parts=[Part(tool_result=result)]))
    response = await house.ask(request)
    assert "warm" in response.choices[0].message.parts[0].text


@pytest.mark.parametrize("choice", [ToolChoice(name="weather"), ToolChoice(mode=ToolChoice.MODE_REQUIRED)])
async def test_forced_tools(house: House, choice: ToolChoice) -> None:
    """A forced tool is asked for in Google's way."""
    await house.ask(asking("Hello", tools=TOOLS, tool_choice=choice))
    config = house.server.asked.body["toolConfig"]["functionCallingConfig"]
    assert config["mode"] == "ANY"
    assert config.get("allowedFunctionNames") == (["weather"] if choice.name else None)


@streamed_or_not
@pytest.mark.parametrize("model", ["gemini-3-flash", "gemini-2.5-flash"])
async def test_reasoning(house: House, model: str, streamed: bool) -> None:
    """An effort is told in the model's own way, and the thoughts come back as reasoning."""
    call = calling()
    request = asking("Hello", model=model, reasoning=ReasoningConfig(effort="low"))
    response = await house.ask(request, call, streamed=streamed)
    thought, text = response.choices[0].message.parts
    assert (thought.reasoning.text, text.text) == ("Let me think.", "You said: Hello")
    assert losses_of(call) == []


async def test_no_reasoning_where_there_is_none(house: House) -> None:
    """A model that does not think is not told to, and the caller is told."""
    call = calling()
    await house.ask(asking("Hello", model="gemini-2.0-flash", reasoning=ReasoningConfig(effort="low")), call)
    assert losses_of(call) == [Loss("reasoning_effort")]


@streamed_or_not
async def test_images(house: House, streamed: bool) -> None:
    """An image goes in inline, and comes out inline."""
    request = asking("draw")
    image = Media(media_type="image/png", uri="data:image/png;base64,aGk=")
    request.messages[0].parts.insert(0, Part(media=image))
    response = await house.ask(request, streamed=streamed)
    assert house.server.asked.body["contents"][0]["parts"][0] == {
        "inlineData": {"mimeType": "image/png", "data": "aGk="}
    }
    assert response.choices[0].message.parts[0].media == image


@pytest.mark.parametrize("model", ["gemini-3-flash", "gemini-2.5-flash"])
async def test_image_in_a_result(house: House, model: str) -> None:
    """Each model gets the image of a result where it takes it."""
    request = asking("Look", model=model, tools=TOOLS)
    message = (await house.ask(request)).choices[0].message
    image = Part(media=Media(media_type="image/png", uri="data:image/png;base64,aGk="))
    result = ToolResult(tool_call_id=message.parts[0].tool_call.id, parts=[Part(text="see"), image])
    request.messages.extend([message, Message(role=content_pb2.ROLE_TOOL, parts=[Part(tool_result=result)])])
    await house.ask(request)


async def test_length(house: House) -> None:
    """The token limit is told, and where it was met."""
    response = await house.ask(asking("Hello", max_output_tokens=1))
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_LENGTH


async def test_a_caller_that_leaves(house: House) -> None:
    """Closing the stream closes the connection, and the provider goes on answering others."""
    async for event in house.events(asking("Hello")):
        if event.HasField("part_delta"):
            break
    answers = await asyncio.gather(*(house.ask(asking(f"Hello {n}")) for n in range(3)))
    assert {answer.choices[0].message.parts[0].text[-1] for answer in answers} == {"0", "1", "2"}


def ask_by_sdk(url: str) -> None:
    """Ask the fake by Google's own client. Blocks."""
    options = types.HttpOptions(base_url=url, api_version="v1beta")
    with genai.Client(api_key=KEY, http_options=options) as client:
        assert client.models.generate_content(model=MODEL, contents="Hello").text == "You said: Hello"
        stream = client.models.generate_content_stream(model=MODEL, contents="Hello")
        assert "".join(chunk.text or "" for chunk in stream) == "You said: Hello"
        declared = [types.FunctionDeclaration(name="weather")]
        config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=declared)])
        calls = client.models.generate_content(model=MODEL, contents="Hello", config=config).function_calls
        assert calls is not None
        assert calls[0].name == "weather"
        blocked = client.models.generate_content(model=MODEL, contents="blocked")
        assert blocked.prompt_feedback is not None
        with pytest.raises(APIError) as caught:
            client.models.generate_content(model=MODEL, contents="slow down")
        assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    with genai.Client(api_key="wrong", http_options=options) as client, pytest.raises(APIError, match="not valid"):
        client.models.generate_content(model=MODEL, contents="Hello")


async def test_the_sdk_takes_the_fake() -> None:
    """The fake is a Google to Google's own client: answers, calls, streams and errors."""
    async with GeminiServer() as server:
        await asyncio.to_thread(ask_by_sdk, server.url)


@pytest.mark.parametrize(
    "body",
    [
        {"contents": []},
        {"contents": [{"role": "system", "parts": [{"text": "Hi"}]}]},
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "max_tokens": 5},
        {"contents": [{"role": "user", "parts": [{"words": "Hi"}]}]},
        {"contents": [{"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}]},
        {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f"}}]}]},
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "generationConfig": {"top_k": "many"}},
        {
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        },
    ],
)
async def test_the_fake_is_strict(house: House, body: dict[str, Any]) -> None:
    """What Google refuses, the fake refuses."""
    provider = house.provider
    provider.encode_request = lambda request, model, losses: body
    with pytest.raises(GatewayError) as caught:
        await house.ask(ChatRequest(model=MODEL, messages=asking("Hi").messages))
    assert caught.value.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
