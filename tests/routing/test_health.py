"""How targets do: what opens a breaker and closes it, limits, keys, and what is counted."""

from __future__ import annotations

import pytest
from fakes.scripted_provider import failure
from hypothesis import given
from hypothesis import strategies as st
from routing.fleet import attempted

from trunkline.routing.health import Board, Breaker, Health, KeyHealth
from trunkline.v1 import errors_pb2

_LIMITED = errors_pb2.ERROR_REASON_RATE_LIMITED
_FAILED = errors_pb2.ERROR_REASON_PROVIDER_FAILED
_KEY = errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED
_INVALID = errors_pb2.ERROR_REASON_INVALID_REQUEST


def health_of(**breaker: float) -> Health:
    """A target of which nothing is known."""
    return Health(Breaker(**breaker))  # type: ignore[arg-type]


def play(health: Health, **attempt: object) -> None:
    """One attempt from its beginning to its end."""
    made = attempted(**attempt)  # type: ignore[arg-type]
    health.began(made)
    health.ended(made)


def broken(at: float = 0.0, times: int = 5, **breaker: float) -> Health:
    """A target that failed so often that it is left alone since `at`."""
    health = health_of(**breaker)
    for _ in range(times):
        play(health, at=at, took=0.0, error=failure(_FAILED))
    return health


def test_faults_in_a_row_open_the_breaker() -> None:
    """Four do not, five do; it tells why."""
    health = health_of()
    for number in range(4):
        play(health, at=number, took=0.0, error=failure(_FAILED))
    assert health.wait(4.0) == 0
    assert health.state(4.0) == "closed"
    assert health.suffers(4.0)

    error = failure(_FAILED)
    play(health, at=4.0, took=0.0, error=error)
    assert health.wait(4.0) == 15
    assert health.state(4.0) == "open"
    assert health.why() is error


def test_an_answer_between_them_does_not() -> None:
    """Faults must be in a row, or be half of many calls."""
    health = health_of()
    for number in range(4):
        play(health, at=number, took=0.0, error=failure(_FAILED))
    play(health, at=4.0)
    assert not health.suffers(6.0)
    play(health, at=6.0, took=0.0, error=failure(_FAILED))
    assert health.state(6.0) == "closed"


def test_half_of_many_calls_open_it() -> None:
    """However they are mixed."""
    health = health_of()
    for number in range(4):
        play(health, at=number, took=0.0, error=failure(_FAILED))
        play(health, at=number + 0.5, took=0.0)
    assert health.state(4.0) == "closed"
    play(health, at=4.0, took=0.0)
    for number in range(3):
        play(health, at=5.0 + number, took=0.0, error=failure(_FAILED))
    assert health.state(8.0) == "open"


def test_one_probe_at_a_time() -> None:
    """When the pause is over one call is let in; the others wait for what becomes of it."""
    health = broken()
    assert health.wait(14.0) == 1
    assert health.wait(15.0) == 0
    assert health.state(15.0) == "half_open"
    probe = attempted(at=15.0, took=1.0)
    probe.first_event = None
    health.began(probe)
    assert health.wait(15.5) == 4.5

    probe.first_event = 16.0
    health.ended(probe)
    assert health.wait(16.0) == 0
    assert health.state(16.0) == "closed"
    assert health.why() is None


def test_a_probe_that_begins_to_answer_lets_others_in() -> None:
    """A stream may take minutes."""
    health = broken()
    probe = attempted(at=15.0)
    probe.first_event = None
    health.began(probe)
    assert health.wait(16.0) > 0
    probe.first_event = 16.0
    assert health.wait(16.0) == 0


def test_a_probe_that_hangs_is_not_waited_for() -> None:
    """After five seconds the next one tries."""
    health = broken()
    probe = attempted(at=15.0)
    probe.first_event = None
    health.began(probe)
    assert health.wait(20.0) == 0


@pytest.mark.parametrize(
    "end", [{"whole": False}, {"error": failure(_INVALID), "status": None}, {"error": failure(_LIMITED, 0.0)}]
)
def test_every_end_of_a_probe_frees_the_place(end: dict[str, object]) -> None:
    """Also where it was left, or failed before anything was sent."""
    health = broken()
    play(health, at=15.0, took=0.5, **end)
    assert health.wait(15.5) == 0


def test_pauses_double() -> None:
    """After each probe that fails, until the longest."""
    health = broken(cooldown=10.0, longest=35.0)
    now, pauses = 0.0, []
    for _ in range(4):
        pauses.append(health.wait(now))
        now += pauses[-1]
        play(health, at=now, took=0.0, error=failure(_FAILED))
    assert pauses == [10, 20, 35, 35]


