"""The turns of other callers' conversations: instructions apart, users and assistants in alternation."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from dialects.anthropic.asking import (
    ADAPTIVE,
    ASSISTANT,
    DEVELOPER,
    MANUAL,
    SYSTEM,
    TOOL,
    USER,
    call,
    result,
    said,
    written,
)
from dialects.anthropic.cases import message
from hypothesis import given
from hypothesis import strategies as st

from trunkline.call import LossKind
from trunkline.dialects.wire import dumps
from trunkline.v1.content_pb2 import Media, Part


def test_instructions_that_begin_go_to_system() -> None:
    """System and developer messages in front are the system prompt, in their order."""
    wire, losses = written(said(SYSTEM, "a"), said(DEVELOPER, "b"), said(USER, "c"))
    assert wire["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert wire["messages"] == [{"role": "user", "content": "c"}]
    assert losses == {}


def test_later_instructions_stay_where_the_model_takes_them() -> None:
    """Between turns they stand behind a user's turn and in front of the assistant's: never between two users'."""
    turns = [said(USER, "1"), said(ASSISTANT, "2"), said(SYSTEM, "from now on"), said(USER, "3")]
    wire, losses = written(*turns, model=ADAPTIVE)
    assert [turn["role"] for turn in wire["messages"]] == ["user", "assistant", "user", "system"]
    assert (wire["messages"][3]["content"], losses) == ("from now on", {})


def test_later_instructions_never_part_a_call_from_its_result() -> None:
    """Instructions between a call and its results stand behind the results."""
    turns = [said(USER, "1"), said(ASSISTANT, call()), said(SYSTEM, "hurry"), said(TOOL, result("5"))]
    wire, _ = written(*turns, model=ADAPTIVE)
    assert [turn["role"] for turn in wire["messages"]] == ["user", "assistant", "user", "system"]


def test_later_instructions_join_the_first_elsewhere() -> None:
    """Where the model takes none between turns, or where they would stand between two answers, they join the first,
    which is noted."""
    turns = [said(SYSTEM, "a"), said(USER, "1"), said(ASSISTANT, "2"), said(SYSTEM, "b"), said(USER, "3")]
    wire, losses = written(*turns, model=MANUAL)
    assert [block["text"] for block in wire["system"]] == ["a", "b"]
    assert losses == {"messages[3]": LossKind.APPROXIMATED}
    wire, losses = written(
        said(USER, "1"), said(ASSISTANT, "2"), said(SYSTEM, "b"), said(ASSISTANT, "3"), model=ADAPTIVE
    )
    assert (wire["system"], losses) == ("b", {"messages[2]": LossKind.APPROXIMATED})
    assert [turn["role"] for turn in wire["messages"]] == ["user", "assistant"]


def test_instructions_alone_are_asked_as_the_user() -> None:
    """A conversation needs a user: where there are instructions alone they are what is asked, which is noted."""
    wire, losses = written(said(SYSTEM, "Write a poem."))
    assert wire["messages"] == [{"role": "user", "content": "Write a poem."}]
    assert "system" not in wire
    assert losses == {"messages[0].role": LossKind.APPROXIMATED}


@given(st.lists(st.sampled_from([SYSTEM, DEVELOPER, USER, ASSISTANT]), min_size=1, max_size=12), st.booleans())
def test_turns_alternate(roles: list[Any], between: bool) -> None:
    """Whatever the order of roles, users and assistants take turns, nothing is lost, and texts keep their order."""
    turns = [said(role, f"<{number}>") for number, role in enumerate(roles)]
    wire, _ = written(*turns, model=ADAPTIVE if between else MANUAL)
    spoken = [turn["role"] for turn in wire["messages"]]
    for before, after in pairwise(spoken):
        assert before != after
        assert before != "system" or after == "assistant"
        assert after != "system" or before == "user"
    for role in ("user", "assistant"):
        texts = dumps([turn["content"] for turn in wire["messages"] if turn["role"] == role]).decode()
        numbers = [number for number, one in enumerate(roles) if one == (USER if role == "user" else ASSISTANT)]
        places = [texts.index(f"<{number}>") for number in numbers]
        assert places == sorted(places)


def test_results_of_parallel_calls_are_one_turn_with_the_results_first() -> None:
    """Each result of a round of calls stands in the one turn behind it, in front of what the user says."""
    wire, _ = written(
        said(USER, "go"),
        said(ASSISTANT, "calling", call(call_id="a"), call(call_id="b")),
        said(TOOL, result("1", call_id="a")),
        said(TOOL, result("2", call_id="b", failed=True)),
        said(USER, "and?"),
    )
    assert wire["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b", "content": "2", "is_error": True},
        {"type": "text", "text": "and?"},
    ]


def test_results_may_hold_images_and_documents() -> None:
    """The parts of a result are blocks of their own; one without any is none."""
    image = Part(media=Media(media_type="image/png", uri="data:image/png;base64,AAAA"))
    pdf = Part(media=Media(media_type="application/pdf", uri="https://x/y.pdf", filename="y.pdf"))
    wire, _ = written(said(ASSISTANT, call()), said(TOOL, result("see", image, pdf)))
    assert wire["messages"][1]["content"][0]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}, "title": "y.pdf"},
    ]
    wire, _ = written(said(ASSISTANT, call()), said(TOOL, result()))
    assert "content" not in wire["messages"][1]["content"][0]


def test_blank_texts_are_left_out() -> None:
    """The API refuses blank texts: they are left out, and so is a message that holds nothing else."""
    wire, losses = written(said(USER, "", "a", " \n"), said(ASSISTANT, ""), said(USER, "b"))
    assert wire["messages"] == [message("user", {"type": "text", "text": "a"}, {"type": "text", "text": "b"})]
    assert losses == {}


def test_an_answer_to_go_on_with_ends_without_white_space() -> None:
    """The API refuses white space at the end of the answer that the model is to go on with."""
    wire, _ = written(said(USER, "a"), said(ASSISTANT, "The answer is "))
    assert wire["messages"][1]["content"] == "The answer is"
    wire, _ = written(said(USER, "a"), said(ASSISTANT, "x", "y \n"))
    assert wire["messages"][1]["content"][1]["text"] == "y"
