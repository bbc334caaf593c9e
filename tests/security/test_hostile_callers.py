"""Callers who send what is too large, too slow, too deep, or for another path."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import sys
import zlib
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from e2e.conftest import KEY, Running, Start

from trunkline.access.keys import Keys
from trunkline.web import server

MIB = 2**20
MESSAGES = [{"role": "user", "content": "Hi"}]
PATHS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/api/v1/chat/completions": {"messages": MESSAGES},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/embeddings": {"input": "Hi"},
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 9},
    "/v1/responses": {"input": "Hi"},
    "/v1beta/models/fake/echo:generateContent": {"contents": [{"parts": [{"text": "Hi"}]}]},
    "/trunkline/v1/chat": {"messages": [{"role": "ROLE_USER", "parts": [{"text": "Hi"}]}]},
}


def _with(body: dict[str, Any], more: str) -> bytes:
    return f"{json.dumps({'model': 'fake/echo', **body})[:-1]}, {more}}}".encode("utf-8", "surrogateescape")


BAD: dict[str, str] = {
    "deep": f'"x": {"[" * 100_000}{"]" * 100_000}',
    "not a number": '"temperature": NaN',
    "infinite": '"temperature": Infinity',
    "beyond all bounds": f'"temperature": {"9" * 5000}',
    "an exponent beyond all bounds": '"temperature": 1e999999999',
    "no UTF-8": '"user": "\udcff"',
}


async def _send(client: httpx.AsyncClient, path: str, content: bytes, **headers: str) -> httpx.Response:
    sent = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await client.post(path, content=content, headers=sent)


@pytest.fixture
async def client(gateway: Running) -> Any:
    """A client of the gateway."""
    async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as one:
        yield one


async def test_json_that_is_no_request(gateway: Running, client: httpx.AsyncClient) -> None:
    """Depth, numbers and bytes beyond what JSON has are refused at each surface, at once and in its error."""
    for path, body in PATHS.items():
        for name, bad in BAD.items():
            more = bad
            if path.startswith("/trunkline/") and "temperature" in more:
                more = f'"sampling": {{{more}}}'
            answer = await _send(client, path, _with(body, more))
            assert answer.status_code == 400, (path, name, answer.text[:200])
            assert "its log tells why" not in answer.text
            assert len(answer.content) < 4096
    for number in ("NaN", "Infinity", "-Infinity"):  # which Protobuf's JSON can write
        more = f'"sampling": {{"temperature": "{number}"}}'
        assert (await _send(client, "/trunkline/v1/chat", _with(PATHS["/trunkline/v1/chat"], more))).status_code == 400
    assert gateway.upstream.requests == []


async def test_a_field_that_is_there_twice_has_one_meaning(gateway: Running, client: httpx.AsyncClient) -> None:
    """The last one counts, for the check and for the provider alike; or it is refused."""
    for path, body in PATHS.items():
        if ":" not in path and "embeddings" not in path:
            content = _with(body, '"model": "fake/nobody", "model": "fake/echo"')
            # Protobuf's JSON has no such field at all.
            expected = 400 if path.startswith("/trunkline/") else 200
            assert (await _send(client, path, content)).status_code == expected, path
    for request in gateway.upstream.requests:
        assert request.body.count(b'"model"') == 1


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_bodies_that_unfold_are_bounded_by_what_they_unfold_to(start: Start, coding: str) -> None:
    """What unfolds to more than is taken is refused as soon as that is seen; what is small is read."""
    pack = gzip.compress if coding == "gzip" else zlib.compress
    bomb = pack(b" " * (16 * MIB), 9)
    async with start(http={"max_body_bytes": MIB}) as gateway:
        for path in ("/v1/chat/completions", "/v1/messages", "/trunkline/v1/chat"):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
            head = (
                f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Encoding: {coding}\r\nContent-Length: {len(bomb)}\r\n\r\n"
            )
            writer.write(head.encode() + bomb)
            assert (await reader.readline()).startswith(b"HTTP/1.1 413")
            writer.transport.abort()
        async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
            small = pack(json.dumps({"model": "fake/echo", **PATHS["/v1/messages"]}).encode())
            assert (await _send(client, "/v1/messages", small, content_encoding=coding)).status_code == 200
            for broken in (b"\x1f\x8b\x08" + b"\xff" * 100, pack(b"x" * 1000)[:20]):
                answer = await _send(client, "/v1/chat/completions", broken, content_encoding=coding)
                assert answer.status_code == 400


async def test_a_head_that_never_ends_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly it comes: nobody holds a connection by saying nothing, or a byte at a time."""
    monkeypatch.setattr(server, "_IDLE", 0.3)
    async with start() as gateway:

        async def hold(first: bytes, more: bytes) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
            writer.write(first)
            async with asyncio.timeout(20):
                ended = asyncio.create_task(reader.read())
                for at in range(len(more)):
                    if ended.done():
                        break
                    writer.write(more[at : at + 1])
                    await asyncio.wait([ended], timeout=0.05)
                await asyncio.wait([ended])
            writer.close()

        head = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
        await asyncio.gather(
            hold(b"", b""),
            hold(head[:7], b""),
            hold(head, b""),
            hold(head, b"x-a: " + b"b" * 1000),
            hold(head + b"\r\n", b""),
        )


