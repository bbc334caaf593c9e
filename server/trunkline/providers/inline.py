"""Media by address for providers that take none: fetched by the gateway, and put into the request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Set
from contextlib import aclosing
from typing import Final

from yarl import URL

from trunkline.call import Attempt
from trunkline.core.provider import Provider
from trunkline.errors import invalid_request
from trunkline.providers.fetch import Fetcher, RefusedError
from trunkline.providers.media_type import SORTS, sort_of
from trunkline.providers.wrapped import Wrapped
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse
from trunkline.v1.content_pb2 import Media

_ANY: Final = frozenset({"", "application/octet-stream"})
"""Types that say nothing of what is expected."""
_PDF: Final = "application/pdf"
_MOST_NAME: Final = 128


async def inline(request: ChatRequest, takes: Set[str], fetcher: Fetcher) -> ChatRequest:
    """`request` with each medium fetched that is given by an http(s) address and is of a sort that is not in `takes`.

    The same object where there is none, a copy otherwise. Raises `GatewayError` (INVALID_REQUEST), naming the part,
    where one cannot be had, or where there are too many.
    """
    if not is_needed(request, takes):
        return request
    copy = ChatRequest()
    copy.CopyFrom(request)
    found = list(_by_address(copy, takes))
    paths: dict[str, str] = {}
    for path, media in found:
        paths.setdefault(media.uri, path)
        if len(paths) > fetcher.most_files:
            raise invalid_request(
                f"The media of `{path}` cannot be fetched: at most {fetcher.most_files} are for one request.", path
            )
    fetched = await _fetch_all(paths, fetcher)
    left = fetcher.most_bytes
    for path, media in found:
        data, media_type = fetched[media.uri]
        left -= len(data)  # each time that it is named: the request would grow by more than was fetched
        if left < 0:
            raise invalid_request(
                f"The media of `{path}` cannot be sent: all of the request are larger than {fetcher.most_bytes} bytes.",
                path,
            )
        _put(media, data, media_type, path)
    return copy


def is_needed(request: ChatRequest, takes: Set[str]) -> bool:
    """Whether `request` holds a medium that is to be fetched."""
    return not takes >= SORTS and next(_by_address(request, takes), None) is not None


async def _fetch_all(paths: dict[str, str], fetcher: Fetcher) -> dict[str, tuple[bytes, str]]:
    """What stands at each address, an address that is named twice being fetched once."""
    fetch = fetcher.begin()

    async def get(address: str, path: str) -> tuple[bytes, str]:
        try:
            return await fetcher.fetch(fetch, address)
        except RefusedError as error:
            raise invalid_request(f"The media of `{path}` cannot be fetched: {error}.", path) from None

    try:
        async with fetch.session, asyncio.TaskGroup() as group:
            tasks = {address: group.create_task(get(address, path)) for address, path in paths.items()}
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return {address: task.result() for address, task in tasks.items()}


def _put(media: Media, data: bytes, media_type: str, path: str) -> None:
    """Replace the address by what was found there, which must be of the sort that the caller said."""
    said = media.media_type
    if not data:
        raise invalid_request(f"The media of `{path}` cannot be fetched: there is nothing at its address.", path)
    if media_type and said not in _ANY and not _fits(media_type, said):
        raise invalid_request(f"The media of `{path}` is `{media_type[:64]}`, not of the type `{said}`.", path)
    if not media_type and said.endswith("/*"):
        raise invalid_request(f"The type of the media of `{path}` cannot be told.", path)
    media.media_type = media_type or said or "application/octet-stream"
    if not media.filename and sort_of(media.media_type) == "document":
        # Providers want one, and models read it.
        name = URL(media.uri).name[:_MOST_NAME]
        media.filename = name if name.isprintable() else ""
    media.data = data


def _fits(media_type: str, said: str) -> bool:
    """Whether a file of `media_type` is what the caller said: of its sort, and a PDF where it was to be one, as the
    page of an error is a document, too."""
    return sort_of(media_type) == sort_of(said) and (said != _PDF or media_type == _PDF)


def _by_address(request: ChatRequest, takes: Set[str]) -> Iterator[tuple[str, Media]]:
    # Slices are lists of Python's own: to walk through them costs less than to walk through the fields.
    for number, message in enumerate(request.messages[:]):
        for place, part in enumerate(message.parts[:]):
            kind = part.WhichOneof("kind")
            if kind == "media" and _is_asked_for(part.media, takes):
                yield f"messages[{number}].parts[{place}]", part.media
            elif kind == "tool_result":
                for inner, said in enumerate(part.tool_result.parts[:]):
                    if said.HasField("media") and _is_asked_for(said.media, takes):
                        yield f"messages[{number}].parts[{place}].tool_result.parts[{inner}]", said.media


def _is_asked_for(media: Media, takes: Set[str]) -> bool:
    """Whether `media` is to be fetched. The sort is looked at first: to read the address copies it, with all the data
    that it may hold."""
    return sort_of(media.media_type) not in takes and media.uri[:8].lower().startswith(("http://", "https://"))


class Inlining(Wrapped):
    """A provider that is given media themselves where it would not fetch them; `fetches` are the sorts that a model of
    it fetches."""

    def __init__(self, provider: Provider, fetches: Callable[[str], Set[str]], fetcher: Fetcher) -> None:
        super().__init__(provider)
        self._fetches = fetches
        self._fetcher = fetcher

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        """See `Provider.chat`."""
        takes = self._fetches(attempt.model)
        return await self._provider.chat(await inline(request, takes, self._fetcher), attempt)

    def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        """See `Provider.stream_chat`."""
        takes = self._fetches(attempt.model)
        if not is_needed(request, takes):
            return self._provider.stream_chat(request, attempt)
        return self._stream(request, takes, attempt)

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        """See `Provider.count_tokens`."""
        takes = self._fetches(attempt.model)
        return await self._provider.count_tokens(await inline(request, takes, self._fetcher), attempt)

    async def _stream(
        self, request: ChatRequest, takes: Set[str], attempt: Attempt
    ) -> AsyncGenerator[list[ChatEvent], None]:
        whole = await inline(request, takes, self._fetcher)
        async with aclosing(self._provider.stream_chat(whole, attempt)) as stream:
            async for batch in stream:
                yield batch
