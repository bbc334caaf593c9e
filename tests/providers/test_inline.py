"""Media by address, put into the requests to providers that fetch none."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from fakes.file_server import MP3, PDF, PNG, FileServer, Names, fetcher
from fakes.sim_server import SimServer

from trunkline.call import Attempt, Call
from trunkline.config.model import MediaConfig, ProviderConfig
from trunkline.core.check import Limits
from trunkline.core.fold import fold
from trunkline.core.gateway import Gateway
from trunkline.core.plan import InOrder
from trunkline.core.target import Target
from trunkline.errors import GatewayError
from trunkline.providers.build import build_providers, make_provider
from trunkline.providers.fetch import Fetcher
from trunkline.providers.inline import Inlining, inline
from trunkline.providers.wrapped import Wrapped
from trunkline.v1 import content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest, CountTokensResponse
from trunkline.v1.content_pb2 import Media, Message, Part, ToolCall, ToolResult
from trunkline.v1.models_pb2 import Model

NONE = frozenset[str]()


@pytest.fixture
async def files() -> AsyncIterator[FileServer]:
    """A server of files."""
    async with FileServer() as server:
        yield server


def asking(*media: Media) -> ChatRequest:
    """A request that holds `media`."""
    said = Message(role=content_pb2.ROLE_USER, parts=[Part(media=one) for one in media])
    return ChatRequest(model="m", messages=[said])


def image(uri: str) -> Media:
    """An image by its address."""
    return Media(media_type="image/*", uri=uri)


def document(uri: str) -> Media:
    """A PDF by its address."""
    return Media(media_type="application/pdf", uri=uri)


async def refused(request: ChatRequest, by: Fetcher, param: str = "messages[0].parts[0]") -> str:
    """Why the request cannot be made whole."""
    with pytest.raises(GatewayError) as caught:
        await inline(request, NONE, by)
    assert caught.value.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
    assert caught.value.param == param
    assert f"`{param}`" in caught.value.message
    return caught.value.message


async def test_media_are_put_into_a_copy_of_the_request(files: FileServer) -> None:
    """Each is fetched once, whatever part names it, and has the type that its bytes tell; the caller's stays."""
    request = asking(
        image(f"{files.url}/a.png"),
        image("data:image/png;base64,AAAA"),
        Media(media_type="application/pdf", uri=f"{files.url}/a.pdf", filename="mine.pdf"),
        Media(media_type="application/octet-stream", uri=f"{files.url}/a.pdf"),
        Media(media_type="audio/*", uri=f"{files.url}/a.mp3"),
        Media(file_id="file-1"),
        image(f"HTTP{files.url[4:]}/a.png"),
    )
    request.messages[0].parts.add().tool_result.parts.add().media.CopyFrom(image(f"{files.url}/a.png"))
    before = request.SerializeToString()
    whole = await inline(request, NONE, fetcher())

    assert request.SerializeToString() == before
    assert sorted(files.paths) == ["/a.mp3", "/a.pdf", "/a.png", "/a.png"]
    parts = whole.messages[0].parts
    assert parts[0].media == parts[6].media == Media(media_type="image/png", data=PNG)
    assert parts[1] == request.messages[0].parts[1]
    assert parts[2].media == Media(media_type="application/pdf", data=PDF, filename="mine.pdf")
    assert parts[3].media == Media(media_type="application/pdf", data=PDF, filename="a.pdf")
    assert parts[4].media == Media(media_type="audio/mpeg", data=MP3)
    assert parts[5] == request.messages[0].parts[5]
    assert parts[7].tool_result.parts[0].media == Media(media_type="image/png", data=PNG)


