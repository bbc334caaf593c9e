"""Answers that were to be JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins import damage

from trunkline.call import Call
from trunkline.core.fold import fold
from trunkline.core.grammar import Grammar
from trunkline.core.plugin import Plugins, Prepared
from trunkline.dialects import emulate
from trunkline.plugins.response_healing import ResponseHealing
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import (
    ChatEvent,
    ChatRequest,
    ChatResponse,
    Choice,
    ChoiceEnd,
    Finish,
    Plugin,
    ResponseFormat,
)
from trunkline.v1.content_pb2 import Citation, Message, Part, TokenLogprob

OBJECT = ResponseFormat(json_object={})
STOP, LENGTH = chat_pb2.FINISH_REASON_STOP, chat_pb2.FINISH_REASON_LENGTH
ASSISTANT = content_pb2.ROLE_ASSISTANT


async def prepared(form: ResponseFormat | None = OBJECT) -> tuple[Prepared, Call]:
    """What heals the answer to one request."""
    request = ChatRequest(model="m", response_format=form, plugins=[Plugin(id="response-healing")])
    call = Call("id", "grpc")
    return await Plugins([ResponseHealing()]).prepare(request, call), call


def answer(*parts: Part, finish: Finish | None = None) -> ChatResponse:
    """An answer of one choice."""
    message = Message(role=ASSISTANT, parts=parts)
    return ChatResponse(choices=[Choice(message=message, finish=finish or Finish(reason=STOP))])


def schema(**properties: Any) -> ResponseFormat:
    """A form with a schema."""
    text = json.dumps({"type": "object", "properties": properties, "required": [*properties]})
    return ResponseFormat(json_schema={"name": "x", "schema_json": text})


def streamed(texts: list[list[str]], reason: chat_pb2.FinishReason.ValueType, *, interleaved: bool) -> list[ChatEvent]:
    """The events of choices whose one text comes in pieces."""
    events = [ChatEvent(start={"id": "a"})]
    pieces = [
        [
            ChatEvent(part_start={"choice": index, "part": {"text": text[0] if text else ""}}),
            *(ChatEvent(part_delta={"choice": index, "text": piece}) for piece in text[1:]),
            ChatEvent(part_end={"choice": index}),
            ChatEvent(choice_end={"choice": index, "finish": {"reason": reason}}),
        ]
        for index, text in enumerate(texts)
    ]
    if not interleaved:
        return events + [event for each in pieces for event in each]
    while any(pieces):
        events += [each.pop(0) for each in pieces if each]
    return events


TEXTS = st.one_of(
    damage.OBJECTS.map(json.dumps),
    damage.OBJECTS.map(lambda value: f"Here:\n```json\n{damage.trailing_commas(json.dumps(value))}\n```\nBye"),
    damage.OBJECTS.map(lambda value: damage.unclosed(json.dumps(value))),
    damage.OBJECTS.map(repr),
    st.text(alphabet="{}[]\"':,`/*#ab1 \n\\", max_size=30),
)


@given(data=st.data(), reason=st.sampled_from([STOP, LENGTH]), interleaved=st.booleans())
@settings(max_examples=200, deadline=None)
async def test_a_healed_stream_is_the_healed_answer(
    data: st.DataObject, reason: chat_pb2.FinishReason.ValueType, interleaved: bool
) -> None:
    """Folding the healed events gives the healed answer, and they are a legal stream, however the text was divided."""
    texts: list[list[str]] = []
    for text in data.draw(st.lists(TEXTS, min_size=1, max_size=2)):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
        texts.append([text[low:high] for low, high in zip([0, *cuts], [*cuts, len(text)], strict=True)])
    events = streamed(texts, reason, interleaved=interleaved)
    whole = fold(events)
    unary, _ = await prepared()
    stream, _ = await prepared()
    told = stream.stream(events)
    grammar = Grammar()
    for event in told:
        grammar.feed(event)
    grammar.end()
    assert fold(told) == unary.answer(whole)


async def test_it_is_told_what_was_mended() -> None:
    """The faults stand in the extras of the message, and are counted in the call's record."""
    healing, call = await prepared(schema(a={"type": "integer"}))
    message = healing.answer(answer(Part(text="```\n{'a': 1,}\n```"))).choices[0].message
    assert message.parts[0].text == '{"a": 1}'
    told = json.loads(message.extras["trunkline"])["response-healing"]
    assert told == {"repaired": {"code_fence": 2, "single_quotes": 1, "trailing_comma": 1}}
    assert call.plugins == {
        "response-healing.code_fence": 2,
        "response-healing.single_quotes": 1,
        "response-healing.trailing_comma": 1,
    }


