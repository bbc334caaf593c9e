"""What each real client sends is borne, whichever provider stands behind."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from e2e.client_requests import SENT, Sent
from e2e.conftest import KEY, Running, running
from surfaces.worlds import WORLDS

ENDS = ("data: [DONE]", "event: message_stop", '"type":"response.completed"', '"finishReason":"')
"""How a stream ends that is whole, in each language."""

UNHEARD = {("bedrock", "pydantic-ai, chat"), ("anthropic", "pydantic-ai, chat")}
"""What a fake does not do: it writes no JSON where it is asked for it in words alone."""


async def send(http: httpx.AsyncClient, sent: Sent, model: str) -> httpx.Response:
    """Send the request with `model` in it."""
    body = sent.body if "{model}" in sent.path else {"model": model, **sent.body}
    headers = {"authorization": f"Bearer {KEY}", **sent.headers}
    return await http.post(sent.path.replace("{model}", model), json=body, headers=headers)


@pytest.mark.parametrize("kind", WORLDS)
async def test_every_client_is_answered(kind: str) -> None:
    """Its fields, headers and forms of content refuse nothing, and its streams are whole; its key is a Bearer."""
    refused: dict[str, str] = {}
    async with (
        WORLDS[kind]() as world,
        running(providers={"world": world.provider}, models={}, keys=[{"name": "client", "key": KEY}]) as house,
        httpx.AsyncClient(base_url=house.url, timeout=30) as http,
    ):
        for client, sent in SENT.items():
            if (kind, client) in UNHEARD:
                continue
            reply = await send(http, sent, f"world/{world.model}")
            streams = reply.headers["content-type"].startswith("text/event-stream")
            whole = not streams or any(end in reply.text for end in ENDS)
            if reply.status_code != 200 or streams != sent.streams or not whole:
                refused[client] = f"{reply.status_code} {reply.text[-400:]}"

    assert refused == {}


_ROUTED: dict[str, Any] = {"provider": {"sort": "price"}, "models": ["a/b"], "session_id": "s"}
_OPENAI: dict[str, Any] = {
    "store": False,
    "metadata": {"a": "b"},
    "service_tier": "auto",
    "prompt_cache_key": "k",
    "safety_identifier": "s",
    "client_metadata": {"a": "b"},
    "include": [],
    "truncation": "auto",
    "user": "u",
    "text": {},
    "tools": [],
}
ADDED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {**_OPENAI, **_ROUTED, "verbosity": "low", "reasoning_effort": "low"},
    "/v1/responses": {**_OPENAI, **_ROUTED, "parallel_tool_calls": True},
    "/v1/messages": {"metadata": {"user_id": "u"}, "service_tier": "auto", "tools": []},
    "/v1beta/models/{model}:generateContent": {"tools": []},
}
"""Fields that one client or another adds, by the path that it calls."""

REPLAYED = [
    {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
    {"role": "user", "content": "Hello", "name": "user_1"},
    {
        "role": "assistant",
        "content": None,
        "id": "msg_1",
        "status": "completed",
        "annotations": [],
        "refusal": None,
        "provider_specific_fields": {"a": "b"},
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "namespace": "n",
                "function": {"name": "weather", "arguments": "{}"},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": ""}]},
    {"role": "assistant", "content": ""},
    {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
]
"""Messages as clients send them back, with what answers had and requests need not."""


@pytest.mark.parametrize("kind", WORLDS)
async def test_what_any_client_adds_is_borne_on_every_surface(kind: str) -> None:
    """A field that the surface or the provider does not know is passed on or left out, and never refused; nor is
    what is sent back of an answer."""
    refused: dict[str, str] = {}
    async with (
        WORLDS[kind]() as world,
        running(providers={"world": world.provider}, models={}) as house,
        httpx.AsyncClient(base_url=house.url, timeout=30) as http,
    ):
        model = f"world/{world.model}"
        user = {"role": "user", "content": "Hello"}
        bodies: dict[str, dict[str, Any]] = {
            "/v1/chat/completions": {"messages": REPLAYED},
            "/v1/responses": {"input": "Hello"},
            "/v1/messages": {"messages": [user], "max_tokens": 100},
            "/v1beta/models/{model}:generateContent": {"contents": [{"parts": [{"text": "Hello"}]}]},
        }
        for path, body in bodies.items():
            for name, value in [("nothing", None), *ADDED[path].items()]:
                reply = await send(http, Sent(path, {name: value, **body} if value is not None else body), model)
                if reply.status_code != 200:
                    refused[f"{path} {name}"] = reply.text

    assert refused == {}


async def test_cursors_agent_gets_its_answer_as_chat(gateway: Running) -> None:
    """It asks by Chat Completions in the words of Responses: the answer is chunks, and tools of either sort are called
    in the words of chat."""
    body = SENT["Cursor, agent"].body
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        asked = {**body, "model": "fake/tools-parallel", "input": body["input"][:2]}
        streamed = await http.post("/v1/chat/completions", json=asked)
        unary = await http.post("/v1/chat/completions", json={**asked, "stream": False, "stream_options": None})
        wrong = await http.post("/v1/chat/completions", json={**asked, "input": [{"role": "robot", "content": "x"}]})
    chunks = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
    calls = unary.json()["choices"][0]["message"]["tool_calls"]

    assert streamed.text.endswith("data: [DONE]\n\n")
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert [call["type"] for call in calls] == ["function", "custom"]
    assert calls[1]["custom"]["name"] == "ApplyPatch"
    assert wrong.status_code == 400
    assert wrong.json()["error"]["param"] == "input[0].role"


async def test_cursor_asks_with_tools_of_both_forms(gateway: Running) -> None:
    """Those in the flat form of Responses are called in the words of chat, like the others, and can be forced."""
    body = {**SENT["Cursor, ask"].body, "stream": False}
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        called = await http.post("/v1/chat/completions", json={**body, "model": "fake/tools-parallel"})
        forced = {"type": "function", "name": "Flat"}
        chosen = await http.post("/v1/chat/completions", json={**body, "model": "fake/tool", "tool_choice": forced})
    calls = called.json()["choices"][0]["message"]["tool_calls"]

    assert [(call["type"], call[call["type"]]["name"]) for call in calls] == [
        ("function", "weather"),
        ("function", "Flat"),
        ("custom", "ApplyPatch"),
    ]
    assert [call["function"]["name"] for call in chosen.json()["choices"][0]["message"]["tool_calls"]] == ["Flat"]
