"""The fetching of files by address, against callers who would reach into networks, and hosts that would hold it up."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trustme
from aiohttp import web
from fakes.file_server import PDF, PNG, FileServer, fetcher
from fakes.file_server import Names as Table
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trunkline.config.model import MediaConfig
from trunkline.providers.fetch import Fetcher, RefusedError

INSIDE = "its host cannot be reached; it must be a public one, at one of the web's ports"


@pytest.fixture
async def files() -> AsyncIterator[FileServer]:
    """A server of files."""
    async with FileServer() as server:
        yield server


def strangers(names: dict[str, list[str]] | None = None) -> Fetcher:
    """A fetcher that may go to public hosts alone."""
    return Fetcher(MediaConfig(timeout=30), Table(names or {}))


async def get(address: str, by: Fetcher) -> tuple[bytes, str]:
    """What stands at the address."""
    fetch = by.begin()
    async with fetch.session:
        return await by.fetch(fetch, address)


async def refused(address: str, by: Fetcher) -> str:
    """Why it cannot be had."""
    with pytest.raises(RefusedError) as caught:
        await get(address, by)
    return str(caught.value)


async def test_a_file(files: FileServer) -> None:
    """Its bytes and its type."""
    assert await get(f"{files.url}/a.png", fetcher()) == (PNG, "image/png")
    assert await get(f"{files.url}/a.pdf", fetcher()) == (PDF, "application/pdf")


async def test_the_request_tells_nothing_of_the_caller(files: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no cookie, no referrer; the proxies of the environment are not asked."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", "/dev/null")
    by = fetcher()
    fetch = by.begin()
    async with fetch.session:
        for _ in range(2):
            await by.fetch(fetch, f"{files.url}/a.png#secret")
    for asked in files.asked:
        assert {name.lower() for name in asked.headers} <= {
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
            "connection",
        }
        assert asked.headers["accept-encoding"] == "identity"
        assert asked.path_qs == "/a.png"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "127.0.0.01",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.0.0.1",
        "0x7f.1",
        "0",
        "localhost",
        "LOCALHOST.",
        "%31%32%37.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "\uff11\uff12\uff17.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[::1%25lo]",
        "[::ffff:127.0.0.1%25lo]",
        "127.0.0.1%00.example.com",
        "127.0.0.1%2f.example.com",
        "example.com\\@127.0.0.1",
        "example.com#@127.0.0.1",
        "user:word@127.0.0.1",
    ],
)
async def test_no_spelling_of_loopback_is_connected_to(files: FileServer, host: str) -> None:
    """Numbers go through no resolver, names through the machine's own: the server that listens there hears nothing."""
    by = Fetcher(MediaConfig(timeout=30))
    await refused(f"http://{host}:{files.port}/a.png", by)
    assert files.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/latest/meta-data",
        "http://100.100.100.200/latest/meta-data",
        "http://168.63.129.16/machine",
        "http://192.0.0.192/opc/v2/instance/",
        "http://10.0.0.1/a",
        "https://10.0.0.1/a",
        "http://[fe80::1%25lo]/a",
        "http://224.0.0.1/a",
        "http://255.255.255.255/a",
        "http://1.1.1.1:22/a",
        "http://1.1.1.1:6379/a",
    ],
)
async def test_what_is_not_public_is_refused(address: str) -> None:
    """The services of clouds for their machines, private networks, and ports of other services."""
    assert await refused(address, strangers()) == INSIDE


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("file:///etc/passwd", "no http:// or https:// URL"),
        ("data:image/png;base64,AAAA", "no http:// or https:// URL"),
        ("gopher://1.1.1.1/1", "no http:// or https:// URL"),
        ("//1.1.1.1/a", "no http:// or https:// URL"),
        ("http:///a", ""),
        ("http://", ""),
        ("http://user:word@1.1.1.1/a", "a user or a password"),
        ("http://user@1.1.1.1/a", "a user or a password"),
        ("http://:word@1.1.1.1/a", "a user or a password"),
        ("http://1.1.1.1/" + "a" * 9000, "longer than 8192"),
        ("http://[::1/a", "cannot be read"),
        ("http://127.0.0.1:99999/a", "cannot be read"),
        ("http://127.0.0.1:x/a", "cannot be read"),
        ("http://a..b/", ""),
        ("http://" + "a" * 300 + "/", ""),
        ("http://\ud800/", "cannot be read"),
        ("http://1.1.1.1\r\nx-more: 1/a", ""),
    ],
)
async def test_an_address_that_is_not_plain_is_refused(address: str, why: str) -> None:
    """Other schemes, credentials, and what cannot be read."""
    assert why in await refused(address, strangers())


@given(st.text(max_size=60) | st.text("htp:/[]@%.#?\\0127ax\r\n", max_size=40).map("http://".__add__))
@example("http://[]@")
@settings(max_examples=60)
def test_any_text_for_an_address(address: str) -> None:
    """It is refused, and nothing else happens."""

    async def look() -> None:
        await refused(address, Fetcher(MediaConfig(hosts=["nowhere.test"]), Table({})))

    asyncio.run(look())


