"""The legal order of the events of a stream."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.fold import fold
from trunkline.core.grammar import Grammar
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent


def start() -> ChatEvent:
    """The beginning."""
    return ChatEvent(start={"id": "r"})


def part(index: int = 0, choice: int = 0, **kind: Any) -> ChatEvent:
    """The start of a part: of a text, unless told otherwise."""
    return ChatEvent(part_start={"choice": choice, "index": index, "part": kind or {"text": ""}})


def delta(index: int = 0, choice: int = 0, **what: Any) -> ChatEvent:
    """More of a part."""
    return ChatEvent(part_delta={"choice": choice, "index": index, **(what or {"text": "x"})})


def end(index: int = 0, choice: int = 0) -> ChatEvent:
    """The end of a part."""
    return ChatEvent(part_end={"choice": choice, "index": index})


def over(choice: int = 0) -> ChatEvent:
    """The end of a choice."""
    return ChatEvent(choice_end={"choice": choice})


def usage() -> ChatEvent:
    """What was used so far."""
    return ChatEvent(usage={"output_tokens": 1})


def last() -> ChatEvent:
    """The end of the response."""
    return ChatEvent(response_end={})


CALL: dict[str, Any] = {"tool_call": {"id": "c", "name": "f"}}


@pytest.mark.parametrize(
    "events",
    [
        [start(), over()],
        [start(), part(), delta(), delta(), end(), over(), usage(), last(), usage()],
        [start(), usage(), part(**CALL), part(1, **CALL), delta(1), delta(), end(1), end(), over()],
        [start(), part(), part(0, 1), delta(0, 1), end(), over(), end(0, 1), over(1), last()],
        [start(), part(media={"media_type": "image/png"}), delta(data=b"x"), end(), over()],
        [start(), ChatEvent(), over()],
    ],
)
def test_a_legal_stream_passes(events: list[ChatEvent]) -> None:
    """Parts and choices may interleave; usage may come at any time; an unknown event is let through."""
    grammar = Grammar()
    for event in events:
        grammar.feed(event)
    grammar.end()


@pytest.mark.parametrize(
    ("events", "word"),
    [
        ([part()], "before `start`"),
        ([start(), start()], "second `start`"),
        ([start(), delta()], "not open"),
        ([start(), end()], "not open"),
        ([start(), part(1)], "part 1 after 0"),
        ([start(), part(), part()], "part 0 after 1"),
        ([start(), part(), end(), delta()], "not open"),
        ([start(), part(), end(), end()], "not open"),
        ([start(), ChatEvent(part_start={})], "without a kind"),
        ([start(), part(), delta(data=b"x")], "takes text"),
        ([start(), part(opaque={"dialect": "x"}), delta()], "takes nothing"),
        ([start(), part(), over()], "is open"),
        ([start(), over(), part()], "after its `choice_end`"),
        ([start(), over(), over()], "after its `choice_end`"),
        ([start(), last()], "before the last"),
        ([start(), over(), last(), last()], "second one"),
    ],
)
def test_an_illegal_event_is_refused(events: list[ChatEvent], word: str) -> None:
    """It is the provider's failure, and says what was wrong."""
    *legal, illegal = events
    grammar = Grammar()
    for event in legal:
        grammar.feed(event)
    with pytest.raises(GatewayError, match=word) as raised:
        grammar.feed(illegal)
    assert raised.value.reason == errors_pb2.ERROR_REASON_PROVIDER_FAILED


@pytest.mark.parametrize(
    "events", [[], [start()], [start(), usage()], [start(), part(), delta(), end()], [start(), over(), part(0, 1)]]
)
def test_a_stream_that_is_not_whole_does_not_end(events: list[ChatEvent]) -> None:
    """Without the end of each choice there is no answer."""
    grammar = Grammar()
    for event in events:
        grammar.feed(event)
    with pytest.raises(GatewayError, match="before the answer was complete"):
        grammar.end()


_CHOICES = st.integers(0, 1)
_INDEXES = st.integers(0, 2)
_EVENTS = st.one_of(
    st.builds(part, _INDEXES, _CHOICES),
    st.builds(lambda index, choice: part(index, choice, **CALL), _INDEXES, _CHOICES),
    st.builds(lambda index, choice: part(index, choice, media={"data": b""}), _INDEXES, _CHOICES),
    st.builds(delta, _INDEXES, _CHOICES),
    st.builds(lambda index: delta(index, data=b"x"), _INDEXES),
    st.builds(end, _INDEXES, _CHOICES),
    st.builds(over, _CHOICES),
    st.builds(usage),
    st.builds(last),
)


@given(st.lists(_EVENTS, max_size=40))
def test_whatever_the_grammar_lets_through_folds(events: list[ChatEvent]) -> None:
    """Events in any order: those that are legal build a response, and nothing else is raised."""
    grammar = Grammar()
    grammar.feed(start())
    legal = [start()]
    for event in events:
        try:
            grammar.feed(event)
        except GatewayError:
            continue
        legal.append(event)
    assert fold(legal).id == "r"
