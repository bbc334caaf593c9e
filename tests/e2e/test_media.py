"""Images and documents by address, through a whole gateway, over providers that fetch them and one that does not."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web
from e2e.conftest import Running, Start
from fakes import anthropic_server, gemini_server
from fakes.file_server import PDF, PNG, FileServer
from fakes.sim_server import SimServer


class Converse:
    """Bedrock's Converse on loopback, which fetches nothing: it answers one word and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.url = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(json.loads(await request.read()))
        message = {"role": "assistant", "content": [{"text": "Seen."}]}
        usage = {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}
        return web.json_response({"output": {"message": message}, "stopReason": "end_turn", "usage": usage})


@asynccontextmanager
async def converse() -> AsyncIterator[Converse]:
    """Bedrock, listening."""
    fake = Converse()
    runner = web.ServerRunner(web.Server(fake.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


@pytest.fixture
async def files() -> AsyncIterator[FileServer]:
    """A server of files."""
    async with FileServer() as server:
        yield server


OPEN = {"private_networks": ["127.0.0.1"]}


def bedrock(server: Converse) -> dict[str, Any]:
    """The configuration of a provider that fetches nothing."""
    return {"bedrock": {"kind": "bedrock", "base_url": server.url, "api_key": "k"}}


def looking(model: str, url: str, **more: Any) -> dict[str, Any]:
    """A request with an image, as OpenAI writes it."""
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    return {"model": model, "messages": [{"role": "user", "content": content}], **more}


async def post(gateway: Running, path: str, body: Any, **headers: str) -> httpx.Response:
    """Send one request."""
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(gateway.url + path, json=body, headers=headers)


async def test_an_image_is_fetched(start: Start, files: FileServer) -> None:
    """And sent as its bytes, which is no loss: a strict caller is served, too."""
    async with converse() as server, start(models={}, providers=bedrock(server), media=OPEN) as gateway:
        body = looking("bedrock/anthropic.claude-opus-4-6", f"{files.url}/a.png")
        response = await post(gateway, "/v1/chat/completions", body, **{"x-trunkline-strict": "true"})
        assert response.status_code == 200, response.text
        assert "x-trunkline-dropped" not in response.headers
        assert response.json()["choices"][0]["message"]["content"] == "Seen."
        [asked] = server.asked
    source = {"bytes": base64.b64encode(PNG).decode()}
    assert asked["messages"][0]["content"][1] == {"image": {"format": "png", "source": source}}
    assert files.paths == ["/a.png"]


async def test_a_document_in_the_result_of_a_tool(start: Start, files: FileServer) -> None:
    """As Anthropic's clients send it, over a provider that fetches none."""
    document = {"type": "document", "source": {"type": "url", "url": f"{files.url}/a.pdf"}}
    messages = [
        {"role": "user", "content": "Read it."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "find", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [document]}]},
    ]
    tools = [{"name": "find", "input_schema": {"type": "object"}}]
    async with converse() as server, start(models={}, providers=bedrock(server), media=OPEN) as gateway:
        body = {"model": "bedrock/anthropic.claude-opus-4-6", "max_tokens": 9, "messages": messages, "tools": tools}
        response = await post(gateway, "/v1/messages", body)
        assert response.status_code == 200, response.text
        [asked] = server.asked
    assert base64.b64encode(PDF).decode() in json.dumps(asked["messages"][-1])
    assert files.url not in json.dumps(asked)


@pytest.mark.parametrize("stream", [False, True])
async def test_providers_that_fetch_themselves_get_the_address(start: Start, files: FileServer, stream: bool) -> None:
    """Anthropic's and Google's own APIs, and servers of OpenAI's language for images: the gateway asks for nothing."""
    address = f"{files.url}/a.png"
    async with (
        anthropic_server.AnthropicServer() as claude,
        gemini_server.GeminiServer() as google,
        SimServer() as sim,
    ):
        providers = {
            "claude": {"kind": "anthropic", "base_url": claude.url, "api_key": anthropic_server.KEY},
            "google": {"kind": "gemini", "base_url": google.url, "api_key": gemini_server.KEY},
            "other": {"kind": "openai-compatible", "base_url": sim.url},
        }
        async with start(models={}, providers=providers, media=OPEN) as gateway:
            for model in ("claude/claude-opus-4-6", "google/gemini-3-flash", "other/echo"):
                response = await post(gateway, "/v1/chat/completions", looking(model, address, stream=stream))
                assert response.status_code == 200, response.text
        bodies = [json.dumps(claude.requests[-1].body), json.dumps(google.asked.body), sim.requests[-1].body.decode()]
    assert all(address in body for body in bodies)
    assert files.asked == []


@pytest.mark.parametrize("stream", [False, True])
async def test_networks_of_ours_are_not_asked(start: Start, files: FileServer, stream: bool) -> None:
    """The caller reads which part is at fault, in his own dialect, and nothing of what there is in the network."""
    async with converse() as server, start(models={}, providers=bedrock(server)) as gateway:
        told = set()
        for url in (f"{files.url}/a.png", "http://169.254.169.254/latest/", "http://[::ffff:10.0.0.1]/", "http://1/"):
            body = looking("bedrock/x", url, stream=stream)
            response = await post(gateway, "/v1/chat/completions", body)
            assert response.status_code == 400
            error = response.json()["error"]
            assert (error["type"], error["param"]) == ("invalid_request_error", "messages[0].parts[1]")
            told.add(error["message"])

            image = {"type": "image", "source": {"type": "url", "url": url}}
            messages = [{"role": "user", "content": [image]}]
            body = {"model": "bedrock/x", "max_tokens": 9, "messages": messages, "stream": stream}
            response = await post(gateway, "/v1/messages", body)
            assert response.status_code == 400
            assert response.json()["error"]["type"] == "invalid_request_error"
        assert len({message for message in told if "reached" in message}) == 1
        assert server.asked == []
    assert files.asked == []


async def test_limits(start: Start, files: FileServer) -> None:
    """Of one file, of all of a request, and of their number."""
    address = f"{files.url}/a.png"
    for media, images, why in (
        ({"max_bytes": 10}, [address], "larger than 10 bytes"),
        ({"max_request_bytes": 60}, [address, f"{address}?b"], "larger than 60"),
        ({"max_request_bytes": 60}, [address, address], "larger than 60"),
        ({"max_files": 1}, [address, f"{address}?b"], "at most 1 are"),
    ):
        async with converse() as server, start(models={}, providers=bedrock(server), media=OPEN | media) as gateway:
            body = looking("bedrock/x", images[0])
            body["messages"][0]["content"] += looking("", images[-1])["messages"][0]["content"] * (len(images) - 1)
            response = await post(gateway, "/v1/chat/completions", body)
            assert response.status_code == 400
            assert why in response.json()["error"]["message"]
            assert server.asked == []


async def test_where_the_gateway_fetches_nothing(start: Start, files: FileServer) -> None:
    """A provider that cannot be given an address is not asked: the caller is told to send the data."""
    async with converse() as server, start(models={}, providers=bedrock(server), media={"fetch": False}) as gateway:
        response = await post(gateway, "/v1/chat/completions", looking("bedrock/x", f"{files.url}/a.png"))
        assert response.status_code == 400
        assert "send the data" in response.json()["error"]["message"]
        assert server.asked == []
    assert files.asked == []
