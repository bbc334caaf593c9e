"""What a request lets an answer grow to, and what it asks to be told about it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from providers.sim.asking import WEATHER, ask, stream

from trunkline.providers.sim.limits import limit, used
from trunkline.providers.sim.scripts import Said, ToolCall
from trunkline.providers.sim.tokens import count, tokens, words
from trunkline.providers.sim.transport import SimTransport


@given(st.text())
def test_tokens_and_words_add_up_to_the_text(text: str) -> None:
    """Nothing is lost between the pieces, and there are as many tokens as are counted."""
    assert "".join(tokens(text)) == text
    assert "".join(words(text)) == text
    assert len(list(tokens(text))) == count(text)


@given(st.text(), st.text(), st.text(), st.integers(1, 40))
def test_a_budget_is_never_passed(reasoning: str, text: str, arguments: str, budget: int) -> None:
    """An answer is cut to its budget, ends with `length` then, and is a beginning of the whole."""
    whole = Said(reasoning=reasoning, text=text, calls=[ToolCall("1", "f", arguments)], finish="tool_calls")
    cut = limit(whole, [], budget)
    assert used(cut) <= budget
    assert (cut == whole) if used(whole) <= budget else (cut.finish == "length")
    assert reasoning.startswith(cut.reasoning)
    assert text.startswith(cut.text)


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_the_token_limit_ends_the_answer(transport: SimTransport, field: str) -> None:
    """The answer stops at the limit, in a stream and without one, and says why."""
    unary = (await ask(transport, "echo", "0123456789", **{field: 2})).completion
    assert unary.choices[0].message.content == "01234567"
    assert unary.choices[0].finish_reason == "length"
    assert unary.usage is not None
    assert unary.usage.completion_tokens == 2
    events = (await stream(transport, "echo", "0123456789", **{field: 2})).events
    assert events[-2].choices[0].finish_reason == "length"


async def test_tool_arguments_are_cut_as_well(transport: SimTransport) -> None:
    """A token limit may leave arguments that are no JSON."""
    got = await ask(transport, "tool", tools=[WEATHER], max_tokens=1)
    choice = got.completion.choices[0]
    assert choice.finish_reason == "length"
    assert choice.message.tool_calls is not None
    assert [call.function.arguments for call in choice.message.tool_calls if call.type == "function"] == ['{"ci']


@pytest.mark.parametrize(
    ("stop", "text"), [("c", "ab"), (["d", "b"], "a"), (["x"], "abcd"), ("", "abcd"), ([], "abcd")]
)
async def test_the_first_stop_sequence_ends_the_answer(transport: SimTransport, stop: object, text: str) -> None:
    """The answer ends before the earliest of the stop sequences."""
    choice = (await ask(transport, "echo", "abcd", stop=stop)).completion.choices[0]
    assert (choice.message.content, choice.finish_reason) == (text, "stop")


async def test_usage_counts_four_characters_a_token(transport: SimTransport) -> None:
    """The prompt is counted message by message; choices add up."""
    messages = [{"role": "system", "content": "12345"}, {"role": "user", "content": "1234"}]
    usage = (await ask(transport, "echo", messages=messages, n=2)).completion.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 1 + 2, 6)


async def test_usage_is_streamed_only_where_asked_for(transport: SimTransport) -> None:
    """With `include_usage` the last chunk alone holds usage and no choices; without it none does."""
    *others, last = (await stream(transport, "echo")).events
    assert last.choices == []
    assert last.usage is not None
    assert all(event.usage is None and event.choices for event in others)
    plain = (await stream(transport, "echo", stream_options=None)).events
    assert all(event.usage is None and event.choices for event in plain)


async def test_logprobs_tell_every_token(transport: SimTransport) -> None:
    """The tokens add up to the text, each with its bytes and the alternatives asked for, likeliest first."""
    fields = {"logprobs": True, "top_logprobs": 3}
    logprobs = (await ask(transport, "echo", "Grüße, world", **fields)).completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(token.token for token in logprobs.content) == "Grüße, world"
    for token in logprobs.content:
        assert bytes(token.bytes or ()).decode() == token.token
        assert token.top_logprobs[0].token == token.token
        ranks = [top.logprob for top in token.top_logprobs]
        assert ranks == sorted(ranks, reverse=True)
        assert len(ranks) == 3
    streamed = [
        token
        for event in (await stream(transport, "echo", "Grüße, world", **fields)).events
        for choice in event.choices
        if choice.logprobs is not None
        for token in choice.logprobs.content or ()
    ]
    assert [token.model_dump() for token in streamed] == [token.model_dump() for token in logprobs.content]


async def test_no_logprobs_unless_asked_for(transport: SimTransport) -> None:
    """Without `logprobs` none are told; with it alone, no alternatives are."""
    assert (await ask(transport, "echo")).completion.choices[0].logprobs is None
    logprobs = (await ask(transport, "echo", logprobs=True)).completion.choices[0].logprobs
    assert logprobs is not None
    assert all(token.top_logprobs == [] for token in logprobs.content or ())


async def test_a_seed_makes_ids_repeatable(transport: SimTransport) -> None:
    """The same seed gives the same ids, whether it is in the request or in the name; without one they differ."""
    tools = [WEATHER]

    async def ids(model: str, **fields: Any) -> tuple[str, str]:
        completion = (await ask(transport, model, tools=tools, **fields)).completion
        assert completion.choices[0].message.tool_calls is not None
        return completion.id, completion.choices[0].message.tool_calls[0].id

    assert await ids("tool", seed=3) == await ids("tool:seed=3") != await ids("tool", seed=4)
    assert await ids("tool") != await ids("tool")


async def test_answers_that_take_too_much_memory_are_refused(transport: SimTransport) -> None:
    """Many long answers, and many log probabilities, are errors before they are made."""
    got = await ask(transport, "long:tokens=1000000", n=128)
    assert (got.status, got.error["param"]) == (400, "n")
    got = await ask(transport, "long:tokens=100000", logprobs=True, top_logprobs=1)
    assert (got.status, got.error["param"]) == (400, "logprobs")