def test_what_began_before_is_old_news() -> None:
    """A hundred calls that an outage hits at once open the breaker once; none of them lengthens the pause."""
    health = health_of()
    running = [attempted(at=0.0, took=2.0 + number / 100, error=failure(_FAILED)) for number in range(100)]
    for attempt in running:
        health.began(attempt)
    for attempt in running:
        health.ended(attempt)

    assert health.wait(running[4].ended or 0.0) == 15
    assert health.in_flight == 0


def test_a_long_answer_does_not_close_the_breaker() -> None:
    """One that began before it opened tells nothing of now."""
    health = health_of()
    long = attempted(at=0.0, took=60.0)
    health.began(long)
    for _ in range(5):
        play(health, at=55.0, took=0.0, error=failure(_FAILED))
    health.ended(long)
    assert health.state(60.0) == "open"


def test_a_provider_that_asks_for_more_time_has_it() -> None:
    """`retry-after` may be longer than the breaker's pause."""
    health = health_of()
    for _ in range(5):
        play(health, at=0.0, took=0.0, error=failure(errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE, 120.0))
    assert health.wait(0.0) == 120


@pytest.mark.parametrize("reason", [_INVALID, errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED])
def test_bad_requests_are_no_faults(reason: errors_pb2.ErrorReason.ValueType) -> None:
    """They show that the target answers."""
    health = health_of()
    for _ in range(4):
        play(health, error=failure(_FAILED))
    play(health, at=1.0, error=failure(reason), status=400)
    play(health, at=2.0, error=failure(_FAILED))
    assert health.state(3.0) == "closed"


def test_what_was_never_sent_says_nothing() -> None:
    """Calls that the queue turned away are no faults of the provider's."""
    health = health_of()
    for _ in range(20):
        attempt = attempted(error=failure())
        attempt.held = True
        health.began(attempt)
        health.ended(attempt)
    assert health.state(1.0) == "closed"
    assert health.error_rate(1.0) == 0
    assert health.in_flight == 0


def test_a_rate_limit_lasts_until_its_reset() -> None:
    """The target is limited, not faulty; answers of calls that ran already do not end it."""
    health = health_of()
    running = attempted(at=0.0, took=3.0)
    health.began(running)
    play(health, at=1.0, took=0.0, error=failure(_LIMITED, 20.0))
    health.ended(running)

    assert health.wait(3.0) == 18
    assert health.state(3.0) == "limited"
    why = health.why()
    assert why is not None
    assert why.reason == _LIMITED
    assert health.error_rate(3.0) == 0
    assert health.wait(21.0) == 0
    assert health.state(21.0) == "closed"


def test_rate_limits_without_a_reset_grow() -> None:
    """From a second to a minute, once for each round rather than for each call that runs."""
    health, now, waits = health_of(), 0.0, []
    for _ in range(8):
        at_once = [attempted(at=now, took=0.1, error=failure(_LIMITED)) for _ in range(10)]
        for attempt in at_once:
            health.began(attempt)
        for attempt in at_once:
            health.ended(attempt)
        waits.append(health.wait(now + 0.1))
        now += 0.1 + waits[-1]
    assert waits == [pytest.approx(wait) for wait in (1, 2, 4, 8, 16, 32, 60, 60)]
    play(health, at=now)
    play(health, at=now + 2, took=0.0, error=failure(_LIMITED))
    assert health.wait(now + 2) == 1


def test_a_key_that_is_refused_is_out_for_all_models() -> None:
    """At once, and for as long as it goes on; the provider's other keys are not."""
    board = Board()
    one, other = board.health("p", "k1", "m1"), board.health("p", "k1", "m2")
    error = failure(_KEY)
    play(one, at=0.0, took=0.0, error=error, status=401)

    assert other.wait(0.0) == 15
    assert other.why() is error
    assert other.state(1.0) == "open"
    assert board.health("p", "k2", "m1").wait(0.0) == 0
    assert board.health("q", "k1", "m1").wait(0.0) == 0
    play(other, at=15.0, took=0.0, error=failure(_KEY))
    assert one.wait(15.0) == 30
    play(one, at=45.0, took=0.0)
    play(one, at=46.0, took=0.0, error=failure(_KEY))
    assert other.wait(46.0) == 15


def test_many_refusals_at_once_are_one() -> None:
    """Calls that ran when the key was taken out do not keep it out for longer."""
    health = Health(Breaker(failures=100), KeyHealth())
    running = [attempted(at=0.0, took=1.0 + number / 10, error=failure(_KEY)) for number in range(10)]
    for attempt in running:
        health.began(attempt)
    for attempt in running:
        health.ended(attempt)
    assert health.wait(1.0) == 15