@pytest.mark.parametrize("place", ["/a\r\nx-more: 1", "/a\nx-more:%201", "/a%0d%0ax-more:%201", "/a?b=\r\nx-more: 1"])
async def test_no_header_is_smuggled_in(files: FileServer, place: str) -> None:
    """Line breaks in an address do not break lines."""
    await get(files.url + place, fetcher())
    [asked] = files.asked
    assert "x-more" not in asked.headers
    assert "\n" not in asked.raw_path


async def test_networks_of_ours_tell_nothing(files: FileServer) -> None:
    """Whether there is a host, a port or a name of that sort, the caller reads the same."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        names = {"vault.internal": ["127.0.0.1"], "db.internal": ["10.0.0.1"]}
        addresses = [
            f"http://127.0.0.1:{files.port}/",
            f"http://127.0.0.1:{closed.getsockname()[1]}/",
            "http://127.0.0.1/",
            "http://10.255.255.1/",
            f"http://vault.internal:{files.port}/",
            "http://vault.internal/",
            "http://db.internal/",
            "http://absent.internal/",
        ]
        assert {await refused(address, strangers(names)) for address in addresses} == {INSIDE}
    assert files.asked == []


async def test_services_that_do_not_speak_http_tell_nothing() -> None:
    """A port that is closed and one at which another protocol is spoken look the same, in a network of ours, too."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-ERR unknown command\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        spoken = await refused(f"http://127.0.0.1:{port}/", fetcher())
    assert spoken == await refused(f"http://127.0.0.1:{port}/", fetcher()) == INSIDE


async def test_a_name_that_leads_inside_is_refused(files: FileServer) -> None:
    """One bad address among good ones is enough."""
    names = {"both.test": ["1.1.1.1 10.0.0.1"], "own.test": ["127.0.0.1"]}
    assert await refused(f"http://both.test:{files.port}/a", fetcher(names)) == INSIDE
    assert await get(f"http://own.test:{files.port}/a", fetcher(names)) == (PNG, "image/png")


async def test_a_name_is_looked_up_once(files: FileServer) -> None:
    """The connection goes to the address that was checked: a second answer, leading elsewhere, is not asked for."""
    names = Table({"rebinding.test": ["127.0.0.1", "10.0.0.1"]})
    by = Fetcher(MediaConfig(private_networks=["127.0.0.1"]), names)
    assert await get(f"http://rebinding.test:{files.port}/a", by) == (PNG, "image/png")
    assert names.asked == ["rebinding.test"]
    assert await refused(f"http://rebinding.test:{files.port}/a", by) == INSIDE


async def test_redirects_are_checked_hop_by_hop(files: FileServer) -> None:
    """Where one leads inside, to another scheme, to a password or in a circle, it is refused; a short way is gone."""
    places = {
        "/in": ("http://169.254.169.254/", INSIDE),
        "/name": ("http://inside.test/", INSIDE),
        "/form": ("http://[::ffff:169.254.169.254]/", INSIDE),
        "/round": ("/round", "more than 3 times"),
        "/file": ("file:///etc/passwd", "no http:// or https:// URL"),
        "/data": ("data:image/png;base64,AAAA", "no http:// or https:// URL"),
        "/word": (f"http://user:word@127.0.0.1:{files.port}/a.png", "a user or a password"),
        "/odd": ("http://[", "cannot be read"),
        "/long": ("/" + "a" * 8180, "longer than 8192"),
    }

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path in places:
            return web.Response(status=302, headers={"location": places[request.path][0]})
        if request.path == "/ok":
            return web.Response(status=307, headers={"location": "a.png"})
        return web.Response(body=PNG)

    files.answer = answer
    by = fetcher({"inside.test": ["10.0.0.1"]})
    for path, (_, why) in places.items():
        assert why in await refused(files.url + path, by)
    assert await get(f"{files.url}/ok", by) == (PNG, "image/png")
    assert files.paths.count("/round") == 4
    assert "/a.png" in files.paths


