"""The way through a plan: whom is asked, when, and where it ends."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from core.plans import SetPulse, candidate, plan_of
from fakes.scripted_provider import failure
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.plan import Candidate, Plan, Policy
from trunkline.core.walk import Walk
from trunkline.errors import TABLE, GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest

_UNAVAILABLE = errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE
_LIMITED = errors_pb2.ERROR_REASON_RATE_LIMITED
_TIMEOUT = errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT
_INVALID = errors_pb2.ERROR_REASON_INVALID_REQUEST


def walk_of(plan: Plan[ChatRequest], deadline: float | None = None, jitter: float = 1.0) -> Walk[ChatRequest]:
    """A walk that begins at time 0."""
    return Walk(plan, 0.0, deadline, lambda: jitter)


def name(one: Candidate[ChatRequest]) -> str:
    """The provider of a candidate."""
    return one.target.provider.name


def test_candidates_are_asked_in_order_and_then_again() -> None:
    """Each is asked once at once, then the retries follow after pauses that double."""
    plan = plan_of([candidate("a"), candidate("b")])
    walk = walk_of(plan)
    told = []
    with pytest.raises(GatewayError):
        while True:
            step = walk.next(0.0)
            told.append((name(step.candidate), step.delay))
            walk.failed(step.candidate, failure(), 0.0)

    assert told == [("a", 0), ("b", 0), ("a", 0.5), ("b", 1.0), ("a", 2.0)]


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 0.25), (0.5, 0.375), (1.0, 0.5)])
def test_pauses_are_shortened_by_chance(jitter: float, pause: float) -> None:
    """By up to a half."""
    one = candidate()
    walk = walk_of(plan_of([one]), jitter=jitter)
    walk.failed(walk.next(0.0).candidate, failure(), 0.0)

    assert walk.next(0.0).delay == pause


def test_pauses_do_not_grow_for_ever() -> None:
    """Eight seconds are the longest."""
    walk = walk_of(plan_of([candidate()], policy=Policy(retries=12, timeout=None)))
    delays = []
    with pytest.raises(GatewayError):
        while True:
            step = walk.next(0.0)
            delays.append(step.delay)
            walk.failed(step.candidate, failure(), 0.0)

    assert delays[:6] == [0, 0.5, 1, 2, 4, 8]
    assert set(delays[5:]) == {8}


def test_a_pause_is_as_long_as_the_provider_asks() -> None:
    """`retry-after` is obeyed, as long as the route's patience allows it. Those who wait for the same moment are parted
    by chance."""
    walk = walk_of(plan_of([candidate()]))
    walk.failed(walk.next(0.0).candidate, failure(_LIMITED, 7.0), 0.0)
    assert walk.next(0.0).delay == 7.5

    walk = walk_of(plan_of([candidate()]))
    walk.failed(walk.next(0.0).candidate, failure(_LIMITED, 61.0), 0.0)
    with pytest.raises(GatewayError) as told:
        walk.next(0.0)
    assert told.value.retry_after is not None


def test_no_attempt_begins_that_could_not_end_in_time() -> None:
    """The caller's deadline bounds the pauses."""
    walk = walk_of(plan_of([candidate()]), deadline=0.4)
    walk.failed(walk.next(0.0).candidate, failure(), 0.0)
    with pytest.raises(GatewayError):
        walk.next(0.0)


@pytest.mark.parametrize("deadline", [None, 30.0])
def test_no_attempt_begins_after_the_time(deadline: float | None) -> None:
    """Neither an attempt at who was not asked yet, where the time of the route or of the caller is over."""
    walk = walk_of(plan_of([candidate("a"), candidate("b")]), deadline)
    walk.failed(walk.next(0.0).candidate, failure(_TIMEOUT), 61.0)
    with pytest.raises(GatewayError) as told:
        walk.next(61.0)
    assert told.value.reason == _TIMEOUT


