"""One answer of several attempts: the law of folding holds over every seam."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import pytest
from core.plans import calling
from fakes.scripted_provider import asking, events
from hypothesis import given
from hypothesis import strategies as st
from laws.streams import decode
from wire.recordings import Recording, chats

from trunkline.call import Attempt
from trunkline.core.fold import fold
from trunkline.core.grammar import Grammar
from trunkline.core.plan import MidStream
from trunkline.core.splice import Splice
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse

_STREAMS = [one for one in chats() if one.is_stream and one.status == 200 and "mid-stream-error" not in one.tags]


def attempt(number: int = 0) -> Attempt:
    """An attempt that began to answer."""
    return Attempt(calling(), f"p{number}", "m", first_event=1.0)


def copied(told: Iterable[ChatEvent]) -> Iterator[ChatEvent]:
    """The events anew: a splice changes those it gets."""
    for event in told:
        copy = ChatEvent()
        copy.CopyFrom(event)
        yield copy


def whole(told: Iterable[ChatEvent]) -> ChatResponse:
    """The answer of events, which must be in legal order and complete."""
    grammar, told = Grammar(), list(told)
    for event in told:
        grammar.feed(event)
    grammar.end()
    return fold(told)


def text_of(response: ChatResponse) -> str:
    """All that the answer says."""
    return "".join(part.text for choice in response.choices for part in choice.message.parts)


def kinds_of(told: Iterable[ChatEvent]) -> set[str | None]:
    """The kinds of parts."""
    return {event.part_start.part.WhichOneof("kind") for event in told if event.HasField("part_start")}


def continuation(rest: str, pieces: int = 3, **usage: int) -> list[ChatEvent]:
    """A stream that says `rest`."""
    told = [ChatEvent(start={"id": "second"}), ChatEvent(part_start={"index": 0, "part": {"text": ""}})]
    size = max(1, -(-len(rest) // pieces))
    told += [ChatEvent(part_delta={"index": 0, "text": rest[at : at + size]}) for at in range(0, len(rest), size)]
    told += [ChatEvent(part_end={"index": 0}), ChatEvent(choice_end={"finish": {"reason": 1}})]
    return [*told, ChatEvent(usage=usage or {"input_tokens": 100, "output_tokens": 7})]


def _cuts(told: list[ChatEvent]) -> range:
    return range(1, len(told), max(1, len(told) // 60))


@pytest.mark.parametrize("recording", _STREAMS, ids=lambda one: one.id)
def test_an_answer_can_be_gone_on_with_wherever_it_breaks_off(recording: Recording) -> None:
    """For every position: either nothing was shown, or the answer cannot be gone on with since a tool was called or it
    was at its end, or what the second target adds makes it whole, in legal order, with the seam and both usages."""
    told = decode([recording.body])
    full = text_of(whole(copied(told)))
    seamed = 0
    for cut in _cuts(told):
        begun = list(copied(told[:cut]))
        splice = Splice(asking(), MidStream.CONTINUE)
        shown = [one for event in begun for one in splice.feed([event])]
        said = text_of(fold(copied(shown)))
        if not splice.continues():
            ended = any(event.HasField("choice_end") for event in begun)
            assert ended or not said or kinds_of(begun) - {"text", "reasoning"} or _choices(begun) > 1
            continue
        seamed += 1
        first = attempt()
        request = splice.resume(first)
        assert request.messages[-1].role == content_pb2.ROLE_ASSISTANT
        assert request.messages[-1].parts[0].text == said.rstrip()
        assert first.estimated
        assert first.usage is not None

        rest = full[len(said.rstrip()) :] or "."
        shown += [one for event in continuation(rest) for one in splice.feed([event])] + splice.end()
        answer = whole(shown)
        assert "".join(text_of(answer).split()) == "".join((said + rest).split()) if said.strip() else True
        assert answer.usage.input_tokens == first.usage.input_tokens + 100
        assert answer.usage.output_tokens == first.usage.output_tokens + 7
        assert json.loads(answer.choices[0].message.extras["trunkline"]) == {"seams": [len(said)]}
    assert seamed or not full or kinds_of(told) - {"text"} or _choices(told) > 1 or len(told) < 6


def _choices(told: Iterable[ChatEvent]) -> int:
    starts = {event.part_start.choice for event in told if event.HasField("part_start")}
    return max(starts, default=0) + 1


_WORDS = st.text(alphabet="ab \n", max_size=12)


@given(first=_WORDS.filter(str.strip), second=_WORDS, third=_WORDS, pieces=st.integers(1, 5))
def test_seams_neither_lose_nor_repeat(first: str, second: str, third: str, pieces: int) -> None:
    """Over two seams, of texts and pieces of any size: all that is not white space at a seam is there, once, in order,
    and each seam is told by its place in the text."""
    splice = Splice(asking(), MidStream.CONTINUE)
    shown = splice.feed(list(continuation(first, pieces)[:-3]))
    shown = [event for event in shown if not event.HasField("part_end")]
    splice.resume(attempt())
    shown += [one for event in continuation(second, pieces)[:-3] for one in splice.feed([event])]
    splice.resume(attempt(1))
    shown += [one for event in continuation(third, pieces) for one in splice.feed([event])] + splice.end()

    answer = whole(shown)
    said = text_of(answer)
    assert "".join(said.split()) == "".join((first + second + third).split())
    assert len(answer.choices[0].message.parts) == 1
    seams = json.loads(answer.choices[0].message.extras["trunkline"])["seams"]
    assert seams[0] == len(first)
    for seam in seams:
        assert not (said[seam - 1].isspace() and said[seam : seam + 1].isspace())


def test_usage_is_summed_however_it_is_told() -> None:
    """Anthropic tells what was read at the beginning and what was written at the end; of a later attempt each is added
    to what the earlier one used."""
    splice = Splice(asking(), MidStream.CONTINUE)
    shown = splice.feed(continuation("Hello", 1)[:3])
    first = attempt()
    splice.resume(first)
    told = continuation(" there")
    told[-1:] = []
    told.insert(1, ChatEvent(usage={"input_tokens": 30, "cached_input_tokens": 20}))
    told.append(ChatEvent(usage={"output_tokens": 4}))
    shown += [one for event in told for one in splice.feed([event])] + splice.end()

    answer = whole(shown)
    assert first.usage is not None
    assert answer.usage.input_tokens == first.usage.input_tokens + 30
    assert answer.usage.cached_input_tokens == 20
    assert answer.usage.output_tokens == first.usage.output_tokens + 4


def test_usage_that_nobody_tells_is_estimated() -> None:
    """Where the later target is silent about what it used, the caller is told the sum of estimates."""
    splice = Splice(asking(), MidStream.CONTINUE)
    shown = splice.feed(continuation("Hello")[:3])
    first = attempt()
    splice.resume(first)
    shown += [one for event in continuation(" there and more of it")[:-1] for one in splice.feed([event])]

    answer = whole(shown + splice.end())
    assert first.usage is not None
    assert answer.usage.input_tokens > first.usage.input_tokens > 0
    assert answer.usage.output_tokens > first.usage.output_tokens > 0


def test_what_follows_in_other_parts() -> None:
    """Reasoning and calls of the later target stand behind what was said, and parts that were left open are closed."""
    splice = Splice(asking(), MidStream.CONTINUE)
    begun = [
        ChatEvent(start={"id": "first"}),
        ChatEvent(part_start={"index": 0, "part": {"reasoning": {"text": "hm"}}}),
        ChatEvent(part_start={"index": 1, "part": {"text": "Let me "}}),
        ChatEvent(part_delta={"index": 0, "text": "m"}),
        ChatEvent(part_delta={"index": 1, "text": "see"}),
    ]
    shown = splice.feed(begun)
    request = splice.resume(attempt())
    assert request.messages[-1].parts[0].text == "Let me see"
    later = [
        ChatEvent(start={"id": "second"}),
        ChatEvent(part_start={"index": 0, "part": {"text": "."}}),
        ChatEvent(part_start={"index": 1, "part": {"tool_call": {"id": "c", "name": "look"}}}),
        ChatEvent(part_delta={"index": 1, "text": "{}"}),
        ChatEvent(part_start={"index": 2, "part": {"tool_call": {"id": "d", "name": "look"}}}),
        ChatEvent(part_delta={"index": 2, "text": "[]"}),
        ChatEvent(part_end={"index": 2}),
        ChatEvent(part_end={"index": 0}),
        ChatEvent(part_end={"index": 1}),
        ChatEvent(choice_end={"finish": {"reason": 1}}),
    ]
    shown += splice.feed(later) + splice.end()

    parts = whole(shown).choices[0].message.parts
    assert [part.WhichOneof("kind") for part in parts] == ["reasoning", "text", "tool_call", "tool_call"]
    assert parts[0].reasoning.text == "hmm"
    assert parts[1].text == "Let me see."
    assert [part.tool_call.arguments_json for part in parts[2:]] == ["{}", "[]"]
    assert not splice.continues()


def test_a_call_of_a_tool_is_never_gone_on_with() -> None:
    """Neither within it nor behind it."""
    splice = Splice(asking(), MidStream.CONTINUE)
    splice.feed(continuation("Let me see")[:3])
    assert splice.continues()
    splice.feed([ChatEvent(part_start={"index": 1, "part": {"tool_call": {"id": "c", "name": "look"}}})])
    assert not splice.continues()


@pytest.mark.parametrize("mode", [MidStream.RESTART, MidStream.CONTINUE])
def test_nothing_is_shown_before_the_answer_itself(mode: MidStream) -> None:
    """So that another target can begin anew, of which nothing is seen twice."""
    told = events("Hello")
    splice = Splice(asking(), mode)
    assert splice.feed(told[:2]) == []
    assert splice.feed(told[2:3]) == told[:3]
    assert splice.feed(told[3:]) == told[3:]
    assert splice.continues() is False


def test_an_answer_that_is_empty_is_shown_at_its_end() -> None:
    """What was held back is told after all."""
    splice = Splice(asking(), MidStream.RESTART)
    told = [ChatEvent(start={"id": "r"}), ChatEvent(usage={"input_tokens": 3})]
    assert splice.feed(told) == []
    assert splice.end() == told
    assert splice.end() == []


@pytest.mark.parametrize(
    "request_", [asking(choice_count=2), asking(completion={}), asking()], ids=["choices", "completion", "plain"]
)
def test_what_cannot_be_gone_on_with(request_: ChatRequest) -> None:
    """Several choices, and the completion of a text."""
    splice = Splice(request_, MidStream.CONTINUE)
    splice.feed(continuation("Hello")[:3])
    assert splice.continues() == (request_ == asking())


def test_reasoning_is_off_where_an_answer_is_gone_on_with() -> None:
    """As nobody takes the beginning of an answer and reasons."""
    splice = Splice(asking(reasoning={"effort": "high"}), MidStream.CONTINUE)
    splice.feed(continuation("Hello ")[:3])
    request = splice.resume(attempt())
    assert not request.reasoning.effort
    assert not request.reasoning.enabled
    assert request.reasoning.HasField("enabled")