async def test_no_redirect_from_https_to_http(files: FileServer) -> None:
    """What was asked for by a way that nobody can read is not got by one that anybody can."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("files.test").configure_cert(server)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"location": f"{files.url}/a.png"})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server).start()
    address = f"https://files.test:{runner.addresses[0][1]}/"
    by = fetcher({"files.test": ["127.0.0.1"]})
    # Whose certificate nobody vouches for is not believed.
    assert await refused(address, by) == INSIDE
    fetch = by.begin()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    fetch.session.connector._ssl = trusting  # type: ignore[union-attr]
    async with fetch.session:
        with pytest.raises(RefusedError, match="from https to http"):
            await by.fetch(fetch, address)
    await runner.cleanup()
    assert files.asked == []


async def test_only_the_hosts_that_are_named(files: FileServer) -> None:
    """With `hosts`, no other is asked, though it be public; a redirect does not lead around it."""
    names = {"files.test": ["127.0.0.1"], "xn--bcher-kva.test": ["127.0.0.1"]}
    by = fetcher(names, hosts=["Files.test", "Bücher.test"])
    assert "may fetch from" in await refused(f"{files.url}/a", by)
    assert "may fetch from" in await refused(f"http://files.test.evil.test:{files.port}/a", by)
    for host in ("files.test", "FILES.test", "bücher.test", "xn--bcher-kva.test"):
        assert await get(f"http://{host}:{files.port}/a", by) == (PNG, "image/png")

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"location": files.url})

    files.answer = answer
    assert "may fetch from" in await refused(f"http://files.test:{files.port}/a", by)


@pytest.mark.parametrize("told", [True, False])
async def test_sizes_are_bounded(files: FileServer, told: bool) -> None:
    """One that is too large is cut off, whether its server tells its size or not; so are several together."""
    written = 0

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal written
        if told:
            return web.Response(body=PNG + b"\x00" * 1000)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(PNG)
        while request.transport is not None and not request.transport.is_closing():
            written += 1000
            await response.write(b"\x00" * 1000)
        return response

    files.answer = answer
    assert "larger than 900 bytes" in await refused(f"{files.url}/a", fetcher(max_bytes=900))
    by = fetcher(max_bytes=2000, max_request_bytes=1500)
    fetch = by.begin()
    async with fetch.session:
        with pytest.raises(RefusedError, match="larger than 1500"):
            for _ in range(2):
                await by.fetch(fetch, f"{files.url}/a")
    assert written < 50_000_000


async def serve(answer: Callable[[asyncio.StreamWriter], Any], by: Fetcher) -> str:
    """Why nothing can be had of a host that answers as it likes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        return await refused(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a", by)


GOOD = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n"


@pytest.mark.parametrize("head", [b"", GOOD, GOOD + b"\r\n", GOOD + b"content-length: 99\r\n\r\n\x89"])
async def test_time_is_bounded(head: bytes) -> None:
    """A host that says nothing, or stops in its head or in its file, is not waited for."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await writer.drain()
        await asyncio.Event().wait()

    assert "within 0.2 seconds" in await serve(answer, fetcher(timeout=0.2))


async def test_a_byte_at_a_time() -> None:
    """A host that always sends a little more does not get more time."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(GOOD + b"\r\n")
        while True:
            writer.write(b"\x00")
            await writer.drain()
            await asyncio.sleep(0.01)

    assert "within 0.2 seconds" in await serve(answer, fetcher(timeout=0.2))


@pytest.mark.parametrize(
    "line",
    [b"x-more: 1\r\n", b"x" * 70_000, b"\x00\x01\x02" * 999, b"HTTP/1.1 200 OK\r\n"],
    ids=["many", "long", "odd", "twice"],
)
async def test_a_head_without_end(line: bytes) -> None:
    """It is not read for ever."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(GOOD)
        while True:
            writer.write(line)
            await writer.drain()

    assert await serve(answer, fetcher(timeout=5)) == INSIDE


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        (b"content-length: 1000\r\n\r\n\x89PNG", "broke off"),
        (b"transfer-encoding: chunked\r\n\r\n5\r\n\x89PNG", "broke off"),
        (b"transfer-encoding: chunked\r\n\r\nzz\r\n", ""),
        (b"content-length: -1\r\n\r\n", INSIDE),
        (b"content-encoding: gzip\r\n\r\n" + gzip.compress(bytes(9_000_000)), "compressed"),
        (b"content-encoding: br\r\n\r\n", "compressed"),
        (b"content-encoding: identity, gzip\r\n\r\n" + gzip.compress(bytes(9_000_000)), "compressed"),
    ],
)
async def test_half_a_file_is_none(rest: bytes, why: str) -> None:
    """Nor is one that was compressed, and nothing is unpacked."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(GOOD + rest)
        await writer.drain()

    assert why in await serve(answer, fetcher(max_bytes=50_000))


@pytest.mark.parametrize("status", [201, 204, 206, 302, 304, 400, 401, 404, 500])
async def test_other_statuses(files: FileServer, status: int) -> None:
    """Only what is there as a whole is taken; a redirect without a place is none."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status)

    files.answer = answer
    assert f"status {status}" in await refused(f"{files.url}/a", fetcher())


@pytest.mark.parametrize(("at_once", "most"), [(2, 2), (64, 8)])
async def test_as_many_at_once_as_are_allowed(files: FileServer, at_once: int, most: int) -> None:
    """The next is asked for when one has come; one request never takes more than eight places."""
    running = seen = 0
    full = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal running, seen
        running += 1
        seen = max(seen, running)
        if running == most:
            full.set()
        await full.wait()
        running -= 1
        return web.Response(body=PNG)

    files.answer = answer
    by = fetcher(at_once=at_once)
    fetch = by.begin()
    async with fetch.session:
        await asyncio.gather(*(by.fetch(fetch, f"{files.url}/{number}") for number in range(24)))
    assert seen == most
    assert len(files.asked) == 24
