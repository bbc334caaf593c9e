"""Counts that fade."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.routing.fading import Fading


def test_half_of_a_count_is_left_after_ninety_seconds() -> None:
    """And a tenth after five minutes."""
    fading = Fading()
    for _ in range(8):
        fading.add(1.0, 100.0)

    assert fading.weight(100.0) == 8
    assert fading.weight(190.0) == 4
    assert fading.weight(400.0) == pytest.approx(0.8, rel=0.02)


@given(values=st.lists(st.floats(1e-3, 5e4), min_size=1), share=st.floats(0.01, 1.0))
def test_quantiles_are_near(values: list[float], share: float) -> None:
    """Within the width of a bucket."""
    fading = Fading()
    for value in values:
        fading.add(value, 0.0)
    exact = sorted(values)[max(0, -(-int(share * len(values) * 1e9) // 10**9) - 1)]
    near = {one for one in sorted(values) if abs(sorted(values).index(one) - sorted(values).index(exact)) <= 1}

    told = fading.quantile(share)
    assert told is not None
    assert min(near) / 1.16 <= told <= max(near) * 1.16


def test_new_values_count_more() -> None:
    """A target that became slow is slow after some minutes, however long it was fast."""
    fading = Fading()
    for second in range(600):
        fading.add(0.1, float(second))
    for second in range(600, 780):
        fading.add(5.0, float(second))

    assert fading.quantile(0.5) == pytest.approx(5.0, rel=0.16)


def test_years_change_nothing() -> None:
    """Weights are made small again before they become too large, and what was counted before them fades to nothing."""
    fading = Fading()
    for number in range(300):
        fading.add(2.0, number * 400_000.0)
    now = 299 * 400_000.0

    assert fading.weight(now) == pytest.approx(1.0)
    assert fading.quantile(0.5) == pytest.approx(2.0, rel=0.16)


def test_what_is_old_is_stale() -> None:
    """Nothing tells of the present after five minutes of silence."""
    fading = Fading()
    assert fading.is_stale(0.0)
    assert not fading
    assert fading.quantile(0.5) is None
    assert fading.weight(5.0) == 0
    fading.add(1.0, 1000.0)
    assert not fading.is_stale(1299.0)
    assert fading.is_stale(1301.0)
    assert fading


@pytest.mark.parametrize("value", [0.0, 1e-9, 1e12])
def test_extremes_have_a_bucket(value: float) -> None:
    """Values beyond the scale are counted at its ends."""
    fading = Fading()
    fading.add(value, 0.0)
    assert fading.quantile(1.0) is not None
