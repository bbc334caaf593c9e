"""What callers are told of the cost of their own calls."""

from __future__ import annotations

from trunkline.call import Call
from trunkline.dialects.openrouter.cost import encode_cost
from trunkline.dialects.wire import Json
from trunkline.web.skins.table import skin_of


def tell_cost(body: dict[str, Json], call: Call, *, asked: bool = False) -> None:
    """Put the cost of an answer into its usage, where it has one."""
    usage = body.get("usage")
    if isinstance(usage, dict):
        usage.update(cost_of(call, asked=asked))


def cost_of(call: Call, *, asked: bool = False) -> dict[str, Json]:
    """What the usage tells of the cost of a call that ended: in OpenRouter's manner, and elsewhere where it is asked
    for. Nothing where the cost is not known."""
    if call.cost is None or not (asked or skin_of(call).always_usage):
        return {}
    return encode_cost(call.cost)
