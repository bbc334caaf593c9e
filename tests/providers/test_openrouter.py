"""What is special about the kind `openrouter`: it chooses among providers itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from providers.house import asking, house_of, provider_of

from trunkline.call import Call
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatRequest, Prompt, Routing
from trunkline.v1.embeddings_pb2 import EmbedInput, EmbedRequest

ROUTING = Routing(allowed_providers=["google-vertex"], fallbacks=False, max_price={"prompt": 1.5}, sort={"by": "price"})
TOLD = {"only": ["google-vertex"], "allow_fallbacks": False, "max_price": {"prompt": 1.5}, "sort": "price"}


class Refusing:
    """A server that refuses everything; `bodies` are what came, by path."""

    def __init__(self) -> None:
        self.bodies: dict[str, dict[str, Any]] = {}
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.bodies[request.path] = await request.json()
        return web.json_response({"error": {"code": 400, "message": "No."}}, status=400)


@pytest.fixture
async def server() -> AsyncIterator[Refusing]:
    """On loopback."""
    refusing = Refusing()
    app = web.Application()
    app.router.add_post("/{path:.*}", refusing.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    refusing.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield refusing
    await runner.cleanup()


async def sent(server: Refusing, kind: str, request: ChatRequest | EmbedRequest, surface: Any = "openai") -> Any:
    """What a provider of the kind was told of `provider`."""
    provider = provider_of(kind, server.url, api_key="none")
    house, call = house_of(provider), Call("c", surface)
    with pytest.raises(GatewayError, match=r"No\."):
        if isinstance(request, EmbedRequest):
            await house.gateway.embed(request, call)
        else:
            await house.gateway.chat(request, call)
    await provider.close()
    (body,) = server.bodies.values()
    return body.get("provider")


CHAT = asking("Hi", model="m", routing=ROUTING)
CONTINUED = ChatRequest(model="m", completion={"prompts": [Prompt(text="Once")]}, routing=ROUTING)
EMBEDDED = EmbedRequest(model="m", inputs=[EmbedInput(text="Hi")], routing=ROUTING)


@pytest.mark.parametrize(
    ("request_", "surface", "path"),
    [
        (CHAT, "openai", "/chat/completions"),
        (CHAT, "grpc", "/chat/completions"),
        (CHAT, "responses", "/responses"),
        (CONTINUED, "openai", "/completions"),
        (EMBEDDED, "openai", "/embeddings"),
    ],
)
async def test_it_is_told_what_is_asked_of_providers(server: Refusing, request_: Any, surface: str, path: str) -> None:
    """In each of its languages."""
    assert await sent(server, "openrouter", request_, surface) == TOLD
    assert list(server.bodies) == [path]


async def test_nothing_is_told_where_nothing_is_asked(server: Refusing) -> None:
    """Names of models to fall back on, and the like, are the gateway's own affair."""
    request = asking("Hi", model="m", routing=Routing(fallback_models=["n"], session_id="s"))
    assert await sent(server, "openrouter", request) is None


@pytest.mark.parametrize("kind", ["openai-compatible", "vllm", "xai", "openai"])
async def test_no_other_kind_is_told(server: Refusing, kind: str) -> None:
    """Who serves models himself has no use for it."""
    assert await sent(server, kind, CHAT) is None
