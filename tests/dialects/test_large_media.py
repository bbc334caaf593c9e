"""A medium that came as base64 leaves as it came: it is not decoded, and copied no more than it must be."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest

from trunkline.dialects import anthropic, bedrock, gemini, openai, responses
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import Media, Message, Part


class Dialect(NamedTuple):
    """How one dialect reads and writes a request, and how often it holds a medium while it reads: as JSON told it and,
    where that is no `data:` URL, as one."""

    read: Callable[[Object], ChatRequest]
    write: Callable[[ChatRequest], dict[str, Any]]
    read_copies: int


DIALECTS = {
    "openai": Dialect(openai.decode_request, openai.encode_request, 1),
    "responses": Dialect(responses.decode_request, responses.encode_request, 1),
    "anthropic": Dialect(anthropic.decode_request, anthropic.encode_request, 2),
    "gemini": Dialect(gemini.decode_request, gemini.encode_request, 2),
    "bedrock": Dialect(bedrock.decode_request, bedrock.encode_request, 2),
}
PAIRS = list(product(DIALECTS, repeat=2))
TYPES = ("image/png", "application/pdf")

CONTENT = "#not~base64#" * 2**17
"""1.5 MB of what a decoder would refuse or change."""


def asking(media_type: str) -> ChatRequest:
    """A request with one medium by `data:` URL."""
    media = Media(media_type=media_type, uri=f"data:{media_type};base64,{CONTENT}", filename="report.pdf")
    parts = [Part(text="What is this?"), Part(media=media)]
    return ChatRequest(model="m", messages=[Message(role=content_pb2.ROLE_USER, parts=parts)])


@pytest.fixture
def traced() -> Iterator[None]:
    """Python's memory is counted. What protobuf holds, one copy of the content, is beside it."""
    gc.collect()
    tracemalloc.start()
    yield
    tracemalloc.stop()


def copies() -> tuple[float, float]:
    """How much Python holds now, and held at most since the last time, as multiples of the content."""
    now, most = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    return now / len(CONTENT), most / len(CONTENT)


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_base64_leaves_as_it_came(source: str, target: str, media_type: str) -> None:
    """Not a byte of it changes between any two dialects, whatever it is."""
    data = dumps(DIALECTS[source].write(asking(media_type)))
    written = dumps(DIALECTS[target].write(DIALECTS[source].read(Object(loads(data)))))
    assert data.count(CONTENT.encode()) == written.count(CONTENT.encode()) == 1


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("source", DIALECTS)
def test_what_is_read_is_not_kept_beside_the_message(source: str, media_type: str) -> None:
    """Reading makes no needless copy, and nothing of what it made stays, even where the JSON does."""
    data = dumps(DIALECTS[source].write(asking(media_type)))
    before, _ = copies()
    wire = Object(loads(data))
    request = DIALECTS[source].read(wire)
    after, most = copies()
    assert most - before < DIALECTS[source].read_copies + 0.1
    assert after - before < 0.1
    assert request.messages


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("target", DIALECTS)
def test_writing_copies_it_twice_at_the_most(target: str, media_type: str) -> None:
    """Out of the message and, where the target wants no `data:` URL, out of that; then into JSON, for which msgspec
    sets half as much again aside."""
    request = asking(media_type)
    before, _ = copies()
    written = DIALECTS[target].write(request)
    after, most = copies()
    assert most - before < 2.1
    assert after - before < 1.1
    data = dumps(written)
    _, most = copies()
    assert most - before < 2.6
    assert CONTENT.encode() in data
