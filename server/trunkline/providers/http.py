"""A provider that is reached over HTTP, in one dialect."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence, Set
from contextlib import aclosing
from typing import Protocol

from trunkline.call import Attempt, Loss
from trunkline.core.fold import unfold
from trunkline.dialects import sse
from trunkline.dialects.emulate import Structured
from trunkline.dialects.openrouter.preferences import encode_preferences
from trunkline.dialects.wire import Json, Object, dumps, loads
from trunkline.errors import GatewayError, provider_failed, unsupported
from trunkline.providers.batches import Most
from trunkline.providers.media_type import SORTS
from trunkline.providers.secrecy import conceal, concealed
from trunkline.providers.transport import Reply, Transport
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, CountTokensResponse, Routing
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse
from trunkline.v1.models_pb2 import Model

_MOST_BODY = 64 * 1024 * 1024
"""The most bytes of a whole answer."""
_MOST_ERROR = 256 * 1024
"""The most bytes that are read of an error."""

_MOST_PAGES = 64
"""The most pages that are read of a list of models."""

_ID_HEADERS = (
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "mistral-correlation-id",
    "x-ds-trace-id",
)
"""Where providers tell their own id of a request."""

_log = logging.getLogger("trunkline")


class StreamDecoder(Protocol):
    """Reads the events of one stream."""

    @property
    def done(self) -> bool:
        """Whether the provider said that nothing follows."""
        ...

    def feed(self, data: bytes) -> list[ChatEvent]:
        """The events of the data of one server-sent event."""
        ...

    def end(self) -> list[ChatEvent]:
        """The events that the end of the stream means."""
        ...


class Reader(Protocol):
    """Splits a stream into events, however its bytes are cut."""

    def feed(self, chunk: bytes) -> list[sse.Event]:
        """The events that `chunk` completes."""
        ...

    def end(self) -> list[sse.Event]:
        """The events that the end of the stream completes."""
        ...


class HttpProvider(ABC):
    """One provider. A dialect subclasses it and says how its requests and answers are written."""

    native_choices = True
    """Whether the provider writes several answers to one request; several calls are made where it does not."""

    custom_tools: Set[str] = frozenset()
    """The dialects whose tools that are called with a text the provider takes as they are: `openai`, `responses`, with
    the namespaces of that. All others are told as functions."""

    chooses = False
    """Whether the provider chooses among providers itself. What the caller asks of these is told to it, as OpenRouter's
    `provider`."""

    models_path = "/models"
    """Where the provider lists its models, below the base URL."""

    def __init__(self, name: str, transport: Transport, headers: Mapping[str, str], models: Sequence[str] = ()) -> None:
        self._name = name
        self._transport = transport
        self._headers = {"content-type": "application/json", **headers}
        self._models = models

    @property
    def name(self) -> str:
        """The name that the configuration gives it."""
        return self._name

    def structured_output(self, model: str) -> Structured:
        """What `model` has of JSON mode and JSON Schema; what it lacks is emulated."""
        return "native"

    def fetches(self, model: str) -> Set[str]:
        """The sorts of media (`media_type.SORTS`) that `model` can be given by address; the gateway fetches others."""
        return SORTS

    def completions(self) -> HttpProvider | None:
        """The server's own Completions, by which it goes on with texts; None where it has none."""
        return None

    def continues(self, model: str) -> bool:
        """Whether `model` is served by `completions`; it is asked in conversations otherwise."""
        return False

    @abstractmethod
    def path(self, model: str, *, stream: bool) -> str:
        """Where a request for `model` goes, below the base URL."""

    @abstractmethod
    def encode_request(self, request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        """The body of a request to `model`, without its name and without what asks for a stream."""

    @abstractmethod
    def address(self, wire: dict[str, Json], model: str, *, stream: bool) -> None:
        """Put the model's name, and what asks for a stream, into the body."""

    @abstractmethod
    def decode_response(self, wire: Object) -> ChatResponse:
        """Read a whole answer."""

    @abstractmethod
    def stream_decoder(self) -> StreamDecoder:
        """A reader for one stream."""

    def reader(self) -> Reader:
        """What splits the bytes of one stream into events."""
        return sse.Reader()

    def headers(self, wire: dict[str, Json]) -> Mapping[str, str]:
        """The headers of a request with the body `wire`, from which it takes what is told in headers."""
        return self._headers

    async def authorize(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Mapping[str, str]:
        """The headers of one request, for providers whose key is made anew for each or expires."""
        return headers

    @abstractmethod
    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        """Read the answer of a call that failed."""

    @abstractmethod
    def decode_models(self, wire: Json) -> list[str]:
        """The names in the answer to `GET /models`."""

    def next_models_path(self, wire: Json) -> str | None:
        """Where the list of models goes on, below the base URL, after the page `wire`; None after the last."""
        return None

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        """See `Provider.chat`."""
        reply = await self._send(request, attempt, stream=False)
        try:
            return self._decode(await self._body(reply))
        except GatewayError as error:
            raise self._own(error, attempt) from error.__cause__
        finally:
            await reply.close()

    async def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        """See `Provider.stream_chat`."""
        reply = await self._send(request, attempt, stream=True)
        try:
            reader, decoder, shown = self.reader(), self.stream_decoder(), False
            chunks = reply.chunks()
            first = await anext(chunks, b"")
            if type(reader) is sse.Reader and first.lstrip().startswith(b"{"):
                # No event begins so: the server tells an answer, or an error, in one piece.
                yield list(unfold(self._decode(await self._whole(chunks, first))))
                return
            async with aclosing(_events(first, chunks, reader)) as batches:
                async for events in batches:
                    batch, error = _decode_batch(events, decoder)
                    if error is not None and not shown:
                        # Nothing was told yet, so another target may still answer.
                        raise error
                    if batch:
                        shown = True
                        yield batch
                    if error is not None:
                        raise error
                    if decoder.done:
                        break
            last = decoder.end()
            if last:
                yield last
        except GatewayError as error:
            raise self._own(error, attempt) from error.__cause__
        finally:
            await reply.close()

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        """See `Provider.count_tokens`."""
        return None

    async def compact(self, request: ChatRequest, attempt: Attempt) -> ChatResponse | None:
        """See `Provider.compact`."""
        return None

    def embed_path(self, model: str) -> str | None:
        """Where inputs for `model` go to be embedded, below the base URL; None where the provider embeds nothing."""
        return None

    def most_inputs(self, model: str) -> Most:
        """What `model` embeds in one call; more is divided between several."""
        return Most(2048)

    def encode_embed(self, request: EmbedRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        """The body of a request that embeds, with the name of the model where it is told there. Raises `GatewayError`
        (UNSUPPORTED) where an input is none that it embeds."""
        raise self._embeds_nothing()

    def decode_embed(self, wire: Object, model: str, headers: Mapping[str, str]) -> EmbedResponse:
        """Read the vectors of `model`. `headers` are those of the answer, by lower-case name."""
        raise self._embeds_nothing()

    def _embeds_nothing(self) -> GatewayError:
        return unsupported(f"The provider `{self._name}` embeds nothing.", "model")

    async def embed(self, request: EmbedRequest, attempt: Attempt) -> EmbedResponse:
        """See `Provider.embed`."""
        path = self.embed_path(attempt.model)
        try:
            if path is None:
                raise self._embeds_nothing()
            wire = self.encode_embed(request, attempt.model, attempt.losses)
            self._pass_on(request.routing, wire)
            self._check_losses(attempt, request.routing.require_parameters)
        except GatewayError as error:
            raise self._own(error, attempt) from None
        answer, headers = await self._answer(path, wire, attempt)
        try:
            return self.decode_embed(answer, attempt.model, headers)
        except GatewayError as error:
            raise self._own(error, attempt) from None

    async def list_models(self) -> Sequence[Model]:
        """The configured names, or what the provider itself lists."""
        names = list(self._models)
        path: str | None = None if names else self.models_path
        for _ in range(_MOST_PAGES):
            if path is None:
                break
            page = await self._page(path)
            names += self.decode_models(page)
            path = self.next_models_path(page)
        return [Model(id=name, providers=[self._name]) for name in names]

    async def _page(self, path: str) -> Json:
        headers = await self.authorize("GET", path, self._headers, None)
        reply = await self._transport.send("GET", path, headers, None)
        try:
            body = await _read(reply.chunks(), _MOST_BODY) or b""
            if reply.status != 200:
                raise self.decode_error(reply.status, reply.headers, concealed(body[:_MOST_ERROR], headers))
            return loads(body)
        except GatewayError as error:
            raise self._own(error) from error.__cause__
        finally:
            await reply.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.close()

    async def _send(self, request: ChatRequest, attempt: Attempt, *, stream: bool) -> Reply:
        headers, body = self._write(request, attempt, stream=stream)
        return await self._post(self.path(attempt.model, stream=stream), headers, body, attempt)

    def _write(self, request: ChatRequest, attempt: Attempt, *, stream: bool) -> tuple[Mapping[str, str], bytes]:
        """The headers and the body of a request. What these are made of, which may be large, is not kept while the
        provider answers."""
        wire = self.encode_request(request, attempt.model, attempt.losses)
        self._pass_on(request.routing, wire)
        try:
            self._check_losses(attempt, request.routing.require_parameters)
        except GatewayError as error:
            raise self._own(error, attempt) from None
        self.address(wire, attempt.model, stream=stream)
        return self.headers(wire), dumps(wire)

    def _pass_on(self, routing: Routing, wire: dict[str, Json]) -> None:
        """Tell what is asked of providers to one that chooses among them."""
        if self.chooses and (asked := encode_preferences(routing)):
            wire["provider"] = asked

    def _check_losses(self, attempt: Attempt, strict: bool) -> None:
        """Refuse what cannot all be taken, where its caller wants all or nothing."""
        if attempt.losses and (strict or attempt.call.strict):
            names = ", ".join(f"`{loss.field}`" for loss in attempt.losses)
            raise unsupported(
                f"The target `{self._name}/{attempt.model}` cannot take {names}.", attempt.losses[0].field
            )

    async def _ask(self, path: str, wire: dict[str, Json], attempt: Attempt) -> Object:
        """What the provider answers, in one object, to `wire`. Raises `GatewayError`."""
        return (await self._answer(path, wire, attempt))[0]

    async def _answer(self, path: str, wire: dict[str, Json], attempt: Attempt) -> tuple[Object, Mapping[str, str]]:
        """As `_ask`, with the headers of the answer."""
        reply = await self._post(path, self.headers(wire), dumps(wire), attempt)
        try:
            return Object(self._object(await self._body(reply)), lenient=True), reply.headers
        except GatewayError as error:
            raise self._own(error, attempt) from error.__cause__
        finally:
            await reply.close()

    async def _post(self, path: str, headers: Mapping[str, str], body: bytes, attempt: Attempt) -> Reply:
        """Send `body`, and give the answer where its status is a good one. Raises `GatewayError` otherwise."""
        if attempt.call.traceparent:
            headers = {**headers, "traceparent": attempt.call.traceparent}
        try:
            headers = await self.authorize("POST", path, headers, body)
            reply = await self._transport.send("POST", path, headers, body)
        except GatewayError as error:
            raise self._own(error, attempt) from error.__cause__
        attempt.status = reply.status
        for header in _ID_HEADERS:
            if header in reply.headers:
                attempt.upstream_id = reply.headers[header][:128]
                break
        if 200 <= reply.status < 300:
            return reply
        try:
            text = await _read(reply.chunks(), _MOST_ERROR) or b""
        except GatewayError:
            # The status alone tells enough; the body only would have told it better.
            text = b""
        finally:
            await reply.close()
        # Before it is read, as that may cut it, and after it, as a key may be written in escapes.
        refused = self.decode_error(reply.status, reply.headers, concealed(text, headers))
        conceal(refused, headers)
        if refused.reason == errors_pb2.ERROR_REASON_NOT_FOUND:
            # The provider names its model, which others may have, too.
            refused.message = f"`{self._name}/{attempt.model[:128]}`: {refused.message}"
        raise self._own(refused, attempt)

    async def _body(self, reply: Reply) -> bytes:
        return await self._whole(reply.chunks())

    async def _whole(self, chunks: AsyncIterator[bytes], first: bytes = b"") -> bytes:
        body = await _read(chunks, _MOST_BODY, first)
        if body is None:
            raise provider_failed(f"The provider's answer is larger than {_MOST_BODY} bytes.")
        return body

    def _decode(self, body: bytes) -> ChatResponse:
        return self.decode_response(Object(self._object(body), lenient=True))

    def _object(self, body: bytes) -> dict[str, Json]:
        value = loads(body)
        if not isinstance(value, dict):
            raise provider_failed("The provider's answer is not a JSON object.")
        if value.get("error") and not value.get("choices"):
            raise self.decode_error(200, {}, concealed(body, self._headers))
        return value

    def _own(self, error: GatewayError, attempt: Attempt | None = None) -> GatewayError:
        """The error with the provider's name, and without its keys. What the gateway could not read is the provider's
        fault by now."""
        error.provider = self._name
        conceal(error, self._headers)
        if (
            attempt is not None
            and attempt.status is not None
            and 200 <= attempt.status < 300
            and error.provider_status is None
            and error.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
        ):
            _log.warning("provider %s: an answer cannot be read: %s", self._name, error.message)
            return provider_failed(
                f"The provider's answer cannot be read: {error.message}", provider=self._name, status=attempt.status
            )
        return error


def _decode_batch(events: Sequence[sse.Event], decoder: StreamDecoder) -> tuple[list[ChatEvent], GatewayError | None]:
    """What `events` tell, and the error that ended them: what came before it is told, too."""
    batch: list[ChatEvent] = []
    try:
        for one in events:
            batch += decoder.feed(one.data)
    except GatewayError as error:
        return batch, error
    return batch, None


async def _events(first: bytes, chunks: AsyncIterator[bytes], reader: Reader) -> AsyncGenerator[list[sse.Event], None]:
    """The events of a stream, of which `first` came already; those that arrived together, together."""
    events = reader.feed(first)
    if events:
        yield events
    async for chunk in chunks:
        events = reader.feed(chunk)
        if events:
            yield events
    events = reader.end()
    if events:
        yield events


async def _read(chunks: AsyncIterator[bytes], most: int, first: bytes = b"") -> bytes | None:
    """The whole body, of which `first` came already; None where it is larger than `most` bytes."""
    pieces = [first] if first else []
    size = len(first)
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            return None
        pieces.append(chunk)
    return b"".join(pieces)
