"""What is told of where a call goes, or went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trunkline.call import Attempt, Call
from trunkline.v1.routes_pb2 import RouteReport

if TYPE_CHECKING:
    from trunkline.core.plan import Plan


def report_of(plan: Plan[Any], call: Call) -> RouteReport:
    """The candidates of `plan` in their order, who was left out, and what was tried."""
    policy = plan.legs[0].policy
    report = RouteReport(
        model=call.model,
        mode=plan.mode,
        rule=plan.rule,
        retries=policy.retries,
        timeout_seconds=policy.timeout or 0.0,
        mid_stream=policy.mid_stream.value,
    )
    for leg in plan.legs:
        for candidate in leg.candidates:
            target = candidate.target
            said = report.candidates.add(
                provider=target.provider.name, model=target.model, key=target.key, reason=candidate.reason
            )
            if candidate.score is not None:
                said.score = candidate.score
    for exclusion in plan.exclusions:
        target = exclusion.target
        report.exclusions.add(provider=target.provider.name, model=target.model, reason=exclusion.reason)
    add_attempts(report, call.attempts)
    return report


def add_attempts(report: RouteReport, attempts: Sequence[Attempt]) -> None:
    """Tell what was tried."""
    for attempt in attempts:
        said = report.attempts.add(
            provider=attempt.provider,
            model=attempt.model,
            key=attempt.key,
            outcome=attempt.outcome,
            status=attempt.status or 0,
            upstream_id=attempt.upstream_id,
        )
        if attempt.first_event is not None:
            said.first_event_ms = round((attempt.first_event - attempt.started) * 1000)
        if attempt.ended is not None:
            said.duration_ms = round((attempt.ended - attempt.started) * 1000)
