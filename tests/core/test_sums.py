"""What several answers used, summed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.sums import add_usage
from trunkline.v1.chat_pb2 import Usage

MOST = 2**31 - 1
NAMES = ["input_tokens", "output_tokens", "cached_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens"]
COUNTS = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 100) | st.integers(0, MOST))


@given(st.lists(COUNTS, max_size=4))
def test_a_sum_of_usages(told: list[dict[str, int]]) -> None:
    """Each count is the sum of those that were told, as far as it holds that; what nobody told stays unset."""
    total = Usage()
    for counts in told:
        add_usage(total, Usage(**counts))
    for name in NAMES:
        values = [counts[name] for counts in told if name in counts]
        assert total.HasField(name) == bool(values)
        assert getattr(total, name) == min(sum(values), MOST)
