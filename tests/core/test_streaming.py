"""A streamed answer over targets that fail: it is whole, or its error is told, and nothing is left behind."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest
from core.plans import USUAL, SetPulse, calling, candidate, plan_of
from fakes import virtual_time
from fakes.scripted_provider import Act, ScriptedProvider, events, failure
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.call import Call
from trunkline.core.attempts import Attempts
from trunkline.core.fold import fold
from trunkline.core.grammar import Grammar
from trunkline.core.hedge import Hedge
from trunkline.core.plan import MidStream, Policy
from trunkline.core.streaming import stream_answer
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest

_TOLD = events("Hello there, world")
_PIECES = [
    *_TOLD[:2],
    *(ChatEvent(part_delta={"index": 0, "text": text}) for text in ("Hello ", "there, ", "world")),
    *_TOLD[3:],
]
"""An answer in three pieces of text."""


def begun(count: int) -> list[list[ChatEvent]]:
    """The first events of the answer, one at a time."""
    return [[event] for event in _PIECES[:count]]


@dataclass
class Ended:
    """What the caller saw, when, and how the call ended."""

    call: Call
    events: list[ChatEvent] = field(default_factory=list)
    error: GatewayError | None = None
    took: float = 0.0

    @property
    def text(self) -> str:
        """All that was said."""
        return "".join(part.text for choice in fold(self.events).choices for part in choice.message.parts)


def played(*acts: Act | GatewayError | str | list[Any], policy: Policy = USUAL, deadline: float | None = None) -> Ended:
    """What comes of a stream over one target for each of `acts`, which all go on with what others began."""
    return virtual_time.run(_play(acts, policy, deadline))


async def _play(acts: tuple[Any, ...], policy: Policy, deadline: float | None) -> Ended:
    providers = [
        ScriptedProvider(f"p{number}", act if isinstance(act, list) else [act]) for number, act in enumerate(acts)
    ]
    pulses = [SetPulse() for _ in providers]
    candidates = [
        candidate(provider.name, pulse, provider, prefills=True)
        for provider, pulse in zip(providers, pulses, strict=True)
    ]
    began = time.monotonic()
    ended = Ended(calling(None if deadline is None else began + deadline))
    attempts: Attempts[ChatRequest] = Attempts(plan_of(candidates, policy=policy), ended.call)
    try:
        async with aclosing(stream_answer(attempts, ended.call)) as batches:
            async for batch in batches:
                ended.events += batch
    except GatewayError as error:
        ended.error = error
    ended.took = time.monotonic() - began
    for provider, pulse in zip(providers, pulses, strict=True):
        assert not provider.running
        assert pulse.begun == pulse.over
    assert all(attempt.ended is not None for attempt in ended.call.attempts)
    return ended


def test_another_begins_where_nothing_was_told() -> None:
    """A failure before the first event is not seen."""
    ended = played(failure(), "Hello")

    assert ended.error is None
    assert ended.text == "Hello"
    assert [attempt.outcome for attempt in ended.call.attempts] == ["provider_unavailable", "ok"]
    assert ended.call.provider == "p1"
    assert ended.events[0].start.provider == "p1"


@pytest.mark.parametrize("count", [1, 3])
def test_a_stream_that_breaks_off_is_told(count: int) -> None:
    """By default the caller has what came before, and the error."""
    ended = played(Act(begun(count), failure()), "Hello")

    assert ended.error is not None
    assert len(ended.events) == count
    assert len(ended.call.attempts) == 1


@pytest.mark.parametrize("mode", [MidStream.RESTART, MidStream.CONTINUE])
@pytest.mark.parametrize("count", [1, 2])
def test_another_begins_anew_where_nothing_was_shown(mode: MidStream, count: int) -> None:
    """The beginning of the first attempt is never seen."""
    ended = played(Act(begun(count), failure()), "Hello", policy=Policy(mid_stream=mode))

    assert ended.error is None
    assert ended.events[0].start.provider == "p1"
    assert ended.text == "Hello"
    assert sum(event.HasField("start") for event in ended.events) == 1


def test_what_was_shown_is_not_begun_anew() -> None:
    """As it would be seen twice."""
    ended = played(Act(begun(3), failure()), "Hello", policy=Policy(mid_stream=MidStream.RESTART))

    assert ended.error is not None
    assert ended.text == "Hello "


def test_another_goes_on() -> None:
    """With what was said as the beginning of its own answer."""
    ended = played(Act(begun(4), failure()), "WORLD", policy=Policy(mid_stream=MidStream.CONTINUE))

    assert ended.error is None
    assert ended.text == "Hello there, WORLD"
    assert fold(ended.events).choices[0].message.extras["trunkline"] == '{"seams":[13]}'
    assert ended.call.usage is not None
    assert ended.call.usage.output_tokens > 5
    assert [attempt.outcome for attempt in ended.call.attempts] == ["provider_unavailable", "ok"]


def test_a_third_goes_on_where_the_second_breaks_off_too() -> None:
    """And one that fails at once costs nothing."""
    policy = Policy(mid_stream=MidStream.CONTINUE, retries=0)
    ended = played(Act(begun(3), failure()), failure(), Act(begun(3)[:3], failure()), "end", policy=policy)

    assert ended.error is None
    assert ended.text == "Hello Hello end"


def test_nobody_goes_on() -> None:
    """Where no other target takes what was said, the first error is told at once, without a pause."""

    async def main() -> None:
        first = ScriptedProvider("first", [Act(begun(4), failure(errors_pb2.ERROR_REASON_PROVIDER_FAILED))])
        plan = plan_of(
            [candidate("first", provider=first), candidate("second")], policy=Policy(mid_stream=MidStream.CONTINUE)
        )
        attempts: Attempts[ChatRequest] = Attempts(plan, calling())
        began = time.monotonic()
        with pytest.raises(GatewayError) as told:
            async for _ in stream_answer(attempts, attempts.call):
                pass
        assert told.value.reason == errors_pb2.ERROR_REASON_PROVIDER_FAILED
        assert time.monotonic() - began == pytest.approx(0, abs=1e-3)
        assert len(attempts.call.attempts) == 1

    virtual_time.run(main())


def test_an_answer_that_took_long_is_gone_on_with() -> None:
    """The time of the route bounds the search for a target, not the writing."""

    async def main() -> None:
        slow = ScriptedProvider("slow", [Act(begun(3), hangs=True)])
        policy = Policy(timeout=5, between_events=100, mid_stream=MidStream.CONTINUE)
        plan = plan_of([candidate("slow", provider=slow), candidate("able", prefills=True)], policy=policy)
        attempts: Attempts[ChatRequest] = Attempts(plan, calling())
        told = [event async for batch in stream_answer(attempts, attempts.call) for event in batch]
        assert told[-1].HasField("usage")
        assert attempts.answered.target.provider.name == "able"

    virtual_time.run(main())


def test_a_bad_request_is_not_gone_on_with() -> None:
    """What only the caller can change is told."""
    error = failure(errors_pb2.ERROR_REASON_CONTENT_FILTERED)
    ended = played(Act(begun(4), error), "Hello", policy=Policy(mid_stream=MidStream.CONTINUE))

    assert ended.error is error


@pytest.mark.parametrize("mode", MidStream)
def test_events_out_of_order_at_the_beginning(mode: MidStream) -> None:
    """They are the target's fault, and another one answers."""
    ended = played(Act([[_PIECES[2]]]), "Hello", policy=Policy(mid_stream=mode))

    assert ended.error is None
    assert ended.text == "Hello"


