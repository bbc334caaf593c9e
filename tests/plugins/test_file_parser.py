"""Files that are told to a model as text."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from plugins import pdfs

from trunkline.call import Call
from trunkline.config.plugins import FilesConfig
from trunkline.core.fold import fold, unfold
from trunkline.core.plugin import Plugins, Prepared
from trunkline.errors import GatewayError
from trunkline.plugins.file_parser import FileParser, UnreachedError
from trunkline.v1 import content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse, Plugin
from trunkline.v1.content_pb2 import Media, Message, Part

USER, ASSISTANT, TOOL = content_pb2.ROLE_USER, content_pb2.ROLE_ASSISTANT, content_pb2.ROLE_TOOL
PDF = "application/pdf"
HELLO = pdfs.pdf("Hello there", "Page two")


def media(data: bytes, media_type: str = PDF, name: str = "") -> Part:
    """A file in the request."""
    return Part(media=Media(data=data, media_type=media_type, filename=name))


def linked(data: bytes, media_type: str = PDF, name: str = "") -> Part:
    """A file as a `data:` URL."""
    text = base64.b64encode(data).decode()
    return Part(media=Media(uri=f"data:{media_type};base64,{text}", media_type=media_type, filename=name))


async def prepared(*parts: Part, engine: str = "", reads: bool = False, **more: Any) -> Prepared:
    """A request with files, for a model that reads PDFs or does not."""

    async def reads_files(model: str) -> bool:
        return reads

    messages = [*more.pop("before", ()), Message(role=USER, parts=[Part(text="Read:"), *parts])]
    call = more.pop("call", None) or Call("id", "grpc")
    fetch = more.pop("fetch", None)
    options = json.dumps({"pdf": {"engine": engine}}) if engine else ""
    request = ChatRequest(model="m", messages=messages, plugins=[Plugin(id="file-parser", options_json=options)])
    before = request.SerializeToString(deterministic=True)
    config = FilesConfig.model_validate({"timeout": 60, **more})
    told = await Plugins([FileParser(config, reads_files, fetch)]).prepare(request, call)
    assert request.SerializeToString(deterministic=True) == before
    return told


def texts(one: Prepared) -> list[str]:
    """The texts of the last message, without the first."""
    return [part.text for part in one.request.messages[-1].parts[1:]]


async def test_a_pdf_becomes_its_text() -> None:
    """The text of all pages stands in place of the file, with the name."""
    call = Call("id", "grpc")
    one = await prepared(media(HELLO, name='re"port\n.pdf'), linked(HELLO), call=call)
    assert texts(one) == [
        '<file name="report.pdf">\nHello there\n\nPage two\n</file>',
        "<file>\nHello there\n\nPage two\n</file>",
    ]
    assert call.plugins == {"file-parser.files": 2, "file-parser.pages": 4}


@pytest.mark.parametrize(
    ("engine", "reads", "parsed"),
    [
        ("", True, False),
        ("", False, True),
        ("pdf-text", True, True),
        ("cloudflare-ai", True, True),
        ("native", False, False),
    ],
)
async def test_the_engine_decides(engine: str, reads: bool, parsed: bool) -> None:
    """A model that reads PDFs gets them as they are, unless their text is asked for; `native` leaves them alone."""
    one = await prepared(media(HELLO), engine=engine, reads=reads)
    assert (one.request.messages[0].parts[1].WhichOneof("kind") == "text") is parsed


async def test_files_of_text_are_decoded() -> None:
    """Whatever the model reads; by type, or by name where the type says nothing."""
    any_type = "application/octet-stream"
    one = await prepared(
        media("größe\n1".encode(), "text/csv", "a.csv"),
        media('{"a":1}'.encode("utf-16"), "application/json"),
        linked(b"\xef\xbb\xbf# Title", any_type, "README.md"),
        Part(media=Media(uri="data:text/plain,caf%C3%A9", media_type="text/plain")),
        media(b"</file> <FILE name='x'>", "text/plain"),
        reads=True,
    )
    assert texts(one) == [
        '<file name="a.csv">\ngröße\n1\n</file>',
        '<file>\n{"a":1}\n</file>',
        '<file name="README.md">\n# Title\n</file>',
        "<file>\ncafé\n</file>",
        "<file>\n(/file> (FILE name='x'>\n</file>",
    ]


async def test_a_pdf_without_a_type_is_found() -> None:
    """By its name, or by how it begins."""
    any_type = "application/octet-stream"
    one = await prepared(media(HELLO, any_type), linked(HELLO, any_type), linked(HELLO, any_type, "x.pdf"))
    assert all("Hello there" in text for text in texts(one))


async def test_what_is_no_file_of_these_stays() -> None:
    """Images, documents of other programs, and what only the provider has."""
    parts = [
        media(b"\x89PNG", "image/png"),
        media(b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        Part(media=Media(file_id="file-1", media_type=PDF)),
    ]
    one = await prepared(*parts)
    assert list(one.request.messages[0].parts[1:]) == parts


async def test_files_that_tools_gave() -> None:
    """A PDF in the result of a call is read as well."""
    before = [
        Message(role=ASSISTANT, parts=[Part(tool_call={"id": "a", "name": "f"})]),
        Message(role=TOOL, parts=[Part(tool_result={"tool_call_id": "a", "parts": [media(HELLO)]})]),
    ]
    one = await prepared(before=before)
    assert "Hello there" in one.request.messages[1].parts[0].tool_result.parts[0].text


async def test_what_was_read_is_told_and_not_read_again() -> None:
    """The answer has the text of the file as an annotation; where that comes back, the text of it is taken."""
    one = await prepared(media(HELLO, name="a.pdf"))
    answer = ChatResponse(
        choices=[
            {"message": {"role": ASSISTANT, "parts": [Part(text="Hi")], "extras": {"openai": '{"annotations":[1]}'}}}
        ]
    )
    events = list(unfold(answer))
    message = one.answer(answer).choices[0].message
    annotations = json.loads(message.extras["openai"])["annotations"]
    assert annotations[0] == 1
    file = annotations[1]["file"]
    assert annotations[1]["type"] == "file"
    assert (file["name"], file["content"]) == ("a.pdf", [{"type": "text", "text": "Hello there\n\nPage two"}])
    assert json.loads(message.extras["trunkline"]) == {"file-parser": {"files": 1, "pages": 2}}
    assert fold((await prepared(media(HELLO, name="a.pdf"))).stream(events)).choices[0].message == message

    file["content"][0]["text"] = "As it was read."
    said = Message(role=ASSISTANT, parts=[Part(text="Hi")], extras={"openai": json.dumps({"annotations": annotations})})
    call = Call("id", "grpc")
    again = await prepared(media(HELLO, name="a.pdf"), before=[said], call=call)
    assert texts(again) == ['<file name="a.pdf">\nAs it was read.\n</file>']
    assert call.plugins["file-parser.pages"] == 0
    assert json.loads(again.request.messages[0].extras["openai"]) == {"annotations": [1]}

    said.extras["openai"] = json.dumps({"annotations": annotations[1:]})
    left = await prepared(media(HELLO), before=[said], engine="native")
    assert list(left.request.messages[0].extras) == []


async def test_long_files_are_cut() -> None:
    """In pages and in characters, and the model is told."""
    many = pdfs.pdf(*(f"page {number}" for number in range(9)))
    assert texts(await prepared(media(many), max_pages=2)) == ["<file>\npage 0\n\npage 1\n[The file goes on.]\n</file>"]
    assert texts(await prepared(media(many), max_characters=10)) == [
        "<file>\npage 0\n\npa\n[The file goes on.]\n</file>"
    ]
    assert texts(await prepared(media(b"x" * 99, "text/plain"), max_characters=3)) == [
        "<file>\nxxx\n[The file goes on.]\n</file>"
    ]


async def test_a_pdf_without_text_says_so() -> None:
    """A model is not left to guess what an empty file means."""
    assert texts(await prepared(media(pdfs.pdf("")))) == [
        "<file>\n[The file holds no text; its pages may be images.]\n</file>"
    ]


HOSTILE: dict[str, Callable[[], bytes]] = {
    "encrypted": lambda: pdfs.encrypted(HELLO, "secret"),
    "endless tree": pdfs.endless_tree,
    "garbage": lambda: b"%PDF-1.7\n" + bytes(range(256)) * 64,
    "nothing": bytes,
    "cut": lambda: HELLO[: len(HELLO) // 2],
    "bomb": pdfs.bomb,
    "bomb in a bomb": lambda: pdfs.bomb(2),
    "deep": pdfs.deep,
    "endless form": pdfs.endless_form,
    "endless tables": pdfs.endless_tables,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_pdfs_do_no_harm(name: str) -> None:
    """Each is read or refused by name in bounded time and memory, and the event loop goes on meanwhile."""
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.005)

    refused: GatewayError | None = None
    data = HOSTILE[name]()
    heart = asyncio.create_task(beat())
    try:
        one = await prepared(media(data), timeout=10, max_memory_bytes=512 << 20)
    except GatewayError as error:
        refused = error
    finally:
        heart.cancel()
    assert beats > 3
    if refused is None:
        assert texts(one)[0].startswith("<file>\n")
        return
    assert refused.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
    assert refused.param == "messages[0].parts[1]"
    assert "cannot be read" in refused.message


async def test_a_password_is_told_of() -> None:
    """A file that only needs an empty password is read; any other is refused by name."""
    assert "Hello there" in texts(await prepared(media(pdfs.encrypted(HELLO, ""))))[0]
    with pytest.raises(GatewayError, match="protected by a password"):
        await prepared(media(pdfs.encrypted(HELLO, "secret")))


async def test_time_is_bounded() -> None:
    """By the configuration, and by the caller's own deadline; no process is left."""
    with pytest.raises(GatewayError, match="took longer than") as caught:
        await prepared(media(HELLO), timeout=0.01)
    assert caught.value.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
    with pytest.raises(GatewayError) as caught:
        await prepared(media(HELLO), call=Call("id", "grpc", deadline=time.monotonic() + 0.01))
    assert caught.value.reason == errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT


