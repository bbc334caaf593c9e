"""A report of a plan with what is known of its candidates."""

from __future__ import annotations

import time

from trunkline.call import Call
from trunkline.core.estimate import estimate_tokens
from trunkline.core.plan import Plan
from trunkline.core.report import report_of
from trunkline.routing.offer import Offer
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.routes_pb2 import RouteReport


def report_with_facts(plan: Plan[ChatRequest], call: Call) -> RouteReport:
    """The candidates of `plan` with their prices and how they do, and the most that the answer may cost."""
    report = report_of(plan, call)
    now = time.monotonic()
    candidates = [candidate for leg in plan.legs for candidate in leg.candidates]
    request = candidates[0].request
    tokens = report.estimated_input_tokens = estimate_tokens(request)
    dearest: int | None = 0
    for candidate, said in zip(candidates, report.candidates, strict=True):
        offer = candidate.offer
        if not isinstance(offer, Offer):
            dearest = None
            continue
        price, health = offer.price, offer.health
        if price is not None:
            said.input_price_nano_usd = price.input
            if price.output is not None:
                said.output_price_nano_usd = price.output
        latency, throughput = health.latency(), health.throughput()
        if latency is not None:
            said.latency_seconds = latency
        if throughput is not None:
            said.throughput = throughput
        said.error_rate = health.error_rate(now)
        said.in_flight = health.in_flight
        said.state = health.state(now)
        most = request.max_output_tokens or offer.facts.max_output
        if price is None or most is None:
            dearest = None
        elif dearest is not None:
            dearest = max(dearest, price.upper_bound(tokens, most * (request.choice_count or 1)))
    if dearest is not None:
        report.max_cost_nano_usd = dearest
    return report
