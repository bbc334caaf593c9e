"""Where a request ends is not a matter of opinion: what a proxy in front could read in another way is refused whole."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from e2e.conftest import Running, Start

BODY = json.dumps({"model": "fake/echo", "messages": [{"role": "user", "content": "canary"}]}).encode()
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
NEXT = b"GET /v1/next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def chunks(size: bytes, end: bytes = b"\r\n0\r\n\r\n") -> bytes:
    """A request in chunks, the first of which tells its size so."""
    return CHUNKED + size + BODY + end


SIZE = b"%x" % len(BODY)
REFUSED: dict[str, bytes] = {
    "length and chunks": HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "chunks and length": HEAD + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n" + CHUNKS,
    "two lengths": HEAD + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY,
    "two equal lengths": HEAD + LENGTH + LENGTH + b"\r\n" + BODY,
    "a list of lengths": HEAD + b"Content-Length: 3, 3\r\n\r\n" + BODY,
    "a length with a sign": HEAD + b"Content-Length: +%d\r\n\r\n" % len(BODY) + BODY,
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n" + BODY,
    "a hexadecimal length": HEAD + b"Content-Length: 0x10\r\n\r\n" + BODY,
    "a length with an underscore": HEAD + b"Content-Length: 1_0\r\n\r\n" + BODY,
    "a length beyond 64 bits": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n" + BODY,
    "a space before the colon": HEAD + b"Content-Length : %d\r\n\r\n" % len(BODY) + BODY,
    "an unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "chunked twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "chunked, but not last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS,
    "identity": HEAD + b"Transfer-Encoding: identity\r\n\r\n" + CHUNKS,
    "a tab of another kind": HEAD + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + CHUNKS,
    "a folded coding": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKS,
    "a folded header": HEAD + b"X-A: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
    "a bare LF": HEAD + b"X-A: a\n" + LENGTH + b"\r\n" + BODY,
    "bare LFs alone": (HEAD + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY,
    "a bare CR": HEAD + b"X-A: a\rContent-Length: 3\r\n" + LENGTH + b"\r\n" + BODY,
    "a NUL": HEAD + b"X-A: canary\0b\r\n" + LENGTH + b"\r\n" + BODY,
    "a space in a name": HEAD + b"X A: canary\r\n" + LENGTH + b"\r\n" + BODY,
    "no colon": HEAD + b"canary\r\n" + LENGTH + b"\r\n" + BODY,
    "a bare LF after an extension": chunks(SIZE + b";a\nb\r\n"),
    "a bare LF after a size": chunks(SIZE + b"\n"),
    "a size with a sign": chunks(b"+" + SIZE + b"\r\n"),
    "a size with 0x": chunks(b"0x" + SIZE + b"\r\n"),
    "a size with an underscore": chunks(b"0_" + SIZE + b"\r\n"),
    "a size beyond 64 bits": chunks(b"1%x\r\n" % (2**64 + len(BODY))),
    "more than the size": chunks(SIZE + b"\r\n", b"XX0\r\n\r\n"),
    "a length in a trailer": chunks(SIZE + b"\r\n", b"\r\n0\r\nContent-Length: 5\r\n\r\n"),
    "two hosts": HEAD + b"Host: y\r\n" + LENGTH + b"\r\n" + BODY,
    "no host": HEAD.replace(b"Host: x\r\n", b"") + LENGTH + b"\r\n" + BODY,
    "a line end in the path": b"GET /v1/models\nX: y HTTP/1.1\r\nHost: x\r\n\r\n",
    "tabs in the first line": b"GET\t/v1/models\tHTTP/1.1\r\nHost: x\r\n\r\n",
}

WHOLE: dict[str, tuple[bytes, list[int]]] = {
    "a length": (HEAD + LENGTH + b"\r\n" + BODY, [200, 404]),
    "chunks": (CHUNKED + CHUNKS, [200, 404]),
    "chunks in capitals": (HEAD + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n" + CHUNKS, [200, 404]),
    "empty lines first": (b"\r\n\r\n" + HEAD + LENGTH + b"\r\n" + BODY, [200, 404]),
    "a body that is not looked at": (b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + LENGTH + b"\r\n" + BODY, [200, 404]),
    "a body of a path that is not": (b"POST /none HTTP/1.1\r\nHost: x\r\n" + LENGTH + b"\r\n" + BODY, [404, 404]),
    "a wish to be asked first": (HEAD + LENGTH + b"Expect: 100-continue\r\n\r\n" + BODY, [100, 200, 404]),
    "another's address": (b"GET http://evil.example.com/v1/models HTTP/1.1\r\nHost: x\r\n\r\n", [200, 404]),
}


async def sent(gateway: Running, data: bytes) -> tuple[list[int], bytes]:
    """The statuses of all answers until the connection is closed, and all bytes of them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
    try:
        writer.write(data)
        async with asyncio.timeout(10):
            answer = await reader.read()
    finally:
        writer.close()
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", answer)], answer


async def test_ambiguous_requests_are_refused_whole(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """One answer, which is a 400, and the connection is closed: nothing behind is read as another request. The log has
    none of it, since a line that cannot be read may be a key or a prompt."""
    async with start(log={"level": "debug"}) as gateway:
        for name, data in REFUSED.items():
            statuses, _ = await sent(gateway, data + NEXT)
            assert statuses == [400], name
        assert gateway.upstream.requests == []
    assert "refused what is no HTTP" in caplog.text
    assert "canary" not in caplog.text


async def test_whole_requests_end_where_they_say(gateway: Running) -> None:
    """The next request begins right behind, whether the body was looked at or not."""
    for name, (data, statuses) in WHOLE.items():
        assert (await sent(gateway, data + NEXT))[0] == statuses, name


async def test_another_protocol_is_not_spoken(gateway: Running) -> None:
    """A request to go on in HTTP/2 or WebSocket gets no tunnel."""
    for protocol in (b"h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", b"websocket"):
        head = HEAD + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n" + LENGTH + b"\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
        writer.write(head + BODY + NEXT)
        first = await reader.readuntil(b"\r\n")
        writer.close()
        assert not first.startswith(b"HTTP/1.1 101")