async def test_memory_is_bounded() -> None:
    """A process that needs more than it may have ends, and the file is refused."""
    with pytest.raises(GatewayError, match="cannot be read"):
        await prepared(media(pdfs.bomb()), max_memory_bytes=80 << 20)


@pytest.mark.parametrize(
    ("part", "more", "message"),
    [
        (media(b"\xff\xfe\xfd", "text/plain", "a.txt"), {}, "no text in UTF-8"),
        (media(b"\xff", "text/plain"), {}, "no text in UTF-8"),
        (media(b"x" * 100, "text/plain"), {"max_bytes": 99}, "larger than 99 bytes"),
        (Part(media=Media(uri="data:application/pdf;base64,!", media_type=PDF)), {}, "not valid base64"),
        (Part(media=Media(uri="data:application/pdf", media_type=PDF)), {}, "no `,`"),
        (Part(media=Media(uri="https://example.com/a.pdf", media_type=PDF)), {}, "send its data"),
    ],
)
async def test_what_cannot_be_had_is_named(part: Part, more: Any, message: str) -> None:
    """The error names the part."""
    with pytest.raises(GatewayError, match=message) as caught:
        await prepared(part, **more)
    assert caught.value.param == "messages[0].parts[1]"


async def test_too_many_files() -> None:
    """The first that is too many is named."""
    with pytest.raises(GatewayError) as caught:
        await prepared(*[media(b"x", "text/plain")] * 3, max_files=2)
    assert caught.value.param == "messages[0].parts[3]"