def test_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time to the first token and tokens per second, of streams; the whole time where none was streamed."""
    health = health_of()
    now = 10_000.0
    assert health.latency() is None
    assert health.throughput() is None
    for _ in range(100):
        play(health, at=now, first=0.5, took=2.5, tokens=100)
    monkeypatch.setattr("time.monotonic", lambda: now)
    assert health.latency() == pytest.approx(0.5, rel=0.16)
    assert health.throughput() == pytest.approx(50, rel=0.16)
    assert health.slow() == pytest.approx(0.5, rel=0.16)
    assert health.error_rate(now) == 0
    monkeypatch.setattr("time.monotonic", lambda: now + 302.6)
    assert health.latency() is None
    assert health.throughput() is None
    assert health.slow() is None


def test_a_share_of_failures() -> None:
    """Of the last minutes."""
    health = health_of(failures=1000)
    for _ in range(3):
        play(health, at=0.0, took=0.0)
    play(health, at=0.0, took=0.0, error=failure(_FAILED))
    assert health.error_rate(0.0) == pytest.approx(0.25)


def test_the_last_resort() -> None:
    """A target that is left alone may be asked once in a second by those who have nobody else; an answer closes the
    breaker. A rate limit is kept."""
    health = broken()
    assert [health.last_resort(now) for now in (1.0, 1.5, 2.0, 2.5)] == [True, False, True, False]
    play(health, at=3.0, took=0.5)
    assert health.state(4.0) == "closed"
    play(health, at=5.0, took=0.0, error=failure(_LIMITED, 20.0))
    assert not health.last_resort(6.0)


@pytest.mark.parametrize(("took", "state"), [(2.0, "closed"), (10.0, "open")])
def test_callers_in_a_hurry(took: float, state: str) -> None:
    """Their deadlines say nothing of the target, unless it had time enough."""
    health = health_of()
    for _ in range(6):
        attempt = attempted(at=0.0, took=took, error=failure(errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT), status=None)
        attempt.call.deadline = took
        health.began(attempt)
        health.ended(attempt)
    assert health.state(took) == state


def test_the_board_outlives_and_is_bounded() -> None:
    """The same target has the same health; a breaker that is set holds for all; names that callers think of do not add
    up for ever."""
    board = Board()
    one = board.health("p", "", "m")
    assert board.health("p", "", "m") is one
    board.breaker = Breaker(failures=1)
    play(one, at=0.0, took=0.0, error=failure(_FAILED))
    assert one.state(0.0) == "open"
    for number in range(30_000):
        board.health("p", "", f"made-up-{number}")
        board.health("p", "", "m")
    assert len(board._targets) <= 20_000
    assert board.health("p", "", "m") is one


_ENDS = st.sampled_from(["ok", "fault", "limit", "bad", "left", "held", "unsent"])


@given(steps=st.lists(st.tuples(_ENDS, st.floats(0, 30), st.floats(0, 30)), max_size=60))
def test_no_target_is_lost(steps: list[tuple[str, float, float]]) -> None:
    """Whatever becomes of however many calls that overlap: no more run than began, and everyone is asked again within
    the longest pause."""
    health = health_of()
    now, running = 0.0, []
    for end, pause, took in steps:
        now += pause
        error = {"fault": failure(_FAILED), "limit": failure(_LIMITED), "held": failure(), "bad": failure(_INVALID)}
        error["unsent"] = failure(_INVALID)
        attempt = attempted(
            at=now, took=took, error=error.get(end), whole=end == "ok", status=None if end == "unsent" else 200
        )
        attempt.held = end == "held"
        health.began(attempt)
        running.append(attempt)
    for attempt in sorted(running, key=lambda one: one.ended or 0.0):
        health.ended(attempt)

    assert health.in_flight == 0
    assert health.wait(now + 30 + 300) == 0
    assert 0 <= health.error_rate(now) <= 1


def test_a_key_that_is_limited_is_out_until_its_reset() -> None:
    """For all its models, where the provider has other keys; these are asked meanwhile."""
    board = Board()
    one, sibling = board.health("p", "a", "m"), board.health("p", "a", "n")
    other, only = board.health("p", "b", "m"), board.health("q", "", "n")
    limited = failure(errors_pb2.ERROR_REASON_RATE_LIMITED, retry_after=20)
    for health in (one, board.health("q", "", "m")):
        play(health, at=0.0, took=1.0, error=limited, status=429)

    assert (one.wait(1.0), sibling.wait(1.0), other.wait(1.0), only.wait(1.0)) == (20.0, 20.0, 0.0, 0.0)
    assert sibling.state(1.0) == "limited"
    assert sibling.why() is limited
    assert not sibling.last_resort(1.0)
    assert sibling.wait(21.0) == 0.0
