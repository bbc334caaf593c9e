"""A provider that says anything it likes: what it can cost is bounded, and what cannot be read is its own failure."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import pytest
from e2e.conftest import Start

TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
MIB = 2**20
LEAST = 80 * MIB
"""More bytes than are ever taken in of what is not passed on at once."""

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
JSON = HEAD + b"Content-Type: application/json\r\n\r\n"
SSE = HEAD + b"Content-Type: text/event-stream\r\n\r\n"


@dataclass
class Liar:
    """Answers each request with the bytes that `says` gives, as long as they are taken."""

    says: Callable[[], Any] = lambda: iter(())
    url: str = ""
    sent: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def lying() -> AsyncIterator[Liar]:
    """A provider of that sort."""
    liar = Liar()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")),
                b"0",
            )
            await reader.readexactly(int(length))
            for piece in liar.says():
                writer.write(piece)
                liar.sent += len(piece)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            liar.left.set()
        finally:
            writer.close()
            liar.left.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    liar.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield liar
    finally:
        server.close()
        await server.wait_closed()


def forever(first: bytes, piece: bytes) -> Callable[[], Any]:
    """What begins so, and has no end."""

    def say() -> Any:
        yield first
        for _ in count():
            yield piece

    return say


A = b"a" * MIB
FLOODS: dict[str, tuple[bool, Callable[[], Any]]] = {
    "a header without end": (False, forever(HEAD + b"x-a: ", A)),
    "headers without end": (False, forever(HEAD, b"".join(b"x-%d: y\r\n" % n for n in range(1000)))),
    "an answer without end": (False, forever(JSON + b'{"choices":"', A)),
    "brackets without end": (False, forever(JSON, b"[" * MIB)),
    "spaces without end": (False, forever(JSON, b" " * MIB)),
    "an event without end": (True, forever(SSE + b"data: ", A)),
    "lines of one event without end": (True, forever(SSE, b"data: aaaaaaaa\n" * 65536)),
    "empty lines of one event without end": (True, forever(SSE, b"data\n" * 100_000)),
    "a name of an event without end": (True, forever(SSE + b"event: ", A)),
    "a comment without end": (True, forever(SSE + b": ", A)),
    "an error without end": (True, forever(HEAD.replace(b"200 OK", b"500 Oh") + b"\r\n", A)),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_floods_are_cut_off(start: Start, flood: str) -> None:
    """What has no end is given up after a bounded number of bytes, with an error, and the connection is closed."""
    stream, says = FLOODS[flood]
    async with lying() as liar:
        liar.says = says
        provider = {"kind": "openai-compatible", "base_url": liar.url}
        async with start(providers={"liar": provider}, models={}) as gateway:
            async with httpx.AsyncClient(base_url=gateway.url, verify=TLS, timeout=30) as client:
                body = {"model": "liar/m", "messages": [{"role": "user", "content": "x"}], "stream": stream}
                answer = await client.post("/v1/chat/completions", json=body)
            async with asyncio.timeout(20):
                await liar.left.wait()
    assert answer.status_code >= 500
    assert "its log tells why" not in answer.text
    assert liar.sent < LEAST


async def test_what_unfolds_without_end_is_cut_off(start: Start) -> None:
    """Ten megabytes that unfold to ten thousand are taken apart piece by piece, and given up at the same bound."""
    packed = gzip.compress(b" " * (100 * MIB), 1)

    def say() -> Any:
        yield HEAD + b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n"
        yield packed

    async with lying() as liar:
        liar.says = say
        provider = {"kind": "openai-compatible", "base_url": liar.url}
        async with (
            start(providers={"liar": provider}, models={}) as gateway,
            httpx.AsyncClient(base_url=gateway.url, verify=TLS, timeout=30) as client,
        ):
            body = {"model": "liar/m", "messages": [{"role": "user", "content": "x"}]}
            answer = await client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 502
    assert "larger than" in answer.text


def _event(**choice: Any) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**chunk, "choices": [{"index": 0, "delta": {}, **choice}]}).encode() + b"\n\n"


def _call(index: Any) -> bytes:
    return _event(delta={"tool_calls": [{"index": index, "id": "a", "function": {"name": "f", "arguments": "{"}}]})


STREAMS: dict[str, bytes] = {
    "a negative choice": _event(index=-1, delta={"content": "x"}),
    "a choice far away": _event(index=2**31 - 1, delta={"content": "x"}),
    "a choice beyond all bounds": _event(index=10**30, delta={"content": "x"}),
    "thousands of choices": b"".join(_event(index=n, delta={"content": "x"}) for n in range(3000)),
    "a negative call": _call(-1),
    "a call far away": _call(2**31 - 1),
    "a call beyond all bounds": _call(10**30),
    "thousands of calls": b"".join(_call(n) for n in range(3000)),
    "no UTF-8": b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"}}]}\n\n',
    "deep": b'data: {"choices":' + b"[" * 100_000 + b"\n\n",
    "deep and whole": b'data: {"x":' + b"[" * 50_000 + b"]" * 50_000 + b',"choices":[]}\n\n',
    "no JSON": b"data: {nope\n\n",
    "no object": b"data: []\n\ndata: 7\n\ndata: null\n\n",
    "NaN": b'data: {"choices":[{"index":NaN}]}\n\n',
    "other types": _event(delta={"content": {"a": 1}, "tool_calls": 7, "role": [], "reasoning_content": 1}),
    "usage beyond all bounds": b'data: {"choices":[],"usage":{"prompt_tokens":-5,"completion_tokens":1e400}}\n\n',
    "a huge usage": b'data: {"choices":[],"usage":{"prompt_tokens":' + b"9" * 400 + b"}}\n\n",
    "a date beyond all bounds": b'data: {"choices":[],"created":1e300,"id":7,"model":[]}\n\n',
    "a field in a field": b'data: data: {"choices":[]}\n\n',
    "events within events": _event(delta={"content": 'x\n\ndata: {"choices":[{"finish_reason":"stop"}]}\n\n'}),
    "thousands of empty events": b"data:\n\n" * 10_000,
    "NULs": b"\0" * 1000 + b"\n\n",
    "nothing": b"",
}
FORMS = {
    "openai-compatible": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "openai-responses": "/v1/responses",
    "gemini": "/v1/chat/completions",
    "cohere": "/v1/chat/completions",
    "mistral": "/v1/chat/completions",
}


async def test_streams_that_make_no_sense(start: Start) -> None:
    """Each ends with an error that is the provider's, over all kinds of provider, never whole and never as a fault of
    the gateway; the same bytes as a whole answer are no answer."""
    async with lying() as liar:
        providers = {kind: {"kind": kind, "base_url": f"{liar.url}/v1", "api_key": "k"} for kind in FORMS}
        settings: dict[str, Any] = {"routing": {"retries": 0, "breaker": {"failures": 1_000_000}}}
        async with (
            start(providers=providers, models={}, **settings) as gateway,
            httpx.AsyncClient(base_url=gateway.url, verify=TLS, timeout=30) as client,
        ):
            for name, data in STREAMS.items():
                for kind, path in FORMS.items():
                    for stream in (True, False):
                        form, said = (SSE, data) if stream else (JSON, data.removeprefix(b"data: "))
                        liar.says = lambda form=form, said=said: iter((form, said))
                        body = {"model": f"{kind}/m", "stream": stream, "max_tokens": 9, "input": "x"}
                        answer = await client.post(path, json={**body, "messages": [{"role": "user", "content": "x"}]})
                        where = (name, kind, stream, answer.text[-300:])
                        assert answer.status_code in (200, 502), where
                        assert "its log tells why" not in answer.text, where
                        if answer.status_code == 200 and stream:
                            assert "error" in answer.text, where
                            for end in ("[DONE]", "message_stop", "response.completed"):
                                assert not any(
                                    end in line for line in answer.text.split("\n") if '"delta"' not in line
                                ), where


async def test_a_flood_of_events_waits_for_its_reader(start: Start) -> None:
    """Events without end are passed on as fast as the caller reads, and no faster; when he leaves, they stop."""
    piece = b"".join(_event(delta={"content": "a" * 1000}) for _ in range(100))
    async with lying() as liar:
        liar.says = forever(SSE, piece)
        provider = {"kind": "openai-compatible", "base_url": liar.url}
        async with start(providers={"liar": provider}, models={}) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port, limit=1024)
            body = json.dumps({"model": "liar/m", "messages": [{"role": "user", "content": "x"}], "stream": True})
            writer.write(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            await reader.readline()
            before = -1
            while liar.sent != before:
                before = liar.sent
                async with httpx.AsyncClient(base_url=gateway.url, verify=TLS, timeout=30) as client:
                    for _ in range(20):
                        assert (await client.get("/healthz")).status_code == 200
            assert liar.sent < 64 * MIB
            writer.transport.abort()
            async with asyncio.timeout(20):
                await liar.left.wait()