async def test_what_the_provider_takes_stays(files: FileServer) -> None:
    """Where nothing is to be fetched, nothing is touched: the request is the same."""
    request = asking(image(f"{files.url}/a.png"), document("gs://b/a.pdf"), document("file:///etc/passwd"))
    assert await inline(request, {"image"}, fetcher()) is request
    mixed = asking(image(f"{files.url}/a.png"), document(f"{files.url}/a.pdf"))
    whole = await inline(mixed, {"image"}, fetcher())
    assert whole.messages[0].parts[0] == mixed.messages[0].parts[0]
    assert whole.messages[0].parts[1].media.data == PDF
    assert files.paths == ["/a.pdf"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/reports/first%20quarter.pdf?key=secret", "first quarter.pdf"),
        ("/", ""),
        ("/%00%0a.pdf", ""),
        ("/" + "a" * 500 + ".pdf", "a" * 128),
    ],
)
async def test_documents_have_names(files: FileServer, path: str, name: str) -> None:
    """That of the address, without what else stands there; providers want one."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=PDF)

    files.answer = answer
    whole = await inline(asking(document(files.url + path)), NONE, fetcher())
    assert whole.messages[0].parts[0].media.filename == name


@pytest.mark.parametrize(
    ("media_type", "response", "why"),
    [
        ("image/*", {"status": 404}, "status 404"),
        ("image/*", {"body": b""}, "nothing at its address"),
        ("image/*", {"text": "<html>", "content_type": "text/html"}, "is `text/html`, not of the type `image/*`"),
        ("image/png", {"body": PDF}, "is `application/pdf`"),
        ("image/*", {"body": b"\x00\x01", "content_type": "application/octet-stream"}, "cannot be told"),
        ("audio/*", {"body": PNG}, "is `image/png`"),
        ("application/pdf", {"text": "<html>", "content_type": "text/html"}, "is `text/html`"),
    ],
)
async def test_what_is_not_what_was_said(files: FileServer, media_type: str, response: Any, why: str) -> None:
    """An error page does not reach the model as an image or as a document."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(**response)

    files.answer = answer
    assert why in await refused(asking(Media(media_type=media_type, uri=f"{files.url}/a")), fetcher())


@pytest.mark.parametrize(
    ("said", "response", "is_"),
    [
        ("image/png", {"body": b"\xff\xd8\xff"}, "image/jpeg"),
        ("", {"body": PDF}, "application/pdf"),
        ("text/csv", {"text": "a,b", "content_type": "text/plain"}, "text/plain"),
        ("text/csv", {"body": b"a,b"}, "text/csv"),
        ("", {"body": b"\x00\x01"}, "application/octet-stream"),
    ],
)
async def test_types(files: FileServer, said: str, response: Any, is_: str) -> None:
    """What is there decides; what the caller said does where nothing tells."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(**response)

    files.answer = answer
    whole = await inline(asking(Media(media_type=said, uri=f"{files.url}/a")), NONE, fetcher())
    assert whole.messages[0].parts[0].media.media_type == is_


async def test_the_number_is_bounded(files: FileServer) -> None:
    """A request cannot have the gateway ask for any number of files; one that is named often is one."""
    by = fetcher(max_files=2)
    many = asking(*(image(f"{files.url}/{number}") for number in range(5)))
    assert "at most 2 are" in await refused(many, by, "messages[0].parts[2]")
    assert files.asked == []
    assert await inline(asking(*[image(f"{files.url}/a")] * 9, image(f"{files.url}/b")), NONE, by)
    assert len(files.asked) == 2


async def test_what_is_put_in_is_bounded(files: FileServer) -> None:
    """A file that is named often is fetched once, but makes the request larger each time."""
    by = fetcher(max_request_bytes=len(PNG) * 3)
    assert await inline(asking(*[image(f"{files.url}/a")] * 3), NONE, by)
    told = await refused(asking(*[image(f"{files.url}/a")] * 4), by, "messages[0].parts[3]")
    assert f"larger than {len(PNG) * 3} bytes" in told


async def test_where_one_cannot_be_had(files: FileServer) -> None:
    """The first part that names it is told of; the other fetches are not waited for."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/never":
            await asyncio.Event().wait()
        return web.Response(status=404)

    files.answer = answer
    request = asking(
        image("data:image/png;base64,AAAA"),
        image(f"{files.url}/a"),
        image(f"{files.url}/never"),
        image(f"{files.url}/a"),
    )
    assert "status 404" in await refused(request, fetcher(), "messages[0].parts[1]")


class Unlisted:
    """A gateway that lists no models."""

    async def list(self) -> list[Model]:
        return []


@asynccontextmanager
async def gateway_of(kind: str, base_url: str, media: MediaConfig) -> AsyncIterator[Gateway]:
    """A gateway with one provider."""
    config = ProviderConfig(kind=kind, base_url=base_url, api_key="k")
    [provider] = build_providers({kind: config}, media, Names({})).values()
    yield Gateway(InOrder(lambda name: [Target(provider, name)]), Unlisted(), Limits())
    await provider.close()


