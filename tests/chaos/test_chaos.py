"""A deployment that is broken again and again loses nothing, doubles nothing and lets nobody overspend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

FAULTS = 3
"""A gateway is killed, PostgreSQL stopped, Valkey hung."""

PATIENCE = 600.0
"""Seconds after which the test fails rather than waits."""


def test_a_short_chaos(tmp_path: Path) -> None:
    """Gateways and servers are killed, stopped and hung under load; what callers saw the end of is recorded once."""
    told = tmp_path / "found.json"
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "scripts/chaos.d/chaos.py"), "--faults", str(FAULTS)),
            *("--replicas", "2", "--workers", "1", "--callers", "6", "--json", str(told)),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    found = json.loads(told.read_text())
    assert sum(found["faults"].values()) == FAULTS
    # There was something that could have been lost.
    assert found["calls"]["answered"] > FAULTS
    assert found["found"]["entries"] >= found["calls"]["answered"]