async def test_files_by_address_are_fetched() -> None:
    """Where the house fetches files; what it refuses is told."""

    async def fetch(address: str) -> bytes:
        if "missing" in address:
            raise UnreachedError("its host cannot be reached")
        return HELLO

    def by_address(path: str) -> Part:
        return Part(media=Media(uri=f"https://example.com/{path}", media_type="application/octet-stream"))

    assert "Hello there" in texts(await prepared(by_address("a.pdf?x=1"), fetch=fetch))[0]
    with pytest.raises(GatewayError, match="cannot be reached"):
        await prepared(by_address("missing.pdf"), fetch=fetch)


@pytest.mark.parametrize(
    ("options", "param", "reason"),
    [
        ('{"pdf":{"engine":"mistral-ocr"}}', "plugins[0].pdf.engine", errors_pb2.ERROR_REASON_UNSUPPORTED),
        ('{"pdf":{"engine":"x"}}', "plugins[0].pdf.engine", errors_pb2.ERROR_REASON_INVALID_REQUEST),
        ('{"pdf":{"pages":1}}', "plugins[0].pdf.pages", errors_pb2.ERROR_REASON_INVALID_REQUEST),
        ('{"pdf":"text"}', "plugins[0].pdf", errors_pb2.ERROR_REASON_INVALID_REQUEST),
    ],
)
async def test_wrong_options_are_named(options: str, param: str, reason: errors_pb2.ErrorReason.ValueType) -> None:
    """An engine that is not here, and an option that there is not."""

    async def reads_files(model: str) -> bool:
        return False

    request = ChatRequest(plugins=[Plugin(id="file-parser", options_json=options)])
    with pytest.raises(GatewayError) as caught:
        await Plugins([FileParser(FilesConfig(), reads_files)]).prepare(request, Call("id", "grpc"))
    assert (caught.value.param, caught.value.reason) == (param, reason)
