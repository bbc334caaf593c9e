"""Media by address: what is fetched, what is refused, and what becomes of the request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config.model import MediaConfig
from trunkline.errors import GatewayError
from trunkline.providers.fetch import Fetcher
from trunkline.providers.inline import inline
from trunkline.providers.media_type import media_type_of
from trunkline.providers.public_address import is_public
from trunkline.v1 import content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import Media, Part

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 40
PDF = b"%PDF-1.7\n"


class Names(AbstractResolver):
    """Looks names up in a table; one with several answers gives them one after the other."""

    def __init__(self, names: dict[str, list[str]]) -> None:
        self.names = names
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answers = self.names.get(host)
        if not answers:
            raise OSError("no such name")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0)
            for one in answer.split()
        ]

    async def close(self) -> None:
        return None


@dataclass
class Files:
    """A server of files on loopback."""

    url: str = ""
    port: int = 0
    asked: list[web.BaseRequest] = field(default_factory=list)
    answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer as the test says; an image otherwise."""
        self.asked.append(request)
        if self.answer is not None:
            return await self.answer(request)
        return web.Response(body=PNG, content_type="image/png")


@pytest.fixture
async def files() -> AsyncIterator[Files]:
    """A server."""
    running = Files()
    runner = web.ServerRunner(web.Server(running.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    running.port = runner.addresses[0][1]
    running.url = f"http://127.0.0.1:{running.port}"
    try:
        yield running
    finally:
        await runner.cleanup()


def fetcher(names: dict[str, list[str]] | None = None, **settings: Any) -> Fetcher:
    """A fetcher that may go to loopback."""
    settings = {"private_networks": ["127.0.0.1"], "timeout": 30, **settings}
    return Fetcher(MediaConfig.model_validate(settings), Names(names or {}))


def asking(*media: Media) -> ChatRequest:
    """A request that holds `media`."""
    request = ChatRequest(model="m")
    request.messages.add(role=content_pb2.ROLE_USER).parts.extend(Part(media=one) for one in media)
    return request


def image(uri: str) -> Media:
    """An image by its address."""
    return Media(media_type="image/*", uri=uri)


async def refused(uri: str, by: Fetcher) -> str:
    """Why an image cannot be had."""
    with pytest.raises(GatewayError) as caught:
        await inline(asking(image(uri)), frozenset(), by)
    assert caught.value.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
    assert caught.value.param == "messages[0].parts[0]"
    return caught.value.message


async def test_media_are_put_into_a_copy_of_the_request(files: Files) -> None:
    """Each is fetched once, whatever part names it, and has the type that its bytes tell; the caller's stays."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/a.pdf":
            return web.Response(body=PDF, content_type="application/octet-stream")
        return web.Response(body=PNG, content_type="image/jpeg")

    files.answer = answer
    request = asking(
        image(f"{files.url}/a.png"),
        image("data:image/png;base64,AAAA"),
        Media(media_type="application/pdf", uri=f"{files.url}/a.pdf", filename="a.pdf"),
        Media(media_type="application/octet-stream", uri=f"{files.url}/a.pdf"),
    )
    request.messages[0].parts.add().tool_result.parts.add().media.CopyFrom(image(f"{files.url}/a.png"))
    before = request.SerializeToString()
    whole = await inline(request, frozenset(), fetcher())

    assert request.SerializeToString() == before
    assert sorted(one.path for one in files.asked) == ["/a.pdf", "/a.png"]
    parts = whole.messages[0].parts
    assert parts[0].media == Media(media_type="image/png", data=PNG)
    assert parts[1] == request.messages[0].parts[1]
    assert parts[2].media == Media(media_type="application/pdf", data=PDF, filename="a.pdf")
    assert parts[3].media == Media(media_type="application/pdf", data=PDF)
    assert parts[4].tool_result.parts[0].media.data == PNG


async def test_what_the_provider_fetches_itself_stays(files: Files) -> None:
    """A sort that it takes by address, and what is no address of the web, is not touched: the request is the same."""
    request = asking(image(f"{files.url}/a.png"), Media(media_type="application/pdf", uri="gs://b/a.pdf"))
    assert await inline(request, {"image"}, fetcher()) is request
    assert files.asked == []


async def test_the_request_tells_nothing_of_the_caller(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no cookie, no referrer; the proxies of the environment are not asked."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    await inline(asking(image(f"{files.url}/a.png")), frozenset(), fetcher())
    [asked] = files.asked
    names = {name.lower() for name in asked.headers}
    assert names == {"host", "user-agent", "accept", "accept-encoding"}
    assert asked.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/a",
        "http://127.1/a",
        "http://2130706433/a",
        "http://0x7f000001/a",
        "http://0177.0.0.1/a",
        "http://0/a",
        "http://localhost/a",
        "http://[::1]/a",
        "http://[::]/a",
        "http://[::ffff:127.0.0.1]/a",
        "http://[::ffff:7f00:1]/a",
        "http://[64:ff9b::7f00:1]/a",
        "http://[2002:7f00:1::]/a",
        "http://[fe80::1%25lo]/a",
        "http://[fd00:ec2::254]/a",
        "http://169.254.169.254/latest/meta-data",
        "http://100.100.100.200/latest/meta-data",
        "http://168.63.129.16/machine",
        "http://10.0.0.1/a",
        "http://224.0.0.1/a",
        "http://255.255.255.255/a",
    ],
)
async def test_what_is_not_public_is_not_asked(address: str) -> None:
    """Whatever the address is written like: numbers go through no resolver, or through the machine's own."""
    by = Fetcher(MediaConfig(timeout=30))
    assert "public" in await refused(address, by) or "reached" in await refused(address, by)


@pytest.mark.parametrize(
    "address",
    [
        "http://user:word@127.0.0.1/a",
        "http://user@127.0.0.1/a",
        "http://1.1.1.1:22/a",
        "http://1.1.1.1:6379/a",
        "http://" + "a" * 9000,
        "http://",
        "http://[::1/a",
        "http://127.0.0.1:99999/a",
    ],
)
async def test_an_address_that_is_not_plain_is_refused(address: str) -> None:
    """Credentials, ports of other services, and what cannot be read."""
    assert "cannot be fetched" in await refused(address, fetcher())


async def test_a_name_that_leads_inside_is_refused(files: Files) -> None:
    """One bad address among good ones is enough."""
    names = {"inside.test": ["10.0.0.1"], "both.test": ["1.1.1.1 127.0.0.1"], "own.test": ["127.0.0.1"]}
    public = Fetcher(MediaConfig(timeout=30), Names(names))
    for host in names:
        assert "public" in await refused(f"http://{host}/a", public)
    assert "public" in await refused(f"http://both.test:{files.port}/a", fetcher(names))
    assert "reached" in await refused("http://unknown.test/a", public)
    whole = await inline(asking(image(f"http://own.test:{files.port}/a")), frozenset(), fetcher(names))

    assert whole.messages[0].parts[0].media.data == PNG


async def test_a_name_is_looked_up_once(files: Files) -> None:
    """The connection goes to the address that was checked: a second answer, leading elsewhere, is not asked for."""
    names = Names({"rebinding.test": ["127.0.0.1", "10.0.0.1"]})
    by = Fetcher(MediaConfig(private_networks=["127.0.0.1"]), names)
    whole = await inline(asking(image(f"http://rebinding.test:{files.port}/a")), frozenset(), by)

    assert whole.messages[0].parts[0].media.data == PNG
    assert names.asked == ["rebinding.test"]
    assert "public" in await refused(f"http://rebinding.test:{files.port}/a", by)


async def test_redirects_are_checked_hop_by_hop(files: Files) -> None:
    """A public address that leads inside, and one that leads in a circle, are refused; a short way is gone."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        where = {"/in": "http://169.254.169.254/", "/round": "/round", "/file": "file:///etc/passwd", "/ok": "a.png"}
        if request.path in where:
            return web.Response(status=302, headers={"location": where[request.path]})
        return web.Response(body=PNG)

    files.answer = answer
    by = fetcher()
    assert "public" in await refused(f"{files.url}/in", by)
    assert "more than 3 times" in await refused(f"{files.url}/round", by)
    assert "http" in await refused(f"{files.url}/file", by)
    assert (await inline(asking(image(f"{files.url}/ok")), frozenset(), by)).messages[0].parts[0].media.data == PNG
    assert [one.path for one in files.asked].count("/round") == 4


async def test_only_the_hosts_that_are_named(files: Files) -> None:
    """With `hosts`, no other is asked, though it be public; a redirect does not lead around it."""
    by = fetcher(hosts=["Files.test"])
    assert "may fetch from" in await refused(f"{files.url}/a", by)
    by = fetcher({"files.test": ["127.0.0.1"]}, hosts=["Files.test"])
    assert await inline(asking(image(f"http://files.test:{files.port}/a")), frozenset(), by)


@pytest.mark.parametrize("told", [True, False])
async def test_sizes_are_bounded(files: Files, told: bool) -> None:
    """One that is too large is cut off, whether its server tells its size or not; so are several together."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if told:
            return web.Response(body=PNG + b"\x00" * 1000)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(PNG)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b"\x00" * 1000)
        return response

    files.answer = answer
    assert "larger than 900 bytes" in await refused(f"{files.url}/a", fetcher(max_bytes=900))
    if told:
        by = fetcher(max_bytes=2000, max_request_bytes=1500)
        request = asking(image(f"{files.url}/a"), image(f"{files.url}/b"))
        with pytest.raises(GatewayError, match="larger than 1500"):
            await inline(request, frozenset(), by)


async def test_time_is_bounded(files: Files) -> None:
    """A server that says nothing is not waited for, nor one that never ends."""
    asked = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    files.answer = answer
    assert "within 0.2 seconds" in await refused(f"{files.url}/a", fetcher(timeout=0.2))
    assert asked.is_set()


async def test_as_many_at_once_as_are_allowed(files: Files) -> None:
    """The next is asked for when one has come."""
    running = most = 0

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return web.Response(body=PNG)

    files.answer = answer
    await inline(asking(*(image(f"{files.url}/{number}") for number in range(8))), frozenset(), fetcher(at_once=2))
    assert most <= 2
    assert len(files.asked) == 8


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (lambda: web.Response(status=404), "status 404"),
        (lambda: web.Response(status=204), "status 204"),
        (lambda: web.Response(status=302), "status 302"),
        (lambda: web.Response(body=b""), "nothing"),
        (lambda: web.Response(text="<html>", content_type="text/html"), "text/html"),
        (lambda: web.Response(body=PDF), "application/pdf"),
        (lambda: web.Response(body=b"\x00\x01", content_type="application/octet-stream"), "cannot be told"),
        (lambda: web.Response(body=PNG, headers={"content-encoding": "gzip"}), "compressed"),
    ],
)
async def test_what_is_no_image_is_refused(files: Files, response: Callable[[], web.Response], why: str) -> None:
    """An error page does not reach the model as an image."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return response()

    files.answer = answer
    assert why in await refused(f"{files.url}/a", fetcher())


async def test_a_server_that_breaks_off(files: Files) -> None:
    """Half an image is none."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"content-length": "1000"})
        await reply.prepare(request)
        await reply.write(PNG)
        assert request.transport is not None
        request.transport.close()
        return reply

    files.answer = answer
    assert "broke off" in await refused(f"{files.url}/a", fetcher())


@given(st.ip_addresses())
def test_no_network_of_its_own_is_public(address: Any) -> None:
    """What Python's own tables call private, in whatever form, is not public."""
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast
    if address.version == 4:
        for prefix in ("::ffff:0:0", "64:ff9b::"):
            assert is_public(ip_address(int(ip_address(prefix)) + int(address))) == is_public(address)


@pytest.mark.parametrize(
    ("data", "said", "is_"),
    [
        (PNG, "text/plain", "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/x-wav", "audio/wav"),
        (b"\x00\x00\x00\x20ftypavif", "", "image/avif"),
        (b"\x00\x00\x00\x20ftypisom", "application/octet-stream", "video/mp4"),
        (b"<svg/>", "image/svg+xml; charset=utf-8", "image/svg+xml"),
        (b"BMW is a car", "text/plain", "text/plain"),
        (b"\xff\xd8\xff\xe0", "image/jpg", "image/jpeg"),
        (b"words", "image/jpg", "image/jpeg"),
        (b"words", "application/octet-stream", ""),
        (b"", "", ""),
    ],
)
def test_types(data: bytes, said: str, is_: str) -> None:
    """The first bytes decide, then what the server says."""
    assert media_type_of(data, said) == is_
