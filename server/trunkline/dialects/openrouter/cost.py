"""What a call cost, as OpenRouter tells it beside the tokens.

https://openrouter.ai/docs/guides/administration/usage-accounting
"""

from __future__ import annotations

from typing import Final

from trunkline.dialects.wire import Json
from trunkline.v1.ledger_pb2 import Cost

_NANO: Final = 1_000_000_000


def encode_cost(cost: Cost) -> dict[str, Json]:
    """Write the fields of `usage` that tell the cost, in credits, which are dollars."""
    read = cost.input_nanos + cost.cached_input_nanos + cost.cache_write_input_nanos
    written = cost.output_nanos + cost.reasoning_output_nanos
    return {
        "cost": cost.total_nanos / _NANO,
        # The keys of providers are the gateway's own.
        "is_byok": False,
        "cost_details": {
            "upstream_inference_cost": cost.total_nanos / _NANO,
            "upstream_inference_prompt_cost": read / _NANO,
            "upstream_inference_completions_cost": written / _NANO,
        },
    }