async def test_what_breaks_the_schema_is_told_and_left_as_it_is() -> None:
    """Nothing is converted, left out or filled in to match the schema."""
    healing, call = await prepared(schema(a={"type": "integer"}, b={"type": "string"}))
    message = healing.answer(answer(Part(text='{"a": "1",}'))).choices[0].message
    assert message.parts[0].text == '{"a": "1"}'
    told = json.loads(message.extras["trunkline"])["response-healing"]
    assert told["problem"] == "The answer does not match the schema: `$.b` is required."
    assert call.plugins["response-healing.invalid"] == 1


async def test_what_is_no_json_is_told_once() -> None:
    """What cannot be understood stays as it came."""
    healing, _ = await prepared(schema(a={"type": "integer"}))
    message = healing.answer(answer(Part(text="not json"))).choices[0].message
    told = json.loads(message.extras["trunkline"])["response-healing"]
    assert told == {"problem": "The JSON cannot be read: invalid character (byte 4)."}


@pytest.mark.parametrize(
    "finish",
    [
        Finish(reason=LENGTH),
        Finish(reason=chat_pb2.FINISH_REASON_CONTENT_FILTER),
        Finish(reason=STOP, stop_sequence="x"),
    ],
)
async def test_what_was_cut_is_not_completed(finish: Finish) -> None:
    """An answer that ended by its limit, by a filter or by a stop sequence stays open, and nothing is said of it."""
    healing, _ = await prepared()
    message = healing.answer(answer(Part(text='{"a": [1, 2'), finish=finish)).choices[0].message
    assert message.parts[0].text == '{"a": [1, 2'
    assert "trunkline" not in message.extras


async def test_a_beginning_is_told_at_once() -> None:
    """What is known to be part of the value is not held back; a fence and a comma that may be too much are."""
    healing, _ = await prepared()
    pieces = ["```json\n", '{"a":', " 1", ",", ' "b": "lo', "ng", '"', ",", "\n}", "\n```"]
    told = [
        [one.part_delta.text for one in healing.stream([event]) if one.HasField("part_delta")]
        for event in streamed([pieces], STOP, interleaved=False)
    ]
    assert told[2:11] == [['{"a":'], [" "], ["1"], [', "b": "lo'], ["ng"], ['"'], [], ["\n}"], []]


async def test_what_is_said_beside_calls_stays() -> None:
    """A text before a call of a tool is no answer: it is not checked, and stays where it holds no JSON."""
    healing, _ = await prepared()
    call = Part(tool_call={"id": "a", "name": "f", "arguments_json": "{'not': 'ours',}"})
    given_ = answer(Part(text="Let me see."), call, finish=Finish(reason=chat_pb2.FINISH_REASON_TOOL_CALLS))
    before = ChatResponse()
    before.CopyFrom(given_)
    assert healing.answer(given_) == before


async def test_what_goes_with_the_text_is_kept() -> None:
    """Log probabilities stay in order; citations lose their places, which are others now."""
    healing, _ = await prepared()
    logprobs = [TokenLogprob(token=token) for token in ("```", "{", "}")]
    cited = Citation(uri="https://a.example", start_index=3, end_index=4)
    part = (
        healing.answer(answer(Part(text="```\n{}", logprobs=logprobs, citations=[cited]))).choices[0].message.parts[0]
    )
    assert [one.token for one in part.logprobs] == ["```", "{", "}"]
    assert list(part.citations) == [Citation(uri="https://a.example")]


async def test_without_a_form_nothing_is_done() -> None:
    """An answer that was to be text stays as it is."""
    healing, _ = await prepared(None)
    events = streamed([["{a: 1,}"]], STOP, interleaved=False)
    assert healing.stream(list(events)) == events


async def test_emulated_json_is_mended_before_it_is_checked() -> None:
    """Where a model has no JSON mode, what is almost JSON is no error when it is to be mended."""
    healing, _ = await prepared()
    plan = emulate.plan_of(healing.request, "instruction")
    assert plan is not None
    reader = emulate.Reader(plan)
    said = streamed([["Sure: ", "{'a': ", "1,}"]], STOP, interleaved=False)
    told = [event for one in said for event in reader.feed(one)]
    assert fold(healing.stream(told)).choices[0].message.parts[0].text == '{"a": 1}'


async def test_an_end_alone_is_enough() -> None:
    """A choice without a text is told to be no JSON."""
    healing, _ = await prepared()
    events = healing.stream([ChatEvent(start={}), ChatEvent(choice_end=ChoiceEnd(finish=Finish(reason=STOP)))])
    assert "problem" in events[-1].choice_end.message_extras["trunkline"]