def test_what_no_other_attempt_changes_ends_the_walk() -> None:
    """A bad request is told at once."""
    walk = walk_of(plan_of([candidate("a"), candidate("b")]))
    with pytest.raises(GatewayError):
        walk.failed(walk.next(0.0).candidate, failure(_INVALID), 0.0)


def test_what_another_model_may_change_leads_to_it() -> None:
    """Whom the request is bad for is left for the caller's other models."""
    walk = walk_of(plan_of([candidate("a"), candidate("b")], [candidate("c")]))
    walk.failed(walk.next(0.0).candidate, failure(_INVALID), 0.0)

    assert name(walk.next(0.0).candidate) == "c"


@pytest.mark.parametrize("reason", [errors_pb2.ERROR_REASON_CANCELLED, errors_pb2.ERROR_REASON_INTERNAL])
def test_what_nothing_changes(reason: errors_pb2.ErrorReason.ValueType) -> None:
    """The caller's going away, and our own faults."""
    walk = walk_of(plan_of([candidate("a")], [candidate("b")]))
    with pytest.raises(GatewayError):
        walk.failed(walk.next(0.0).candidate, failure(reason), 0.0)


def test_who_takes_too_long_is_not_asked_again() -> None:
    """But another one is."""
    walk = walk_of(plan_of([candidate("a"), candidate("b")]))
    walk.failed(walk.next(0.0).candidate, failure(_TIMEOUT), 0.0)
    assert name(walk.next(0.0).candidate) == "b"
    walk.failed(candidate("b"), failure(_TIMEOUT), 0.0)
    with pytest.raises(GatewayError):
        walk.next(0.0)


def test_another_model_comes_before_a_long_pause() -> None:
    """Where another model can be asked at once, nobody waits for long."""
    walk = walk_of(plan_of([candidate("a")], [candidate("b")]))
    walk.failed(walk.next(0.0).candidate, failure(_LIMITED, 5.0), 0.0)

    step = walk.next(0.0)
    assert (name(step.candidate), step.delay) == ("b", 0)


def test_who_is_left_alone_is_passed_over() -> None:
    """And asked after all where nobody else answers and it takes no more than some seconds."""
    walk = walk_of(plan_of([candidate("a", SetPulse(3.0, failure())), candidate("b")]))
    step = walk.next(0.0)
    assert name(step.candidate) == "b"
    walk.failed(step.candidate, failure(_TIMEOUT), 0.0)

    step = walk.next(0.0)
    assert (name(step.candidate), step.delay) == ("a", 3.5)


def test_nobody_is_kept_waiting_for_a_target_that_is_down() -> None:
    """The error tells when it is asked again, and why it is not now."""
    walk = walk_of(plan_of([candidate("a", SetPulse(100.0, failure()))]))
    with pytest.raises(GatewayError) as told:
        walk.next(0.0)

    assert told.value.reason == _UNAVAILABLE
    assert told.value.retry_after is not None
    assert told.value.retry_after.total_seconds() == 100
    assert "scripted" in told.value.message


def test_the_last_resort() -> None:
    """Where everybody is left alone, the first one is asked that lets itself be; nobody is where one was asked."""
    shut, open_to_it = SetPulse(100.0, failure()), SetPulse(100.0, failure(), resort=True)
    walk = walk_of(plan_of([candidate("a", shut)], [candidate("b", open_to_it)]))
    step = walk.next(0.0)
    assert (name(step.candidate), step.delay) == ("b", 0)
    walk.failed(step.candidate, failure(_TIMEOUT), 0.0)
    with pytest.raises(GatewayError) as told:
        walk.next(0.0)
    assert told.value.reason == _TIMEOUT

    walk = walk_of(plan_of([candidate("a"), candidate("b", open_to_it)], policy=Policy(retries=0)))
    walk.failed(walk.next(0.0).candidate, failure(), 0.0)
    with pytest.raises(GatewayError):
        walk.next(0.0)


