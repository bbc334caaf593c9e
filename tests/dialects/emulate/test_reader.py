"""The answer of a model that was asked for JSON in another way, read as the answer of one that writes it itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.fold import fold, unfold
from trunkline.core.grammar import Grammar
from trunkline.dialects.emulate import Plan, Reader
from trunkline.dialects.emulate.cutter import Cutter, cut_out
from trunkline.dialects.emulate.schema import sorts_of
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, Choice, Finish, Usage
from trunkline.v1.content_pb2 import Citation, Message, Opaque, Part, Reasoning, TokenLogprob, ToolCall

STOP = Finish(reason=chat_pb2.FINISH_REASON_STOP, native_reason="end_turn")
CALLED = Finish(reason=chat_pb2.FINISH_REASON_TOOL_CALLS, native_reason="tool_use")
LENGTH = Finish(reason=chat_pb2.FINISH_REASON_LENGTH)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab"\\{}[]`é', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"{', max_size=3), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text('a"{[', max_size=3), JSON, max_size=3)
PROSE = st.sampled_from(
    ["", "Sure! ", "Here {you} are [sic], as of 2024:\n", "a { b [ c\n", "```json\n", "{{x}} [link] "]
)
AFTER = st.sampled_from(["", "\n```", " Done.", ' {"more": 1}', "}", "]]"])


def plan(schema: Any = None, tool: str = "") -> Plan:
    """How the answer was asked for."""
    return Plan(ChatRequest(), tool, schema, frozenset({"object"}) if schema is None else sorts_of(schema))


def answer(*parts: Part, finish: Finish = STOP, **more: Any) -> ChatResponse:
    """An answer of one choice."""
    message = Message(role=content_pb2.ROLE_ASSISTANT, parts=parts)
    return ChatResponse(choices=[Choice(message=message, finish=finish)], **more)


def told(events: Iterable[ChatEvent], of: Plan) -> list[ChatEvent]:
    """What the caller is told, which is in legal order."""
    reader, grammar, own = Reader(of), Grammar(), []
    for event in events:
        for one in reader.feed(event):
            grammar.feed(one)
            own.append(one)
    grammar.end()
    return own


def read(response: ChatResponse, of: Plan) -> ChatResponse:
    """The answer as the caller gets it."""
    return fold(told(unfold(response), of))


def parts_of(response: ChatResponse) -> Sequence[Part]:
    """The parts of its only choice."""
    return response.choices[0].message.parts


def text_of(response: ChatResponse) -> str:
    """The text of an answer that is one text."""
    [part] = parts_of(response)
    assert part.WhichOneof("kind") == "text"
    return part.text


def call(name: str, arguments: Any, own: str = "c") -> Part:
    """A call of a tool."""
    return Part(tool_call=ToolCall(id=own, name=name, arguments_json=json.dumps(arguments)))


def cuts(text: str, places: Iterable[int]) -> list[str]:
    """`text`, cut at `places`."""
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def streamed(pieces: Sequence[str]) -> list[ChatEvent]:
    """A text as a stream of `pieces`."""
    events = list(unfold(answer(Part(text="x"))))
    deltas = [ChatEvent(part_delta=chat_pb2.PartDelta(text=piece)) for piece in pieces]
    return [one for event in events for one in (deltas if event.HasField("part_delta") else [event])]


@given(PROSE, OBJECTS, AFTER, st.booleans(), st.lists(st.integers(0, 400), max_size=6))
def test_the_object_in_a_text(before: str, value: Any, after: str, wide: bool, places: list[int]) -> None:
    """However the text is cut and whatever stands around the object, the caller gets the object as it was written."""
    written = json.dumps(value, indent=2 if wide else None, ensure_ascii=wide)
    text = f"{before}{written}{after}"
    assert text_of(read(answer(Part(text=text)), plan())) == written
    assert text_of(fold(told(streamed(cuts(text, places)), plan()))) == written


@given(PROSE, st.lists(JSON, max_size=3), AFTER, st.lists(st.integers(0, 400), max_size=6))
def test_the_array_in_a_text(before: str, value: Any, after: str, places: list[int]) -> None:
    """So with arrays, where one is asked for."""
    written = json.dumps(value)
    of = plan({"type": "array"})
    assert text_of(fold(told(streamed(cuts(before + written + after, places)), of))) == written


@given(st.text('{}[]"\\`a1 \n', max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_every_split_gives_the_same(text: str, places: list[int]) -> None:
    """Of the cutter, whatever it is given."""
    whole, split = Cutter({"object", "array"}), Cutter({"object", "array"})
    assert whole.feed(text) == "".join(split.feed(piece) for piece in cuts(text, places))
    assert (whole.begun, whole.ended) == (split.begun, split.ended)


@given(JSON, st.sampled_from(["{}", " {} \n", "```json\n{}\n```", "It is:\n```\n{}\n```\nGood."]))
def test_a_value_of_any_sort(value: Any, around: str) -> None:
    """Where it may be a text or a number too, the value is told at the end, without the fence."""
    written = json.dumps(value)
    assert text_of(read(answer(Part(text=around.replace("{}", written, 1))), plan({}))) == written


@pytest.mark.parametrize(
    ("text", "sorts", "found"),
    [
        ("42", {"number"}, "42"),
        ("The answer is 42.", {"number"}, "The answer is 42."),
        ('See: {"a": 1}.', {"object", "null"}, '{"a": 1}'),
        ("None: null", {"object", "null"}, "None: null"),
        ("```", {"string"}, "```"),
    ],
)
def test_what_is_cut_out_of_a_whole_text(text: str, sorts: set[str], found: str) -> None:
    """A scalar must stand alone: any word of a sentence might be one."""
    assert cut_out(text, sorts) == found


def test_a_tools_arguments_are_the_answer() -> None:
    """As a text; the call is not told, nor what was said before it, and the answer ended as answers do."""
    said = answer(Part(text="Let me see."), call("answer", {"a": 1}), finish=CALLED, usage=Usage(output_tokens=3))
    response = read(said, plan({"type": "object"}, "answer"))
    assert text_of(response) == '{"a": 1}'
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_STOP
    assert response.usage == said.usage


def test_a_tools_arguments_come_as_they_are_written() -> None:
    """Each piece is told when it comes."""
    events = list(unfold(answer(call("answer", {}), finish=CALLED)))
    pieces = ['{"a"', ": ", '"b', '"}']
    deltas = [ChatEvent(part_delta=chat_pb2.PartDelta(text=piece)) for piece in pieces]
    stream = [one for event in events for one in (deltas if event.HasField("part_delta") else [event])]
    own = told(stream, plan({"type": "object"}, "answer"))
    assert [event.part_delta.text for event in own if event.HasField("part_delta")] == pieces


def test_an_object_comes_as_it_is_written() -> None:
    """From its first brace on, whatever was held before."""
    own = told(streamed(["Sure", ":\n{", '"a": [', "1]", "}", "\nBye"]), plan())
    assert [event.part_delta.text for event in own if event.HasField("part_delta")] == ['{"a": [', "1]", "}"]


def test_the_callers_own_tools() -> None:
    """Calls of them are told with what was said before, and the answer is not missed."""
    said = answer(Part(text="Let me look."), call("weather", {}), call("time", {}, "d"), finish=CALLED)
    for of in (plan({"type": "object"}, "answer"), plan(), plan({"type": "string"})):
        assert read(said, of) == said


def test_calls_beside_the_answer() -> None:
    """Both are told, and the caller is to run the calls."""
    said = answer(call("answer", {"a": 1}), call("weather", {}), call("answer", {"a": 2}), finish=CALLED)
    response = read(said, plan({"type": "object"}, "answer"))
    assert [part.WhichOneof("kind") for part in parts_of(response)] == ["text", "tool_call"]
    assert parts_of(response)[0].text == '{"a": 1}'
    assert response.choices[0].finish == CALLED


def test_a_text_in_place_of_the_call() -> None:
    """A model that writes what it should call a tool with is understood."""
    of = plan({"type": "object"}, "answer")
    assert text_of(read(answer(Part(text='```json\n{"a": 1}\n```')), of)) == '{"a": 1}'
    assert text_of(read(answer(Part(text='I think {"a": 1} will do.')), of)) == '{"a": 1}'


def test_reasoning_and_blocks_are_kept() -> None:
    """Whatever else the model wrote comes as it is, signatures too, and in its order."""
    thought = Part(reasoning=Reasoning(text="Hm {"), extras={"anthropic": '{"signature":"x"}'})
    block = Part(opaque=Opaque(dialect="anthropic", json='{"type":"server_tool_use"}'))
    said = answer(thought, Part(text="So: "), block, Part(text='{"a": '), Part(text="1}"))
    assert list(parts_of(read(said, plan()))) == [thought, block, Part(text='{"a": 1}')]


@pytest.mark.parametrize("of", [plan(), plan({"type": "object"}, "answer"), plan({"type": "number"})])
def test_a_refusal(of: Plan) -> None:
    """It is told as one, in place of the answer."""
    said = answer(Part(refusal="I will not."))
    assert read(said, of) == said


@pytest.mark.parametrize(
    "finish",
    [
        LENGTH,
        Finish(reason=chat_pb2.FINISH_REASON_CONTENT_FILTER),
        Finish(reason=chat_pb2.FINISH_REASON_OTHER, native_reason="pause_turn"),
        Finish(reason=chat_pb2.FINISH_REASON_STOP, stop_sequence="END"),
    ],
)
def test_an_answer_that_was_cut(finish: Finish) -> None:
    """It is told as far as it goes, with the reason, as a target with schemas of its own tells it."""
    response = read(answer(Part(text='Sure: {"a": [1'), finish=finish), plan())
    assert text_of(response) == '{"a": [1'
    assert response.choices[0].finish == finish

    tool = plan({"type": "object"}, "answer")
    half = Part(tool_call=ToolCall(id="c", name="answer", arguments_json='{"a'))
    assert text_of(read(answer(half, finish=finish), tool)) == '{"a'
    for of in (plan(), tool, plan({"type": "string"})):
        assert text_of(read(answer(Part(text="Well, "), finish=finish), of)) == "Well, "


@pytest.mark.parametrize(
    ("parts", "schema", "why"),
    [
        ([Part(text="I cannot do that.")], None, "not the JSON"),
        ([], None, "not the JSON"),
        ([Part(text='{"a": 1')], None, "not the JSON"),
        ([Part(text='{"a": 1]')], None, "not the JSON"),
        ([Part(text="[1]")], None, "not the JSON"),
        ([Part(text='{"b": 1}')], {"type": "object", "required": ["a"]}, "`$.a` is required"),
        ([Part(text='"x"')], {"type": "number"}, "must be of type number"),
        ([Part(text="yes")], {"type": "boolean"}, "not the JSON"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for(parts: list[Part], schema: Any, why: str) -> None:
    """It does not pass for one: the provider failed, so that another may be asked."""
    with pytest.raises(GatewayError, match="model's answer") as caught:
        read(answer(*parts), plan(schema))
    assert why in caught.value.message
    assert caught.value.reason == errors_pb2.ERROR_REASON_PROVIDER_FAILED


def test_several_choices() -> None:
    """Each is read by itself, however they are mixed."""
    texts = ['Sure {"a": 1}', '{"b": 2} so', "```\n{}\n```"]
    single = [
        [event for event in streamed(cuts(text, range(0, 40, 3))) if not event.HasField("start")] for text in texts
    ]
    mixed = [next(iter(unfold(answer())))]
    for step in range(max(map(len, single))):
        for index, events in enumerate(single):
            if step < len(events):
                event = events[step]
                kind = event.WhichOneof("event")
                assert kind is not None
                getattr(event, kind).choice = index
                mixed.append(event)
    response = fold(told(mixed, plan()))
    assert [choice.message.parts[0].text for choice in response.choices] == ['{"a": 1}', '{"b": 2}', "{}"]


def test_what_parts_tell_beside_their_text() -> None:
    """Extras and sources are kept; where in the text a source belongs is not, as that was cut."""
    source = Citation(uri="https://example.com", start_index=3, end_index=5)
    said = answer(Part(text='Well: {"a": 1}', citations=[source], extras={"openai": '{"x":1}'}))
    [part] = parts_of(read(said, plan()))
    assert part.citations[0] == Citation(uri="https://example.com")
    assert part.extras == {"openai": '{"x":1}'}

    beside = answer(Part(text="Well", extras={"openai": '{"x":1}'}), call("weather", {}), finish=CALLED)
    assert read(beside, plan()) == beside


def test_log_probabilities() -> None:
    """Those of all that the model wrote are told."""
    tokens = [TokenLogprob(token=token, logprob=-1) for token in ("So: ", '{"a"', ": 1}", " Bye")]
    [part] = parts_of(read(answer(Part(text='So: {"a": 1} Bye', logprobs=tokens)), plan()))
    assert list(part.logprobs) == tokens
    beside = answer(Part(text="So", logprobs=tokens[:1]), call("weather", {}), finish=CALLED)
    assert read(beside, plan()) == beside


def test_an_answer_without_end() -> None:
    """What is held is bounded."""
    reader = Reader(plan())
    for event in streamed(["a"]):
        if event.HasField("part_delta"):
            break
        reader.feed(event)
    endless = ChatEvent(part_delta=chat_pb2.PartDelta(text="a" * (1 << 20)))
    with pytest.raises(GatewayError, match="longer than"):
        for _ in range(20):
            reader.feed(endless)


def test_braces_and_blanks_without_end() -> None:
    """A brace behind which nothing comes is not waited for: each piece costs as much as it is long."""
    cutter = Cutter({"object"})
    assert [cutter.feed("{" + " " * 300), cutter.feed('"'), cutter.begun] == ["", "", False]
    assert cutter.feed('{ "a": 1}') == '{ "a": 1}'
