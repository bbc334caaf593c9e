"""Ids sort by when they were made, and none is made twice."""

from __future__ import annotations

import re
import time

import pytest

from trunkline.ledger.ids import Ids


def test_ids_are_ulids_in_order() -> None:
    """Many of one millisecond, too."""
    new_id = Ids()
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(set(made))
    assert all(re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", name) for name in made)


def test_a_clock_that_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made afterwards still sorts after what was made before."""
    new_id = Ids()
    before = new_id()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    after = [new_id(), new_id()]
    assert [before, *after] == sorted([before, *after])
    assert Ids()() < before


def test_two_processes_make_others() -> None:
    """At the same moment."""
    one, other = Ids(), Ids()
    assert not {one() for _ in range(1000)} & {other() for _ in range(1000)}
