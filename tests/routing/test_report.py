"""What is told of a plan."""

from __future__ import annotations

import pytest
from fakes.scripted_provider import asking
from routing.fleet import attempted, fleet, known

from trunkline.call import Attempt, Call
from trunkline.core.plan import MidStream, Policy
from trunkline.routing.report import report_with_facts


async def test_a_report_tells_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prices, health, who is left out and why, what was tried, and the most that the answer may cost."""
    monkeypatch.setattr("time.monotonic", lambda: 5000.0)
    one = fleet(
        routes={"all": ["a/m", "b/m", "c/m"]},
        knows={"a/*": known(1.0, 5.0, max_output=1000), "b/*": known(2.0, 4.0, max_output=500), "c/*": known()},
        policy=Policy(2, timeout=30.0, mid_stream=MidStream.CONTINUE),
    )
    offers = (await one.names.resolve("all")).offers
    for _ in range(3):
        done = attempted(at=4996.0, first=1.0, took=3.0, tokens=40)
        offers[0].health.began(done)
        offers[0].health.ended(done)
    offers[0].health.began(done)
    request = asking("word " * 100, model="all", routing={"ignored_providers": ["c"]})
    call = Call("id", "grpc", model="all")
    call.attempts.append(
        Attempt(call, "a", "m", started=1.0, first_event=1.5, ended=3.0, whole=True, status=200, upstream_id="u")
    )
    report = report_with_facts(await one.router.chat(request, call), call)

    first, second = report.candidates
    assert (first.provider, first.model, first.reason, first.state) == ("a", "m", "configured order", "closed")
    assert (first.input_price_nano_usd, first.output_price_nano_usd) == (10**9, 5 * 10**9)
    assert first.latency_seconds == pytest.approx(1.0, rel=0.16)
    assert first.throughput == pytest.approx(20, rel=0.16)
    assert first.in_flight == 1
    assert second.provider == "b"
    assert not second.HasField("latency_seconds")
    assert [(one.provider, one.reason) for one in report.exclusions] == [("c", "ignored_providers")]
    assert (report.retries, report.timeout_seconds, report.mid_stream) == (2, 30.0, "continue")
    tokens = report.estimated_input_tokens
    assert tokens > 90
    assert report.max_cost_nano_usd == max(tokens * 1000 + 1000 * 5000, tokens * 2000 + 500 * 4000)
    attempt = report.attempts[0]
    assert (attempt.outcome, attempt.status, attempt.upstream_id) == ("ok", 200, "u")
    assert (attempt.first_event_ms, attempt.duration_ms) == (500, 2000)


@pytest.mark.parametrize("said", [known(None, max_output=10), known(1.0)])
async def test_a_cost_that_nothing_bounds(said: object) -> None:
    """Is not told: without a price, or without a longest answer."""
    one = fleet(knows={"a/*": said})  # type: ignore[dict-item]
    call = Call("id", "grpc")
    report = report_with_facts(await one.router.chat(asking(model="a/m"), call), call)
    assert not report.HasField("max_cost_nano_usd")
