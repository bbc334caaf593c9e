"""What the simulated models say."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from openai.types.chat import ChatCompletionChunk
from providers.sim.asking import CLOCK, WEATHER, ask, stream

from trunkline.providers.sim.scripts import SCRIPTS, story
from trunkline.providers.sim.tokens import count, words
from trunkline.providers.sim.transport import SimTransport

_WHOLE: dict[str, dict[str, Any]] = {
    "tool": {"tools": [WEATHER, CLOCK]},
    "tools-parallel": {"tools": [WEATHER, CLOCK]},
    "json": {"response_format": {"type": "json_schema", "json_schema": {"name": "it", "schema": {"type": "object"}}}},
}


def _folded(events: list[ChatCompletionChunk], choice: int) -> dict[str, Any]:
    """The message that the deltas of one choice add up to."""
    text, refusal, reasoning, finish = "", "", "", None
    calls: list[dict[str, str]] = []
    for event in events:
        for part in event.choices:
            if part.index != choice:
                continue
            delta = part.delta
            text += delta.content or ""
            refusal += delta.refusal or ""
            reasoning += getattr(delta, "reasoning_content", None) or ""
            for call in delta.tool_calls or ():
                assert call.function is not None
                if call.id is not None:
                    assert call.index == len(calls)
                    calls.append({"id": call.id, "name": call.function.name or "", "arguments": ""})
                calls[call.index]["arguments"] += call.function.arguments or ""
            finish = part.finish_reason or finish
    return {"text": text, "refusal": refusal, "reasoning": reasoning, "calls": calls, "finish": finish}


@pytest.mark.parametrize("model", SCRIPTS)
@pytest.mark.parametrize("choices", [1, 3])
async def test_stream_adds_up_to_the_unary_answer(transport: SimTransport, model: str, choices: int) -> None:
    """The deltas of each choice, and the usage, are those of the unary answer to the same request."""
    name = f"{model}:seed=7" + (",delay=0" if model == "long" else "")
    fields = {"n": choices, **_WHOLE.get(model, {})}
    unary = (await ask(transport, name, **fields)).completion
    events = (await stream(transport, name, **fields)).events
    assert len(unary.choices) == choices
    for choice in unary.choices:
        message = choice.message
        folded = _folded(events, choice.index)
        if model == "request":  # its answer is the request, which says whether it wants a stream
            folded["text"] = message.content
        assert folded == {
            "text": message.content or "",
            "refusal": message.refusal or "",
            "reasoning": getattr(message, "reasoning_content", None) or "",
            "calls": [
                {"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
                for call in message.tool_calls or ()
                if call.type == "function"
            ],
            "finish": choice.finish_reason,
        }
    assert events[0].id == unary.id
    if model != "request":
        assert events[-1].usage == unary.usage


async def test_echo_says_the_last_user_text(transport: SimTransport) -> None:
    """Text parts of the last user message are joined, other parts and later turns passed over."""
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": None},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}],
        },
        {"role": "assistant", "content": "later"},
    ]
    assert (await ask(transport, "echo", messages=messages)).completion.choices[0].message.content == "ab"


async def test_echo_streams_words(transport: SimTransport) -> None:
    """Each delta is a word with the space after it, and the first one carries the role."""
    events = (await stream(transport, "echo", "Hello there,  old\nworld")).events
    deltas = [event.choices[0].delta for event in events if event.choices]
    assert [delta.content for delta in deltas] == ["", "Hello ", "there,  ", "old\n", "world", None]
    assert deltas[0].role == "assistant"


async def test_choices_are_interleaved_and_differ(transport: SimTransport) -> None:
    """The events of several choices alternate, and each choice says something of its own."""
    events = (await stream(transport, "echo", "one two", n=2)).events
    assert [event.choices[0].index for event in events if event.choices][:6] == [0, 1, 0, 1, 0, 1]
    assert _folded(events, 0)["text"] == "one two"
    assert _folded(events, 1)["text"] == "one two (2)"


async def test_tool_round_trip(transport: SimTransport) -> None:
    """The first tool is called with valid arguments, and its result is told with its name."""
    choice = (await ask(transport, "tool", tools=[WEATHER, CLOCK])).completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    [call] = choice.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "get_weather"
    jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])  # type: ignore[index]

    messages = [
        {"role": "user", "content": "Weather?"},
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": [{"type": "text", "text": "21 degrees"}]},
    ]
    answer = (await ask(transport, "tool", tools=[WEATHER], messages=messages)).completion.choices[0]
    assert answer.message.content == "get_weather answered: 21 degrees"
    assert answer.finish_reason == "stop"


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("auto", ["get_weather"]),
        ("required", ["get_weather"]),
        ("none", []),
        ({"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [CLOCK]}}, ["get_time"]),
    ],
)
async def test_tool_choice_is_honoured(transport: SimTransport, choice: object, called: list[str]) -> None:
    """The tool that is called is one that the request leaves."""
    message = (await ask(transport, "tool", tools=[WEATHER, CLOCK], tool_choice=choice)).completion.choices[0].message
    assert [call.function.name for call in message.tool_calls or () if call.type == "function"] == called


async def test_tool_choice_of_no_tool_is_refused(transport: SimTransport) -> None:
    """A forced tool that is not among the tools is an error that names the field."""
    choice = {"type": "function", "function": {"name": "get_lost"}}
    got = await ask(transport, "tool", tools=[WEATHER], tool_choice=choice)
    assert (got.status, got.error["param"]) == (400, "tool_choice")


@pytest.mark.parametrize(("parallel", "calls"), [(None, 2), (True, 2), (False, 1)])
async def test_parallel_tools(transport: SimTransport, parallel: bool | None, calls: int) -> None:
    """Every tool is called at once, unless the request forbids it; each call has its own id."""
    got = await ask(transport, "tools-parallel", tools=[WEATHER, CLOCK], parallel_tool_calls=parallel)
    ids = [call.id for call in got.completion.choices[0].message.tool_calls or ()]
    assert len(set(ids)) == calls


async def test_json_object(transport: SimTransport) -> None:
    """Without a schema, the answer is an object."""
    got = await ask(transport, "json", 'say "hi"', response_format={"type": "json_object"})
    assert json.loads(got.completion.choices[0].message.content or "") == {"answer": 'say "hi"'}


async def test_reasoning_comes_first_and_is_counted(transport: SimTransport) -> None:
    """All reasoning precedes the text, and is a part of the completion tokens."""
    events = (await stream(transport, "reasoning:tokens=5", "four")).events
    kinds = [
        "reasoning" if getattr(event.choices[0].delta, "reasoning_content", None) else "text"
        for event in events
        if event.choices and (event.choices[0].delta.content != "" and event.choices[0].finish_reason is None)
    ]
    assert kinds == ["reasoning"] * 5 + ["text"]
    usage = events[-1].usage
    assert usage is not None
    assert usage.completion_tokens == 6
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 5


@pytest.mark.parametrize("tokens", [1, 2, 99, 1000])
def test_a_story_has_a_delta_for_each_token(tokens: int) -> None:
    """A long answer of n tokens is n words, so a stream of it has n deltas."""
    text = story(tokens)
    assert count(text) == tokens
    assert len(list(words(text))) == tokens


async def test_request_says_what_reached_it(transport: SimTransport) -> None:
    """The bytes of the request come back unchanged."""
    got = await ask(transport, "request", "Grüße", unknown={"b": 1, "a": 12345678901234567890})
    content = json.loads(got.completion.choices[0].message.content or "")
    assert list(content["unknown"].items()) == [("b", 1), ("a", 12345678901234567890)]
