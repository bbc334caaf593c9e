"""A deployment that is broken again and again loses nothing, doubles nothing and lets nobody overspend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_short_chaos(tmp_path: Path) -> None:
    """Gateways and servers are killed, stopped and hung under load; what callers saw the end of is recorded once."""
    told = tmp_path / "found.json"
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "scripts/chaos.d/chaos.py"), "--seconds", "12"),
            *("--replicas", "2", "--callers", "24", "--json", str(told)),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    found = json.loads(told.read_text())
    assert found["found"]["entries"] > 50
    assert found["calls"]["answered"] > 30
    assert sum(found["faults"].values()) >= 1