def test_events_out_of_order_later() -> None:
    """What was in order is shown, and nothing else."""
    ended = played(Act([[*_PIECES[:3], _PIECES[0], _PIECES[3]]]), "Hello")
    assert ended.error is not None
    assert ended.text == "Hello "

    ended = played(Act([[*_PIECES[:3], _PIECES[0], _PIECES[3]]]), "you", policy=Policy(mid_stream=MidStream.CONTINUE))
    assert ended.error is None
    assert ended.text == "Hello you"


@pytest.mark.parametrize("count", range(len(_PIECES) - 2))
@pytest.mark.parametrize("mode", MidStream)
def test_a_stream_that_merely_ends(mode: MidStream, count: int) -> None:
    """Is an error like any other: no answer looks whole that is not."""
    ended = played(Act(begun(count)), "anew", policy=Policy(mid_stream=mode))

    if ended.error is None:
        Grammar().feed(ended.events[0])
        assert fold(ended.events).choices[0].finish.reason
        assert ended.text.endswith("anew")
    else:
        assert not any(event.HasField("choice_end") for event in ended.events)
    assert (ended.error is None) == (mode is MidStream.CONTINUE or count < (3 if mode is MidStream.RESTART else 1))


@pytest.mark.parametrize(
    ("policy", "act", "seconds", "word"),
    [
        (Policy(first_event=3), Act(hangs=True), 3, "first event"),
        (Policy(first_token=4), Act(begun(2), hangs=True), 4, "first token"),
        (Policy(first_event=3, first_token=4), Act(begun(1), hangs=True), 4, "first token"),
        (Policy(between_events=5), Act(begun(3), hangs=True), 5, "between events"),
        (Policy(total=6), Act(begun(3), hangs=True), 6, "total"),
        (Policy(first_token=9, total=6), Act(hangs=True), 6, "total"),
    ],
)
def test_patience_ends(policy: Policy, act: Act, seconds: float, word: str) -> None:
    """Each bound of the route is held, and named."""
    ended = played(act, policy=policy)

    assert ended.error is not None
    assert ended.error.reason == errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT
    assert word in ended.error.message
    assert ended.took == pytest.approx(seconds, abs=1e-3)