async def sent(gateway: Gateway, request: ChatRequest, *, streamed: bool) -> Any:
    """What reaches a provider of the sort that says what reaches it."""
    request.model = "request"
    if streamed:
        async with aclosing(gateway.stream_chat(request, Call("c", "grpc"))) as batches:
            response = fold([event async for batch in batches for event in batch])
    else:
        response = await gateway.chat(request, Call("c", "grpc"))
    return json.loads(response.choices[0].message.parts[0].text)["messages"]


OPEN = MediaConfig(private_networks=["127.0.0.1"])


@pytest.mark.parametrize("streamed", [False, True])
async def test_sounds_and_documents_reach_a_server_of_openais_language(files: FileServer, streamed: bool) -> None:
    """They are sent as it takes them, sounds by their name there; images, which it fetches itself, stay addresses."""
    request = asking(
        Media(media_type="audio/*", uri=f"{files.url}/a.mp3"),
        document(f"{files.url}/a.pdf"),
        image(f"{files.url}/a.png"),
    )
    async with SimServer() as server, gateway_of("openai-compatible", server.url, OPEN) as gateway:
        [message] = await sent(gateway, request, streamed=streamed)
    sound, pdf, picture = message["content"]
    assert sound["input_audio"] == {"data": base64.b64encode(MP3).decode(), "format": "mp3"}
    assert pdf["file"]["filename"] == "a.pdf"
    assert pdf["file"]["file_data"] == f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}"
    assert picture["image_url"] == {"url": f"{files.url}/a.png"}
    assert sorted(files.paths) == ["/a.mp3", "/a.pdf"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_documents_in_the_results_of_tools(files: FileServer, streamed: bool) -> None:
    """They are fetched as all others."""
    request = asking()
    request.messages[0].parts.add(text="Read it.")
    call = ToolCall(id="c", name="find", arguments_json="{}")
    request.messages.add(role=content_pb2.ROLE_ASSISTANT).parts.add(tool_call=call)
    found = ToolResult(tool_call_id="c", parts=[Part(text="Here:"), Part(media=document(f"{files.url}/a.pdf"))])
    request.messages.add(role=content_pb2.ROLE_TOOL).parts.add(tool_result=found)
    async with SimServer() as server, gateway_of("openai-compatible", server.url, OPEN) as gateway:
        messages = await sent(gateway, request, streamed=streamed)
    assert base64.b64encode(PDF).decode() in json.dumps(messages)
    assert files.url not in json.dumps(messages)


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_cannot_be_had_is_the_callers_fault(files: FileServer, streamed: bool) -> None:
    """The part is named and nothing is sent; the network that the file would be in is not told of."""
    async with SimServer() as server, gateway_of("openai-compatible", server.url, MediaConfig()) as gateway:
        with pytest.raises(GatewayError, match="must be a public one") as caught:
            await sent(gateway, asking(document(f"{files.url}/a.pdf")), streamed=streamed)
        assert server.requests == []
    assert caught.value.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
    assert caught.value.param == "messages[0].parts[0]"
    assert files.asked == []


async def test_where_nothing_is_fetched(files: FileServer) -> None:
    """With `media.fetch: false` the provider gets the address, or the caller is told that it cannot take one."""
    never = MediaConfig(fetch=False)
    async with SimServer() as server, gateway_of("openai-compatible", server.url, never) as gateway:
        [message] = await sent(gateway, asking(document(f"{files.url}/a.pdf")), streamed=False)
        assert message["content"][0]["file"]["file_data"] == f"{files.url}/a.pdf"
        with pytest.raises(GatewayError, match="audio by address") as caught:
            await sent(gateway, asking(Media(media_type="audio/*", uri=f"{files.url}/a.mp3")), streamed=False)
    assert caught.value.reason == errors_pb2.ERROR_REASON_UNSUPPORTED
    assert files.asked == []


class Counting(Wrapped):
    """Notes what it is to count."""

    counted: ChatRequest | None = None

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        self.counted = request
        return None


async def test_what_is_counted(files: FileServer) -> None:
    """The request as it would be sent."""
    counting = Counting(make_provider("sim", ProviderConfig(kind="sim")))
    provider = Inlining(counting, lambda model: NONE, fetcher())
    await provider.count_tokens(asking(image(f"{files.url}/a.png")), Attempt(Call("c", "grpc"), "sim", "m"))
    assert counting.counted is not None
    assert counting.counted.messages[0].parts[0].media.data == PNG
    assert provider.name == "sim"
    await provider.close()
