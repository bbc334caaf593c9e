"""`file-parser`: files that a model cannot read are told to it as text."""

from __future__ import annotations

import asyncio
import base64
import binascii
import codecs
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar, Final, Literal
from urllib.parse import unquote_to_bytes

from trunkline.call import Call
from trunkline.config.plugins import FilesConfig
from trunkline.core.plugin import Work, note
from trunkline.dialects.wire import Json, Object
from trunkline.errors import invalid_request, unsupported
from trunkline.plugins.file_annotations import add_annotations, has_annotations, take_annotations
from trunkline.plugins.pdf import PdfReader
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest
from trunkline.v1.content_pb2 import Media, Part

_ENGINES: Final = {"pdf-text": "text", "cloudflare-ai": "text", "native": "native"}
"""OpenRouter's engines that there are here -> what each does."""
_ABSENT: Final = ("mistral-ocr",)

_PDF: Final = "application/pdf"
_UNKNOWN: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_TEXTS: Final = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/sql",
        "application/toml",
        "application/x-ndjson",
        "application/x-yaml",
        "application/xml",
        "application/yaml",
    }
)
_ENDINGS: Final = frozenset(
    {
        ".csv",
        ".htm",
        ".html",
        ".json",
        ".jsonl",
        ".log",
        ".md",
        ".rst",
        ".toml",
        ".tsv",
        ".txt",
        ".xml",
        ".yaml",
        ".yml",
    }
)
_PDF_BASE64: Final = "JVBERi"
"""How every PDF begins in base64."""
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_AT_ONCE: Final = 4
"""The most files of one request that are held at the same time."""
_MOST_NAME: Final = 256
_UNPRINTED: Final = re.compile(r"[\x00-\x1f\x7f\"<>]")
_TAG: Final = re.compile(r"<(?=/?\s*file\b)", re.IGNORECASE)

ReadsFiles = Callable[[str], Awaitable[bool]]
"""The name of a model -> whether it reads PDFs itself."""
Fetch = Callable[[str], Awaitable[bytes]]
"""The address of a file -> the file. Raises `UnreachedError`."""


class UnreachedError(Exception):
    """A file cannot be had; the text tells why, after `it` or `its host`."""