@pytest.mark.parametrize("mode", MidStream)
@pytest.mark.parametrize("count", [0, 2, 4])
def test_the_callers_deadline(mode: MidStream, count: int) -> None:
    """It ends every attempt, and no further one begins."""
    hanging = Act(begun(count), hangs=True)
    ended = played(hanging, hanging, policy=Policy(mid_stream=mode), deadline=7.0)

    assert ended.error is not None
    assert ended.error.reason == errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT
    assert ended.took == pytest.approx(7, abs=1e-3)
    assert len(ended.call.attempts) == 1


@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize("mode", MidStream)
def test_a_caller_who_leaves(mode: MidStream, count: int) -> None:
    """The provider is left at once, and the attempt is in the record as abandoned."""

    async def main() -> None:
        provider = ScriptedProvider("a", [Act([[event] for event in _PIECES], hangs=True)])
        pulse = SetPulse()
        attempts: Attempts[ChatRequest] = Attempts(
            plan_of([candidate("a", pulse, provider)], policy=Policy(mid_stream=mode)), calling()
        )
        seen = 0
        async with aclosing(stream_answer(attempts, attempts.call)) as batches:
            async for batch in batches:
                seen += len(batch)
                if seen >= count:
                    break
        assert not provider.running
        assert provider.cancelled == 1
        assert attempts.call.attempts[0].outcome == "abandoned"
        assert pulse.begun == pulse.over

    virtual_time.run(main())


_REASONS = st.sampled_from(
    [
        errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
        errors_pb2.ERROR_REASON_PROVIDER_FAILED,
        errors_pb2.ERROR_REASON_RATE_LIMITED,
        errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED,
        errors_pb2.ERROR_REASON_INVALID_REQUEST,
    ]
)
_ACTS = st.builds(
    Act,
    st.integers(0, len(_PIECES)).map(begun),
    st.none() | st.builds(failure, _REASONS),
    st.sampled_from([0.0, 1.0, 30.0]),
    st.booleans(),
)
_POLICIES = st.builds(
    Policy,
    retries=st.integers(0, 3),
    first_token=st.sampled_from([None, 2.0]),
    between_events=st.sampled_from([None, 2.0]),
    mid_stream=st.sampled_from(MidStream),
    hedge=st.sampled_from([None, 0.5]).map(lambda delay: None if delay is None else Hedge(1.0, delay)),
)


@settings(max_examples=300, deadline=None)
@given(acts=st.lists(st.lists(_ACTS, min_size=1, max_size=3), min_size=1, max_size=3), policy=_POLICIES)
def test_whatever_targets_do(acts: list[list[Act]], policy: Policy) -> None:
    """The caller gets a whole answer in legal order, or an error and no end of an answer, within the deadline; every
    attempt is over and told of, and nobody is asked any more."""
    ended = played(*acts, policy=policy, deadline=100.0)

    grammar = Grammar()
    for event in ended.events:
        grammar.feed(event)
    if ended.error is None:
        grammar.end()
        assert ended.call.answered is not None
        assert ended.call.answered.whole
    else:
        assert ended.call.answered is None
    assert ended.took <= 100.001
    assert len(ended.call.attempts) <= 2 * (len(acts) + policy.retries)
    assert sum(event.HasField("start") for event in ended.events) <= 1
