"""Texts that are gone on with: by a server's own Completions, or else as conversations of one message."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Final

from trunkline.call import Attempt, Loss, LossKind
from trunkline.core.fold import fold, unfold
from trunkline.core.provider import Provider
from trunkline.dialects import completions, openai
from trunkline.dialects.wire import Json, Object, loads, text_of
from trunkline.errors import GatewayError, unsupported
from trunkline.providers.fan_out import chat_all, stream_all
from trunkline.providers.http import HttpProvider, StreamDecoder
from trunkline.providers.wrapped import Wrapped
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, PartEnd, PartStart
from trunkline.v1.content_pb2 import Part

_ALONE: Final = frozenset({"best_of"})
"""What Completions know and conversations do not."""

_FILL: Final = (
    "Write the text that belongs between the prefix and the suffix below, and nothing else.\n"
    "<prefix>{prefix}</prefix>\n<suffix>{suffix}</suffix>"
)


class CompletionsProvider(HttpProvider):
    """The Completions of one server."""

    def path(self, model: str, *, stream: bool) -> str:
        return "/completions"

    def encode_request(self, request: ChatRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
        return completions.encode_request(request, losses)

    def address(self, wire: dict[str, Json], model: str, *, stream: bool) -> None:
        wire["model"] = model
        if stream:
            wire["stream"] = True
            wire["stream_options"] = {"include_usage": True}

    def decode_response(self, wire: Object) -> ChatResponse:
        return completions.decode_response(wire)

    def stream_decoder(self) -> StreamDecoder:
        return completions.StreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return openai.decode_error(status, headers, body)

    def decode_models(self, wire: Json) -> list[str]:
        return []


class Continuing(Wrapped):
    """A provider that goes on with texts: through `native` for the models that `knows` tells of, else by conversing."""

    def __init__(self, provider: Provider, native: Provider | None, knows: Callable[[str], bool]) -> None:
        super().__init__(provider)
        self._native = native
        self._knows = knows

    async def chat(self, request: ChatRequest, attempt: Attempt) -> ChatResponse:
        """See `Provider.chat`."""
        if not request.HasField("completion"):
            return await self._provider.chat(request, attempt)
        if self._native is not None and self._knows(attempt.model):
            return await self._native.chat(request, attempt)
        requests = _conversations(request, attempt)
        if len(requests) == 1:
            response = await self._provider.chat(requests[0], attempt)
        else:
            response = await chat_all(self._provider, requests, attempt)
        if not request.completion.echo:
            return response
        echo = _Echo(request)
        return fold(event for told in unfold(response) for event in echo.feed(told))

    def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        """See `Provider.stream_chat`."""
        if not request.HasField("completion"):
            return self._provider.stream_chat(request, attempt)
        if self._native is not None and self._knows(attempt.model):
            return self._native.stream_chat(request, attempt)
        return self._stream(request, attempt)

    async def _stream(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        requests = _conversations(request, attempt)
        if len(requests) == 1:
            stream = self._provider.stream_chat(requests[0], attempt)
        else:
            stream = stream_all(self._provider, requests, attempt)
        echo = _Echo(request) if request.completion.echo else None
        async with aclosing(stream):
            async for batch in stream:
                yield batch if echo is None else [event for told in batch for event in echo.feed(told)]


def _conversations(request: ChatRequest, attempt: Attempt) -> list[ChatRequest]:
    """Each prompt as a conversation, as often as an answer to it is wanted; a single prompt is one request for all."""
    attempt.losses.append(Loss("prompt", LossKind.EMULATED))
    prompts = request.completion.prompts
    requests: list[ChatRequest] = []
    for index, prompt in enumerate(prompts):
        if prompt.WhichOneof("kind") == "tokens":
            raise unsupported("The model goes on with texts alone, not with tokens.", f"prompt[{index}]")
        own = ChatRequest()
        own.CopyFrom(request)
        own.ClearField("completion")
        _move_extras(own)
        text = prompt.text
        if request.completion.suffix:
            text = _FILL.format(prefix=text, suffix=request.completion.suffix)
        own.messages.add(role=content_pb2.ROLE_USER).parts.add(text=text)
        if len(prompts) == 1:
            return [own]
        own.ClearField("choice_count")
        requests.extend([own] * max(1, request.choice_count))
    return requests


def _move_extras(request: ChatRequest) -> None:
    """What Completions share with Chat Completions is told under that name; the rest is then reported as lost."""
    text = request.extras.get(completions.DIALECT)
    if text is None:
        return
    kept = loads(text)
    own = {key: value for key, value in kept.items() if key in _ALONE}
    shared = {key: value for key, value in kept.items() if key not in _ALONE}
    del request.extras[completions.DIALECT]
    if own:
        request.extras[completions.DIALECT] = text_of(own)
    if shared:
        request.extras["openai"] = text_of(shared)


class _Echo:
    """Begins the first text of each choice with its prompt."""

    def __init__(self, request: ChatRequest) -> None:
        self._prompts = [prompt.text for prompt in request.completion.prompts]
        self._answers = max(1, request.choice_count)
        self._begun: set[int] = set()
        self._parts: dict[int, int] = {}

    def feed(self, event: ChatEvent) -> Iterable[ChatEvent]:
        """`event`, with the prompt in it or before it where it is due."""
        match event.WhichOneof("event"):
            case "part_start":
                start = event.part_start
                self._parts[start.choice] = start.index + 1
                if start.part.WhichOneof("kind") == "text" and start.choice not in self._begun:
                    self._begun.add(start.choice)
                    start.part.text = self._prompt(start.choice) + start.part.text
            case "choice_end" if event.choice_end.choice not in self._begun:
                choice = event.choice_end.choice
                index = self._parts.get(choice, 0)
                part = Part(text=self._prompt(choice))
                yield ChatEvent(part_start=PartStart(choice=choice, index=index, part=part))
                yield ChatEvent(part_end=PartEnd(choice=choice, index=index))
        yield event

    def _prompt(self, choice: int) -> str:
        return self._prompts[min(choice // self._answers, len(self._prompts) - 1)]
