"""An answer as a person sees it."""

from __future__ import annotations

import io
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from trunkline.cli.answer import Answer
from trunkline.core.fold import unfold
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import (
    ChatEvent,
    ChatResponse,
    Choice,
    ChoiceEnd,
    Finish,
    PartDelta,
    PartEnd,
    PartStart,
    Usage,
)
from trunkline.v1.content_pb2 import Message, Part, Reasoning, ToolCall


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _show(events: Iterable[ChatEvent], out: io.StringIO | None = None) -> tuple[str, str]:
    """What stdout and stderr are given."""
    out = io.StringIO() if out is None else out
    notes = io.StringIO()
    answer = Answer(Console(file=notes, width=10_000), out)
    for event in events:
        answer.feed(event)
    answer.stop()
    answer.note_cost()
    return out.getvalue(), notes.getvalue()


def _response(*parts: Part, **fields: object) -> ChatResponse:
    return ChatResponse(choices=[Choice(message=Message(parts=parts), finish=Finish(**fields))])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_stdout_is_the_answer_alone(deltas: list[str]) -> None:
    """A pipe gets the text unchanged, however it was cut, and a line end where it has none."""
    events = [
        ChatEvent(start=ChatResponse(model="m")),
        ChatEvent(part_start=PartStart(part=Part(text=""))),
        *(ChatEvent(part_delta=PartDelta(text=delta)) for delta in deltas),
        ChatEvent(part_end=PartEnd()),
        ChatEvent(choice_end=ChoiceEnd()),
    ]
    text = "".join(deltas)
    out, _ = _show(events)
    assert out == (text if text.endswith("\n") or not text else f"{text}\n")


def test_a_terminal_is_given_nothing_to_obey() -> None:
    """What a model writes cannot move the cursor of a terminal."""
    out, notes = _show(unfold(_response(Part(reasoning=Reasoning(text="\x1b[H")), Part(text="\x1b[2Jx"))), _Terminal())
    assert out == "\N{REPLACEMENT CHARACTER}[2Jx\n"
    assert "\x1b" not in notes


def test_rich_markup_is_text() -> None:
    """What looks like rich's markup is shown as it is."""
    out, notes = _show(unfold(_response(Part(reasoning=Reasoning(text="[bold]r[/]")), Part(text="[red]x[/red]"))))
    assert out == "[red]x[/red]\n"
    assert "[bold]r[/]\n" in notes


def test_reasoning_goes_to_stderr() -> None:
    """Reasoning is no part of the answer, and stands on lines of its own."""
    out, notes = _show(unfold(_response(Part(reasoning=Reasoning(text="Hm")), Part(text="Hello"))))
    assert out == "Hello\n"
    assert notes.startswith("Hm\n")


def test_a_refusal_is_the_answer() -> None:
    """What the model says when it declines is what it says."""
    assert _show(unfold(_response(Part(refusal="No."))))[0] == "No.\n"


def test_tool_calls_are_told_whole() -> None:
    """A call is told with its arguments once both are known."""
    out, notes = _show(unfold(_response(Part(tool_call=ToolCall(id="1", name="add", arguments_json='{"a":1}')))))
    assert out == ""
    assert 'tool call: add({"a":1})\n' in notes


def test_an_answer_that_was_cut_says_so() -> None:
    """A reader can tell a whole answer from one that met the token limit."""
    _, notes = _show(unfold(_response(Part(text="Hel"), reason=chat_pb2.FINISH_REASON_LENGTH)))
    assert "the token limit was reached" in notes


def test_only_the_first_choice_is_shown() -> None:
    """Further choices do not mix with the first."""
    response = _response(Part(text="one"))
    response.choices.append(Choice(index=1, message=Message(parts=[Part(text="two")])))
    assert _show(unfold(response))[0] == "one\n"


def test_an_unknown_event_is_passed_over() -> None:
    """A newer gateway may send events that this program does not know."""
    assert _show([ChatEvent(), *unfold(_response(Part(text="Hi")))])[0] == "Hi\n"


def test_the_cost_is_one_line() -> None:
    """Who answered and what it used stand on one line; a count that is unknown is not told as zero."""
    response = _response(Part(text="Hi"))
    response.model, response.provider = "echo", "sim"
    response.usage.CopyFrom(Usage(input_tokens=12, cached_input_tokens=3))
    cost = _show(unfold(response))[1].splitlines()[-1]
    assert cost.startswith("echo by sim · tokens: 12 in (3 cached) · first word ")
    assert " out" not in cost


def test_quiet_leaves_the_answer_alone() -> None:
    """Without a place for notes nothing but the answer is written."""
    out = io.StringIO()
    answer = Answer(None, out)
    for event in unfold(_response(Part(reasoning=Reasoning(text="Hm")), Part(text="Hi"))):
        answer.feed(event)
    answer.stop()
    answer.note_cost()
    assert out.getvalue() == "Hi\n"
