"""Where a call went, as OpenRouter tells who asks for it.

https://openrouter.ai/docs/guides/features/router-metadata
"""

from __future__ import annotations

from typing import Final

from trunkline.call import Call
from trunkline.dialects.openrouter.names import display_name
from trunkline.dialects.wire import Json
from trunkline.v1.routes_pb2 import RouteReport

_AUTO: Final = frozenset({"auto", "balance", "balanced", "cost", "fast", "latency", "quality"})
_MOST: Final = 32
"""The most endpoints that are named."""


def encode_route(call: Call) -> dict[str, Json]:
    """Write the route of a call as far as it went."""
    report = RouteReport() if call.report is None else call.report()
    answered = call.answered
    chosen = None if answered is None else (answered.provider, answered.model)
    candidates = [(one.provider, one.model) for one in report.candidates]
    wire: dict[str, Json] = {
        "requested": call.model,
        "strategy": _strategy(call),
        "region": None,
        "summary": _summary(call),
        "attempt": len(call.attempts),
        "is_byok": False,
        "endpoints": {
            "total": len(candidates),
            "available": [
                {"provider": display_name(provider), "model": model, "selected": (provider, model) == chosen}
                for provider, model in candidates[:_MOST]
            ],
        },
    }
    if call.attempts:
        wire["attempts"] = [
            {"provider": display_name(one.provider), "model": one.model, "status": one.status or 0}
            for one in call.attempts[:_MOST]
        ]
    plugins = sorted({name.partition(".")[0] for name in call.plugins})
    if plugins:
        wire["pipeline"] = [{"type": "plugin", "name": name} for name in plugins]
    return wire


def _strategy(call: Call) -> str:
    if call.routing_mode in _AUTO:
        return "auto"
    if "free" in (call.routing_mode, call.model.rpartition(":")[2]):
        return "free"
    return "fallback" if len({one.model for one in call.attempts}) > 1 else "direct"


def _summary(call: Call) -> str:
    last = call.last
    if last is None:
        return "Nobody was asked."
    count = len(call.attempts)
    return f"{display_name(last.provider)}, {last.model}: {last.outcome} at attempt {count} of {count}."
