"""What several answers used, as one sum."""

from __future__ import annotations

from typing import Final

from trunkline.v1.chat_pb2 import Usage

_COUNTS: Final = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
)

_MOST: Final = 2**31 - 1
"""What a count holds: whatever number a provider says, the call is to end as it does and to be recorded."""


def add_usage(total: Usage, one: Usage) -> None:
    """Add the counts of `one` to `total`; one that neither tells stays unset. No count rises above what it holds."""
    for name in _COUNTS:
        if one.HasField(name):
            setattr(total, name, min(getattr(total, name) + getattr(one, name), _MOST))