async def test_extensions_of_chunks_are_bounded_by_the_time_of_the_body(start: Start) -> None:
    """They are no body, so no size bounds them."""
    async with start(http={"body_timeout": 0.3}) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;")
        answered = asyncio.create_task(reader.readline())
        async with asyncio.timeout(20):
            while not answered.done():
                writer.write(b"a" * 65536)
                await asyncio.wait([answered], timeout=0.01)
        writer.transport.abort()
        assert answered.result().startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))


TRAVERSALS = (
    "../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "....//....//etc/passwd",
    "/etc/passwd", "%2fetc%2fpasswd", "..\\..\\etc\\passwd", "%00/etc/passwd", "a%00b", "file:///etc/passwd",
    "%c0%ae%c0%ae/etc/passwd", "%ff%fe", "*", "%", "'%20OR%201=1--", "x" * 4000, "%0d%0aX-Injected:%201",
)  # fmt: skip


async def test_a_path_leads_to_nothing_but_what_it_names(gateway: Running) -> None:
    """Ids and names in paths are looked up as they are, among what the caller has: there is no file behind them."""
    for root in (
        "/trunkline/v1/models/", "/v1/models/", "/api/v1/models/", "/v1beta/models/", "/v1/responses/",
        "/v1/conversations/", "/trunkline/v1/keys/", "/trunkline/v1/ledger/entries/", "/", "/v1/",
    ):  # fmt: skip
        for name in TRAVERSALS:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
            path = quote(f"{root}{name}", safe="/%:*'\\")
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            head, _, body = answer.partition(b"\r\n\r\n")
            assert answer[9:12] in (b"400", b"401", b"403", b"404", b"405", b"501"), (path, answer[:300])
            assert b"root:" not in body
            assert b"its log tells why" not in body
            assert b"\r\nx-injected" not in head.lower()
    assert gateway.upstream.requests == [one for one in gateway.upstream.requests if one.path.startswith("/v1/models")]


async def test_keys_are_compared_by_their_digests_alone() -> None:
    """Nothing that looks for a key has a key to compare it to, byte by byte: a guess that begins right takes as long as
    any other. What is kept is keyed, so that it cannot be tested elsewhere."""
    keys, same = Keys([("me", KEY)]), Keys([("me", KEY)])
    assert (await keys.authenticate(KEY)).name == "me"
    seen: set[int] = set()
    left: list[Any] = [keys]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, type) or type(one).__name__ in ("module", "function"):
            continue
        seen.add(id(one))
        assert one != KEY
        assert one != KEY.encode()
        left.extend(gc.get_referents(one))
    assert vars(keys)["_static"].keys() != vars(same)["_static"].keys()
    assert "trunkline.access.keys" in sys.modules
