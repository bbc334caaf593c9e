"""Plugins through a whole gateway, as the clients of each surface ask for them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import openai
import pytest
from e2e.conftest import Running, Start
from fakes.search_server import KEY, SearchServer
from plugins import pdfs

from trunkline.v1 import chat_pb2_grpc, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Plugin, ResponseFormat
from trunkline.v1.content_pb2 import Message, Part

JSON: Any = {"type": "json_object"}
BROKEN = "Sure!\n```json\n{'name': 'fox', tags: [1, 2,], // so\n\"ok\": True\n```\nBye."
MENDED = {"name": "fox", "tags": [1, 2], "ok": True}
HEALING: Any = {"plugins": [{"id": "response-healing"}]}
WEB: Any = {"plugins": [{"id": "web", "max_results": 2}]}


def user(content: Any) -> list[Any]:
    """A conversation of one message."""
    return [{"role": "user", "content": content}]


def sdk(gateway: Running) -> openai.AsyncOpenAI:
    """A client that does not repeat what fails."""
    return openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0)


async def ask(gateway: Running, *, streamed: bool, **request: Any) -> Any:
    """The message that answers, as the SDK reads it, or puts it together from chunks."""
    async with sdk(gateway) as client:
        if not streamed:
            answer = await client.chat.completions.create(**request)
            return answer.choices[0].message.model_dump(exclude_none=True)
        message: dict[str, Any] = {"content": ""}
        async for chunk in await client.chat.completions.create(stream=True, **request):
            for choice in chunk.choices:
                delta = choice.delta.model_dump(exclude_none=True)
                message["content"] += delta.pop("content", "")
                message |= delta
        return message


async def post(gateway: Running, path: str, body: Any) -> httpx.Response:
    """Send one request."""
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(gateway.url + path, json=body)


@pytest.fixture
async def searching(start: Start) -> AsyncIterator[tuple[Running, SearchServer]]:
    """A gateway with a search engine."""
    async with SearchServer() as server:
        search = {"kind": "tavily", "base_url": server.url("tavily"), "api_key": KEY}
        async with start(plugins={"search": search}) as gateway:
            yield gateway, server


@pytest.mark.parametrize("streamed", [False, True])
async def test_json_is_mended(gateway: Running, streamed: bool) -> None:
    """The SDK reads valid JSON, and what was mended; without the plugin it reads what the model wrote."""
    request: Any = {"model": "fake/echo", "messages": user(BROKEN), "response_format": JSON}
    message = await ask(gateway, streamed=streamed, **request, extra_body=HEALING)
    assert json.loads(message["content"]) == MENDED
    told = message["extra_content"]["trunkline"]["response-healing"]["repaired"]
    assert told == {
        "code_fence": 2,
        "comment": 1,
        "missing_bracket": 1,
        "python_literal": 1,
        "single_quotes": 2,
        "text_around": 1,
        "trailing_comma": 1,
        "unquoted_key": 1,
    }
    assert (await ask(gateway, streamed=streamed, **request))["content"] == BROKEN


async def test_a_default_is_at_work_unasked(start: Start) -> None:
    """What the configuration switches on, a request can switch off."""
    request: Any = {"model": "fake/echo", "messages": user(BROKEN), "response_format": JSON}
    off = {"plugins": [{"id": "response-healing", "enabled": False}]}
    async with start(plugins={"default": ["response-healing"]}) as gateway:
        assert json.loads((await ask(gateway, streamed=False, **request))["content"]) == MENDED
        assert (await ask(gateway, streamed=False, **request, extra_body=off))["content"] == BROKEN


async def test_every_surface_takes_plugins(gateway: Running) -> None:
    """Responses, Messages, the native surface and gRPC heal alike."""
    form = {"format": {"type": "json_object"}}
    said = await post(
        gateway, "/v1/responses", {"model": "fake/echo", "input": BROKEN, "text": form, **HEALING, "store": False}
    )
    assert json.loads(said.json()["output"][0]["content"][0]["text"]) == MENDED

    native = {
        "model": "fake/echo",
        "messages": [{"role": "ROLE_USER", "parts": [{"text": BROKEN}]}],
        "responseFormat": {"jsonObject": {}},
        "plugins": [{"id": "response-healing"}],
    }
    said = await post(gateway, "/trunkline/v1/chat", native)
    assert json.loads(said.json()["choices"][0]["message"]["parts"][0]["text"]) == MENDED

    request = ChatRequest(
        model="fake/echo",
        messages=[Message(role=content_pb2.ROLE_USER, parts=[Part(text=BROKEN)])],
        response_format=ResponseFormat(json_object={}),
        plugins=[Plugin(id="response-healing")],
    )
    async with grpc.aio.insecure_channel(gateway.grpc) as channel:
        answer = await chat_pb2_grpc.ChatServiceStub(channel).Chat(request)  # type: ignore[no-untyped-call]
    assert json.loads(answer.choices[0].message.parts[0].text) == MENDED
    assert "repaired" in answer.choices[0].message.extras["trunkline"]

    body = {"model": "fake/echo", "max_tokens": 99, "messages": user("Hi"), "plugins": [{"id": "no-such"}]}
    said = await post(gateway, "/v1/messages", body)
    assert said.status_code == 400
    assert "plugins[0].id" in said.json()["error"]["message"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_web_is_searched(searching: tuple[Running, SearchServer], streamed: bool) -> None:
    """The model reads the results, and what it links to is cited: here it says all that it read."""
    gateway, server = searching
    request: Any = {"model": "fake/echo", "messages": user("What is new?")}
    message = await ask(gateway, streamed=streamed, **request, extra_body=WEB)
    cited = [one["url_citation"] for one in message["annotations"]]
    assert [one["url"] for one in cited] == [
        "https://docs.example.com/guide",
        "https://blog.example.org/2026/post?id=1",
    ]
    for one in cited:
        assert message["content"][one["start_index"] : one["end_index"]] == one["url"]
    assert message["extra_content"]["trunkline"]["web"] == {"engine": "tavily", "results": 2}
    assert server.requests[0]["query"] == "What is new?"


@pytest.mark.parametrize("streamed", [False, True])
async def test_online_searches(searching: tuple[Running, SearchServer], streamed: bool) -> None:
    """A name with `:online` has the plugin, once, and beside the others."""
    gateway, server = searching
    message = await ask(gateway, streamed=streamed, model="fake/echo:online", messages=user("What is new?"))
    assert message["extra_content"]["trunkline"]["web"]["results"] == 5
    more: Any = {"plugins": [{"id": "web", "max_results": 1}, *HEALING["plugins"]]}
    message = await ask(
        gateway, streamed=streamed, model="fake/echo:online", messages=user("And now?"), extra_body=more
    )
    assert message["extra_content"]["trunkline"]["web"]["results"] == 1
    off: Any = {"plugins": [{"id": "web", "enabled": False}]}
    message = await ask(gateway, streamed=streamed, model="fake/echo:online", messages=user("Hi"), extra_body=off)
    assert message["content"] == "Hi"
    assert [one["query"] for one in server.requests] == ["What is new?", "And now?"]


async def test_citations_of_responses(searching: tuple[Running, SearchServer]) -> None:
    """Responses tell them as annotations of their own."""
    gateway, _ = searching
    body = {"model": "fake/echo", "input": "What is new?", "store": False, **WEB}
    said = (await post(gateway, "/v1/responses", body)).json()
    annotations = said["output"][0]["content"][0]["annotations"]
    assert annotations[0]["url"] == "https://docs.example.com/guide"


async def test_a_search_that_fails_is_the_callers_error(searching: tuple[Running, SearchServer]) -> None:
    """No model is asked when the search that was to help it failed."""
    gateway, server = searching
    server.status = 500
    async with sdk(gateway) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(model="fake/echo", messages=user("Hi"), extra_body=WEB)
    assert caught.value.status_code == 502
    assert not gateway.upstream.requests


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_pdf_is_read(gateway: Running, streamed: bool) -> None:
    """The model reads its text; the annotation that the client sends back is taken in place of the file."""
    data = base64.b64encode(pdfs.pdf("Foxes are red")).decode()
    file = {"filename": "fox.pdf", "file_data": f"data:application/pdf;base64,{data}"}
    content = [{"type": "file", "file": file}, {"type": "text", "text": "What is it about?"}]
    more: Any = {"plugins": [{"id": "file-parser", "pdf": {"engine": "pdf-text"}}]}
    message = await ask(gateway, streamed=streamed, model="fake/echo", messages=user(content), extra_body=more)
    assert '<file name="fox.pdf">\nFoxes are red\n</file>' in message["content"]
    annotation = message["annotations"][0]
    assert annotation["file"]["content"] == [{"type": "text", "text": "Foxes are red"}]

    annotation["file"]["content"][0]["text"] = "Owls are grey"
    messages = [*user(content), {"role": "assistant", "content": "Foxes.", "annotations": [annotation]}, *user("Sure?")]
    await ask(gateway, streamed=streamed, model="fake/echo", messages=messages, extra_body=more)
    sent = gateway.upstream.requests[-1].body
    assert b"Owls are grey" in sent
    assert b"annotations" not in sent
    assert b"Foxes are red" not in sent


async def test_a_hostile_pdf_is_a_clear_error(gateway: Running) -> None:
    """The error names the part of the message."""
    data = base64.b64encode(pdfs.encrypted(pdfs.pdf("x"), "secret")).decode()
    content = [{"type": "file", "file": {"filename": "x.pdf", "file_data": f"data:application/pdf;base64,{data}"}}]
    body = {"model": "fake/echo", "messages": user(content), "plugins": [{"id": "file-parser"}]}
    said = await post(gateway, "/v1/chat/completions", body)
    assert said.status_code == 400
    assert said.json()["error"]["param"] == "messages[0].parts[0]"
    assert "password" in said.json()["error"]["message"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("asked", [{"plugins": [{"id": "context-compression"}]}, {"transforms": ["middle-out"]}])
async def test_a_long_conversation_loses_its_middle(start: Start, asked: Any, streamed: bool) -> None:
    """Where the model's context is known, and only where it is asked for."""
    messages: list[Any] = [
        {"role": ("user", "assistant")[index % 2], "content": f"{index} " + "word " * 80} for index in range(21)
    ]
    async with start(catalog={"fake/echo": {"context": 1000}}) as gateway:
        message = await ask(gateway, streamed=streamed, model="fake/echo", messages=messages, extra_body=asked)
        told = message["extra_content"]["trunkline"]["context-compression"]
        sent = json.loads(gateway.upstream.requests[-1].body)["messages"]
        assert len(sent) == 21 - told["removed_messages"]
        assert (sent[0], sent[-1]) == (messages[0], messages[-1])
        assert told["tokens_after"] < 1000 < told["tokens_before"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"plugins": [{"id": "wbe"}]}, "plugins[0].id"),
        ({"plugins": [{}]}, "plugins[0].id"),
        ({"plugins": {}}, "plugins"),
        ({"plugins": ["web"]}, "plugins[0]"),
        ({"plugins": [{"id": "web", "enabled": "yes"}]}, "plugins[0].enabled"),
        ({"plugins": [{"id": "web"}]}, "plugins[0]"),
        ({"plugins": [{"id": "response-healing", "hard": True}]}, "plugins[0].hard"),
        ({"transforms": ["upside-down"]}, "transforms[0]"),
    ],
)
async def test_what_is_wrong_is_named(gateway: Running, body: Any, param: str) -> None:
    """In the caller's own dialect, before anyone is asked."""
    said = await post(gateway, "/v1/chat/completions", {"model": "fake/echo", "messages": user("Hi"), **body})
    assert said.status_code == 400
    assert said.json()["error"]["param"] == param
    assert not gateway.upstream.requests
