"""From histograms to percentiles."""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.store.tables import LATENCY_BUCKETS
from trunkline.v1.usage_pb2 import LatencySummary


def percentile(counts: Sequence[int], of_hundred: int) -> float:
    """Milliseconds that `of_hundred` of a hundred took no longer than, in steps of the histogram; 0 of nothing.

    Above the last step it is what that step begins at.
    """
    total = sum(counts)
    if not total:
        return 0.0
    needed = -(-total * of_hundred // 100)
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if seen >= needed:
            return float(2.0 ** (min(bucket, LATENCY_BUCKETS - 2) / 2))
    raise AssertionError("the counts are fewer than their sum")


def summary_of(counts: Sequence[int], total_ms: int) -> LatencySummary:
    """What a histogram says, of measurements whose sum is `total_ms`."""
    count = sum(counts)
    return LatencySummary(
        count=count,
        mean_ms=total_ms / count if count else 0.0,
        p50_ms=percentile(counts, 50),
        p90_ms=percentile(counts, 90),
        p95_ms=percentile(counts, 95),
        p99_ms=percentile(counts, 99),
    )