class FileParser:
    """Puts the text of files in their places: of PDFs where the model reads none, or where `pdf.engine` asks for it,
    and of files that are text themselves.

    The answer tells the text of each PDF as an annotation (openrouter.ai/docs, "PDF inputs"); where a client sends that
    back, the file is not read again.
    """

    id: ClassVar[str] = "file-parser"
    aliases: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: FilesConfig, reads_files: ReadsFiles, fetch: Fetch | None = None) -> None:
        self._config = config
        self._reads_files = reads_files
        self._fetch = fetch
        self._pdfs = PdfReader(config)

    def configure(self, options: Object) -> Work:
        """See `Maker.configure`: `pdf.engine`, which is `pdf-text`, its other name `cloudflare-ai`, or `native`."""
        pdf = options.take_object("pdf")
        engine = None if pdf is None else pdf.take_str("engine")
        if pdf is not None and engine is not None and engine not in _ENGINES:
            path = pdf.at("engine")
            if engine in _ABSENT:
                raise unsupported(f"`{path}`: the engine `{engine}` is not here; there is `pdf-text`.", path)
            raise invalid_request(f"`{path}` must be `pdf-text` or `native`, not `{engine[:64]}`.", path)
        return _Parsing(self, _ENGINES.get(engine or ""))

    async def close(self) -> None:
        """See `Maker.close`."""

    async def parse(self, request: ChatRequest, engine: str | None, call: Call) -> tuple[ChatRequest, list[Parsed]]:
        """The request with texts for files and without annotations of them, and what was read of PDFs. The same object
        where there is neither."""
        found = [(path, part) for path, part in _files(request) if _sort(part.media) is not None]
        if any(_sort(part.media) == "pdf" for _, part in found) and (
            engine == "native" or (engine is None and await self._reads_files(request.model))
        ):
            found = [(path, part) for path, part in found if _sort(part.media) == "text"]
        if not found and not has_annotations(request):
            return request, []
        most = self._config.max_files
        if len(found) > most:
            raise invalid_request(f"`{found[most][0]}`: at most {most} files are read for one request.", found[most][0])
        copy = ChatRequest()
        copy.CopyFrom(request)
        known = take_annotations(copy)
        parts = dict(_files(copy))
        parsed = await self._parse_all([(path, parts[path]) for path, _ in found], known, call)
        for (path, _), one in zip(found, parsed, strict=True):
            part = parts[path]
            part.text = one.told()
            part.extras.clear()
        return copy, [one for one in parsed if one.pages is not None]

    async def _parse_all(self, found: list[tuple[str, Part]], known: Mapping[str, str], call: Call) -> list[Parsed]:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def parse(path: str, media: Media) -> Parsed:
            async with gate:
                return await self._parse(path, media, known, call)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(parse(path, part.media)) for path, part in found]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _parse(self, path: str, media: Media, known: Mapping[str, str], call: Call) -> Parsed:
        data = await self._load(path, media)
        if len(data) > self._config.max_bytes:
            raise invalid_request(f"The file of `{path}` is larger than {self._config.max_bytes} bytes.", path)
        name = _UNPRINTED.sub("", media.filename)[:_MOST_NAME]
        if _sort(media) == "text":
            text = _decoded(data, path)
            return Parsed(name, "", text[: self._config.max_characters], None, len(text) > self._config.max_characters)
        digest = (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
        if digest in known:
            return Parsed(name, digest, known[digest][: self._config.max_characters], 0, False)
        pdf = await self._pdfs.read(data, path, call.remaining())
        cut = pdf.read < pdf.pages or len(pdf.text) >= self._config.max_characters
        return Parsed(name, digest, pdf.text, pdf.pages, cut)

    async def _load(self, path: str, media: Media) -> bytes:
        if media.WhichOneof("source") == "data":
            return media.data
        uri = media.uri
        if uri.startswith("data:"):
            return await asyncio.to_thread(_from_data_url, uri, path)
        if self._fetch is None:
            raise unsupported(f"`{path}` is a file by address, and none is fetched here: send its data.", path)
        try:
            return await self._fetch(uri)
        except UnreachedError as error:
            raise invalid_request(f"The media of `{path}` cannot be fetched: {error}.", path) from None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was read of a file. `pages` are those of a PDF, 0 where an annotation had its text already, and None for
    what is no PDF. `cut` tells that the file has more text."""

    name: str
    digest: str
    text: str
    pages: int | None
    cut: bool

    def told(self) -> str:
        """The text as the model reads it."""
        text = _TAG.sub("(", self.text) or "[The file holds no text; its pages may be images.]"
        name = f' name="{self.name}"' if self.name else ""
        more = "\n[The file goes on.]" if self.cut else ""
        return f"<file{name}>\n{text}{more}\n</file>"


class _Parsing(Work):
    def __init__(self, parser: FileParser, engine: str | None) -> None:
        self._parser = parser
        self._engine = engine
        self._parsed: list[Parsed] = []

    async def prepare(self, request: ChatRequest, call: Call) -> ChatRequest:
        sent, self._parsed = await self._parser.parse(request, self._engine, call)
        self.revises = bool(self._parsed)
        if self._parsed:
            call.plugins[f"{FileParser.id}.files"] = len(self._parsed)
            call.plugins[f"{FileParser.id}.pages"] = sum(one.pages or 0 for one in self._parsed)
        return sent

    def feed(self, event: ChatEvent) -> list[ChatEvent]:
        if event.WhichOneof("event") == "choice_end":
            extras = event.choice_end.message_extras
            add_annotations(extras, [(one.digest, one.name, one.text) for one in self._parsed])
            told: Json = {"files": len(self._parsed), "pages": sum(one.pages or 0 for one in self._parsed)}
            note(extras, FileParser.id, told)
        return [event]


def _files(request: ChatRequest) -> Iterator[tuple[str, Part]]:
    """The media of a request, those that tools gave among them, each with its path."""
    for number, message in enumerate(request.messages):
        for place, part in enumerate(message.parts):
            kind = part.WhichOneof("kind")
            if kind == "media":
                yield f"messages[{number}].parts[{place}]", part
            elif kind == "tool_result":
                for inner, said in enumerate(part.tool_result.parts):
                    if said.WhichOneof("kind") == "media":
                        yield f"messages[{number}].parts[{place}].tool_result.parts[{inner}]", said


def _sort(media: Media) -> Literal["pdf", "text"] | None:
    """Which sort of file it is; None where it is none that is read here, or where only its provider has it."""
    if media.WhichOneof("source") not in ("data", "uri"):
        return None
    media_type = media.media_type.partition(";")[0].strip().lower()
    if media_type in _UNKNOWN:
        return _sort_of_unknown(media)
    if media_type == _PDF:
        return "pdf"
    if media_type.startswith("text/") or media_type in _TEXTS or media_type.endswith(("+json", "+xml")):
        return "text"
    return None


def _sort_of_unknown(media: Media) -> Literal["pdf", "text"] | None:
    uri = "" if media.WhichOneof("source") == "data" else media.uri
    named = media.filename or ("" if uri.startswith("data:") else uri.partition("?")[0])
    ending = PurePosixPath(named).suffix.lower()
    inside = media.data[:5] == b"%PDF-" or (uri.startswith("data:") and f",{_PDF_BASE64}" in uri[:256])
    if ending == ".pdf" or inside:
        return "pdf"
    return "text" if ending in _ENDINGS else None


def _from_data_url(uri: str, path: str) -> bytes:
    head, comma, body = uri.partition(",")
    if not comma:
        raise invalid_request(f"The file of `{path}` has no `,` in its `data:` URL.", path)
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise invalid_request(f"The file of `{path}` is not valid base64.", path) from None


def _decoded(data: bytes, path: str) -> str:
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise invalid_request(f"The file of `{path}` is no text in UTF-8.", path) from None
