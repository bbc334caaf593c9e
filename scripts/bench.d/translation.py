"""What translation costs within one process: a request of one dialect as one of another, and the events of a stream."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import conversation
import msgspec

from trunkline.dialects import anthropic, bedrock, gemini, openai, responses
from trunkline.dialects.known import open_request
from trunkline.dialects.wire import Object, dumps
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest

REQUEST: Final = 150.0
"""The most microseconds that a request may cost: read from bytes in one dialect, written to bytes in another."""
EVENT: Final = 8.0
"""The most microseconds that an event of a stream may cost, read and written."""

_WARM: Final = 0.2
"""Seconds for which each is run before it is measured."""


@dataclass(slots=True)
class Translation:
    """One translation. `costs` and `json` are microseconds in each round: for the translation, and for reading and
    writing the same bytes as JSON and no more."""

    name: str
    what: str
    aim: float
    run: Callable[[], object]
    bare: Callable[[], object]
    parts: int = 1
    costs: list[float] = field(default_factory=list)
    json: list[float] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """By the middle half of the rounds, as of every aim of the bench."""
        low, high = min(self.costs), max(self.costs)
        if len(self.costs) >= 4:
            low, _, high = statistics.quantiles(self.costs, n=4, method="inclusive")
        if high <= self.aim:
            return "met"
        return "not met" if low > self.aim else "unclear"


def _openai_writer() -> openai.StreamEncoder:
    return openai.StreamEncoder(include_usage=True)


@dataclass(frozen=True, slots=True)
class _Dialect:
    """One dialect. `sent` is what its servers send where no surface of the gateway's does: OpenAI's `writer` then
    writes its events; `texts` is what of a request stays text until it is read."""

    name: str
    read: Callable[[Object], ChatRequest]
    write: Callable[[ChatRequest], dict[str, Any]]
    reader: Callable[[], Any]
    writer: Callable[[], Any] = _openai_writer
    sent: Callable[[], list[bytes]] | None = None
    texts: tuple[str, ...] = ()


_DIALECTS: Final = (
    _Dialect(
        "OpenAI",
        openai.decode_request,
        openai.encode_request,
        openai.StreamDecoder,
    ),
    _Dialect(
        "Responses",
        responses.decode_request,
        responses.encode_request,
        responses.StreamDecoder,
        responses.StreamEncoder,
    ),
    _Dialect(
        "Anthropic",
        anthropic.decode_request,
        anthropic.encode_request,
        anthropic.StreamDecoder,
        anthropic.StreamEncoder,
    ),
    _Dialect(
        "Gemini",
        gemini.decode_request,
        gemini.encode_request,
        gemini.StreamDecoder,
        gemini.StreamEncoder,
        texts=gemini.TEXTS,
    ),
    _Dialect(
        "Bedrock",
        bedrock.decode_request,
        bedrock.encode_request,
        bedrock.StreamDecoder,
        sent=conversation.converse,
        texts=bedrock.TEXTS,
    ),
)


def translations() -> list[Translation]:
    """Every dialect by itself, and the two pairs that are asked for most."""
    chat, _, messages, _, _ = _DIALECTS
    pairs = [*((one, one) for one in _DIALECTS), (chat, messages), (messages, chat)]
    return [*(_request(*pair) for pair in pairs), *(_stream(*pair) for pair in pairs)]


def measure(found: Sequence[Translation], rounds: int, seconds: float) -> None:
    """Measure each in every round, half of `seconds` as it is and half as JSON alone. Garbage is collected as the
    gateway does it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
    for one in found:
        _time(one.run, min(seconds, _WARM))
        _time(one.bare, min(seconds, _WARM))
    for _ in range(rounds):
        for one in found:
            one.costs.append(_time(one.run, seconds / 2) / one.parts)
            one.json.append(_time(one.bare, seconds / 2) / one.parts)


def text(found: Sequence[Translation]) -> str:
    """The report for people: a table in Markdown."""
    lines = ["| translation | cost | JSON alone | ratio (least - most) | aim |", "|---|--:|--:|--:|---|"]
    for one in found:
        ratios = [cost / json for cost, json in zip(one.costs, one.json, strict=True)]
        cost, json = statistics.median(one.costs), statistics.median(one.json)
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
        aim = f"<= {one.aim:.0f} us: {one.verdict}"
        lines.append(f"| {one.what}: {one.name} | {cost:.1f} us | {json:.1f} us | {spread} | {aim} |")
    return "\n".join(lines)


def plain(found: Sequence[Translation]) -> list[dict[str, Any]]:
    """The same for programs: every reading."""
    return [
        {
            "name": one.name,
            "what": one.what,
            "aim": one.aim,
            "verdict": one.verdict,
            "costs": one.costs,
            "json": one.json,
        }
        for one in found
    ]


def _request(source: _Dialect, target: _Dialect) -> Translation:
    data = dumps(source.write(conversation.request()))
    return Translation(
        _name(source, target),
        "a request",
        REQUEST,
        lambda: dumps(target.write(source.read(Object(open_request(data, source.texts))))),
        lambda: msgspec.json.encode(msgspec.json.decode(data)),
    )


def _stream(source: _Dialect, target: _Dialect) -> Translation:
    chunks = source.sent() if source.sent is not None else _written(source.writer(), conversation.events())

    def run() -> None:
        reader, writer = source.reader(), target.writer()
        for chunk in chunks:
            for event in reader.feed(chunk):
                writer.feed(event)
        for event in reader.end():
            writer.feed(event)
        writer.end()

    def bare() -> None:
        for chunk in chunks:
            msgspec.json.encode(msgspec.json.decode(chunk))

    return Translation(_name(source, target), "an event", EVENT, run, bare, len(chunks))


def _written(encoder: Any, events: Sequence[ChatEvent]) -> list[bytes]:
    """The data of the events that a server of the dialect sends."""
    written = [item for event in events for item in encoder.feed(event)] + encoder.end()
    return [item if isinstance(item, bytes) else item[1] for item in written]


def _name(source: _Dialect, target: _Dialect) -> str:
    return source.name if source is target else f"{source.name} to {target.name}"


def _time(run: Callable[[], object], seconds: float) -> float:
    """Microseconds of processor time that one run takes."""
    runs, until, started = 0, time.monotonic() + seconds, time.process_time_ns()
    while runs == 0 or time.monotonic() < until:
        for _ in range(20):
            run()
        runs += 20
    return (time.process_time_ns() - started) / runs / 1e3