def test_a_rate_limit_is_waited_for() -> None:
    """As its end is known; where it is too far, the caller is told of a rate limit."""
    pulse = SetPulse(20.0, failure(_LIMITED))
    assert walk_of(plan_of([candidate("a", pulse)])).next(0.0).delay == 20.5

    pulse.until = 100.0
    with pytest.raises(GatewayError) as told:
        walk_of(plan_of([candidate("a", pulse)])).next(0.0)
    assert told.value.reason == _LIMITED


def test_who_got_into_trouble_during_the_pause_is_not_asked() -> None:
    """A pause that was not enough costs no attempt, and the next one is as long as it must be."""
    pulse = SetPulse()
    walk = walk_of(plan_of([candidate("a", pulse)], policy=Policy(retries=1)))
    walk.failed(walk.next(0.0).candidate, failure(), 0.0)
    step = walk.next(0.0)
    assert not walk.blocked(step, 0.5)

    walk = walk_of(plan_of([candidate("a", pulse)], policy=Policy(retries=1)))
    walk.failed(walk.next(0.0).candidate, failure(), 0.0)
    step = walk.next(0.0)
    pulse.until = 4.0
    assert walk.blocked(step, 0.5)
    assert walk.next(0.5).delay == 4.5


def test_an_answer_that_broke_off_is_gone_on_with_by_those_who_can() -> None:
    """The time in which it was written does not count."""
    able, unable = candidate("able", prefills=True), candidate("unable")
    walk = walk_of(plan_of([candidate("first"), unable, able], [candidate("other"), able]))
    first = walk.next(0.0).candidate
    walk.failed(first, failure(), 300.0)
    walk.resume(lambda one: one.target.prefills, 300.0)

    assert name(walk.next(300.0).candidate) == "able"
    walk.failed(able, failure(_TIMEOUT), 300.0)
    assert name(walk.next(300.0).candidate) == "able"


_REASONS = st.sampled_from(sorted(TABLE))
_PULSES = st.builds(SetPulse, st.sampled_from([0.0, 0.0, 0.0, 2.0, 30.0]), st.builds(failure, _REASONS))
_LEGS = st.lists(st.lists(_PULSES, min_size=1, max_size=4), min_size=1, max_size=3)


@given(
    legs=_LEGS,
    retries=st.integers(0, 4),
    timeout=st.sampled_from([None, 0.0, 5.0, 60.0]),
    deadline=st.sampled_from([None, 10.0]),
    fails=st.data(),
)
def test_every_walk_ends_within_its_bounds(
    legs: list[list[SetPulse]], retries: int, timeout: float | None, deadline: float | None, fails: st.DataObject
) -> None:
    """Whatever fails and however: in each leg nobody is asked twice before everybody was asked once who may be, no more
    attempts are made than the policy allows, none begins too late, and the error of a real attempt is told."""
    policy = Policy(retries=retries, timeout=timeout)
    plan = plan_of(
        *([candidate(f"{leg}{index}", pulse) for index, pulse in enumerate(pulses)] for leg, pulses in enumerate(legs)),
        policy=policy,
    )
    walk = walk_of(plan, deadline)
    now = 0.0
    asked: list[str] = []
    raised: list[GatewayError] = []
    with pytest.raises(GatewayError) as told:
        while True:
            step = walk.next(now)
            assert step.delay >= 0
            now += step.delay
            assert now < (math.inf if deadline is None else deadline) or not asked
            asked.append(name(step.candidate))
            now += fails.draw(st.sampled_from([0.0, 0.1, 20.0]))
            raised.append(failure(fails.draw(_REASONS), fails.draw(st.sampled_from([None, 3.0]))))
            walk.failed(step.candidate, raised[-1], now)
    assert told.value is raised[-1] if raised else "asked again" in told.value.message

    for leg, pulses in enumerate(legs):
        of_leg = [one for one in asked if one[0] == str(leg)]
        assert len(of_leg) <= len(pulses) + retries
        counts = Counter(of_leg)
        if any(count > 1 for count in counts.values()):
            assert all(counts[f"{leg}{index}"] for index, pulse in enumerate(pulses) if not pulse.until)
