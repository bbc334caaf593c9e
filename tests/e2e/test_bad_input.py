"""Hostile and broken requests: each a clear error, the process and other calls untouched."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from e2e.conftest import Running, Start
from e2e.test_openai_http import assert_valid, chat, post

USER: dict[str, Any] = {"role": "user", "content": "Hi"}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def messages(*items: Any) -> dict[str, Any]:
    """A request with these messages."""
    return {"model": "fake/echo", "messages": list(items)}


BAD: dict[str, tuple[Any, str | None]] = {
    "no body": (b"", None),
    "no JSON": (b"{nope", None),
    "cut JSON": (b'{"model": "fake/echo"', None),
    "not UTF-8": (b'{"model": "\xff"}', None),
    "not an object": (b"[]", None),
    "a number": (b"NaN", None),
    "deep": (b'{"model":"m","messages":' + b"[" * 100_000, None),
    "deep and whole": (b'{"model":"m","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", None),
    "no model": ({"messages": [USER]}, "model"),
    "empty model": ({"model": "", "messages": [USER]}, "model"),
    "model of a wrong type": ({"model": 7, "messages": [USER]}, "model"),
    "no messages": ({"model": "fake/echo"}, "messages"),
    "empty messages": (messages(), "messages"),
    "messages of a wrong type": ({"model": "fake/echo", "messages": "Hi"}, "messages"),
    "a message of a wrong type": (messages(USER, "Hi"), "messages[1]"),
    "no role": (messages({"content": "Hi"}), "messages[0].role"),
    "unknown role": (messages({"role": "robot", "content": "Hi"}), "messages[0].role"),
    "content of a wrong type": (messages({"role": "user", "content": 7}), "messages[0].content"),
    "no content": (messages({"role": "user"}), "messages[0].content"),
    "part without a type": (messages({"role": "user", "content": [{}]}), "messages[0].content[0].type"),
    "image of a wrong type": (
        messages(USER, USER, {"role": "user", "content": [{"type": "image_url", "image_url": 7}]}),
        "messages[2].content[0].image_url",
    ),
    "call without a function": (
        messages(USER, {"role": "assistant", "tool_calls": [{"id": "a", "type": "function"}]}),
        "messages[1].tool_calls[0].function",
    ),
    "result without an id": (messages(USER, {"role": "tool", "content": "x"}), "messages[1].tool_call_id"),
    "result without a call": (
        messages(USER, {"role": "tool", "tool_call_id": "a", "content": "x"}),
        "messages[1]",
    ),
    "result before its call": (
        messages({"role": "tool", "tool_call_id": "a", "content": "x"}, {"role": "assistant", "tool_calls": [CALL]}),
        "messages[0]",
    ),
    "temperature too low": (chat("fake/echo", temperature=-1), "temperature"),
    "temperature of a wrong type": (chat("fake/echo", temperature="hot"), "temperature"),
    "top_p out of range": (chat("fake/echo", top_p=1.5), "top_p"),
    "n out of range": (chat("fake/echo", n=0), "n"),
    "a huge n": (chat("fake/echo", n=10**30), "n"),
    "no tokens": (chat("fake/echo", max_tokens=0), "max_tokens"),
    "too many tokens": (chat("fake/echo", max_completion_tokens=2**40), "max_completion_tokens"),
    "stop of a wrong type": (chat("fake/echo", stop=[1]), "stop[0]"),
    "stream of a wrong type": (chat("fake/echo", stream="yes"), "stream"),
    "stream options of a wrong type": (chat("fake/echo", stream_options=1), "stream_options"),
    "tools of a wrong type": (chat("fake/echo", tools={}), "tools"),
    "tool without a name": (chat("fake/echo", tools=[{"type": "function", "function": {}}]), "tools[0].function.name"),
    "unknown tool choice": (chat("fake/echo", tool_choice="maybe"), "tool_choice"),
    "unknown response format": (chat("fake/echo", response_format={"type": 1}), "response_format.type"),
    "10,000 messages": (messages(*[USER] * 10_000), "messages"),
    "1,000 tools": (
        chat("fake/echo", tools=[{"type": "function", "function": {"name": f"f{n}"}} for n in range(1000)]),
        "tools",
    ),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_request_names_what_is_wrong(gateway: Running, case: str) -> None:
    """Status 400 with the path of the field; nothing reaches the provider, and the next call is served."""
    body, param = BAD[case]
    answer = await post(gateway, body)
    error = answer.json()["error"]

    assert answer.status_code == 400, answer.text
    assert_valid("ErrorResponse", answer.json())
    assert error["param"] == param
    assert param is None or f"`{param}" in error["message"]
    assert gateway.upstream.requests == []
    assert (await post(gateway, chat("fake/echo"))).status_code == 200


async def test_large_bodies_are_refused(start: Start) -> None:
    """413 in OpenAI's shape, whether the length is told or not."""

    async def pieces() -> Any:
        for _ in range(100):
            yield b" " * 1000

    async with start(http={"address": "127.0.0.1:0", "max_body_bytes": 10_000}) as gateway:
        told = await post(gateway, b" " * 20_000)
        async with httpx.AsyncClient() as client:
            untold = await client.post(f"{gateway.url}/v1/chat/completions", content=pieces())

    for answer in (told, untold):
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "request_too_large"


async def test_unknown_paths_and_methods(gateway: Running) -> None:
    """404 and 405 in OpenAI's shape."""
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        path = await client.post("/v1/nothing", json={})
        method = await client.get("/v1/chat/completions")
        root = await client.get("/")
        base = await client.post("/chat/completions", json={})

    assert [path.status_code, method.status_code, root.status_code, base.status_code] == [404, 405, 404, 404]
    assert method.headers["allow"] == "POST"
    assert "ends with `/v1`" in base.json()["error"]["message"]
    for answer in (path, method, root, base):
        assert_valid("ErrorResponse", answer.json())


async def raw(gateway: Running, data: bytes) -> bytes:
    """Send bytes, and read all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
    writer.write(data)
    await writer.drain()
    try:
        return await reader.read()
    finally:
        writer.close()


def request_bytes(body: dict[str, Any], version: str = "1.1", headers: str = "") -> bytes:
    """A request by hand."""
    content = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/{version}\r\nHost: x\r\nContent-Length: {len(content)}\r\n{headers}\r\n"
    return head.encode() + content


async def test_http_1_0_and_pipelining(gateway: Running) -> None:
    """An HTTP/1.0 stream ends with its connection; requests sent at once are answered in order."""
    old = await raw(gateway, request_bytes(chat("fake/echo", stream=True), "1.0"))
    one, two = chat("fake/echo"), chat("fake/echo", n=2)
    both = await raw(gateway, request_bytes(one) + request_bytes(two, headers="Connection: close\r\n"))

    assert b"chunked" not in old.lower().partition(b"\r\n\r\n")[0]
    assert old.endswith(b"data: [DONE]\n\n")
    assert both.count(b"HTTP/1.1 200 OK") == 2
    assert b'"index":1' in both.rpartition(b"HTTP/1.1")[2]


@pytest.mark.parametrize(
    "data",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(20_000)) + b"\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nx-long: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["garbage", "version", "length", "many headers", "long header", "long path"],
)
async def test_broken_http_is_refused(gateway: Running, data: bytes) -> None:
    """What is no HTTP, or floods the headers, gets a 4xx or a closed connection; the next call is served."""
    try:
        answer = await raw(gateway, data)
    except ConnectionResetError:
        answer = b""

    assert answer == b"" or answer.startswith((b"HTTP/1.0 4", b"HTTP/1.1 4"))
    assert (await post(gateway, chat("fake/echo"))).status_code == 200


async def test_a_slow_body_is_given_up(start: Start) -> None:
    """A body that does not arrive in time is refused, and the connection is not held."""
    async with start(http={"address": "127.0.0.1:0", "body_timeout": 0.1}) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert head.startswith(b"HTTP/1.1 400")


async def test_a_slow_reader_holds_nothing_up(gateway: Running) -> None:
    """A client that does not read holds back its own provider, not the memory of the gateway nor other calls."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port, limit=1024)
    writer.write(request_bytes(chat("fake/fault/huge:megabytes=64", stream=True)))
    await reader.readline()

    assert (await post(gateway, chat("fake/echo"))).status_code == 200
    assert gateway.upstream.open_replies == 1
    writer.transport.abort()
    await gateway.upstream.replies_reach(0)


async def test_answers_of_any_size_pass(gateway: Running) -> None:
    """An answer of many megabytes is passed on whole."""
    answer = await post(gateway, chat("fake/fault/huge:megabytes=8"))

    assert answer.status_code == 200
    assert len(answer.content) > 8_000_000
