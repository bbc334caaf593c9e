"""`scripts/bench` measures every kind of call, and stops what it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

BENCH = [sys.executable, str(Path(__file__).parents[2] / "scripts/bench.d")]


def processes(group: str) -> list[str]:
    """The command lines of the running processes that carry `group` in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if group.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it ended in between, or is another user's
    return found


def test_every_kind_of_call_is_measured_and_answered(tmp_path: Path) -> None:
    """The shortest run has a figure for each kind of call and the memory at each step; no process is left."""
    result = tmp_path / "result.json"
    mark = f"BENCH_TEST={tmp_path}"
    run = subprocess.run(
        [*BENCH, "--rounds", "1", "--seconds", "0.01", "--calls", "100", "--json", str(result)],
        env={**os.environ, "BENCH_TEST": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(result.read_bytes())
    names = {figure["name"] for figure in found["figures"]}
    assert names == set(found["costs"])
    assert names == {
        "http-unary",
        "http-unary-1",
        "http-burst",
        "http-paced",
        "grpc-unary",
        "grpc-burst",
        "grpc-paced",
    }
    assert all(figure["gateway"] > 0 and figure["ratio"] > 0 for figure in found["figures"] if "CPU" in figure["what"])
    assert len(found["memory"]["steps"]) == 11
    assert found["translations"]
    assert not processes(mark)


def test_every_dialect_is_translated_without_a_server(tmp_path: Path) -> None:
    """Translation alone starts nothing, and has a figure for each dialect's requests and events."""
    result = tmp_path / "result.json"
    run = subprocess.run(
        [*BENCH, "--only", "translation", "--rounds", "1", "--seconds", "0.001", "--json", str(result)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert not run.stderr
    found = json.loads(result.read_bytes())
    assert found["costs"] == {}
    assert found["memory"] is None
    figures = {(one["what"], one["name"].partition(" ")[0]): one for one in found["translations"]}
    assert figures.keys() == {
        (what, name)
        for what in ("a request", "an event")
        for name in ("OpenAI", "Responses", "Anthropic", "Gemini", "Bedrock")
    }
    assert all(cost > 0 for one in figures.values() for cost in (*one["costs"], *one["json"]))


def test_a_run_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    """A signal in the middle of a load ends the run, and every process of it."""
    mark = f"BENCH_TEST={tmp_path}"
    with subprocess.Popen(
        [*BENCH, "--only", "http-unary", "--seconds", "60", "--calls", "0"],
        env={**os.environ, "BENCH_TEST": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr is not None
        assert any("round 1" in line for line in run.stderr)
        assert processes(mark)
        run.send_signal(signal.SIGTERM)
        assert run.wait() == 130
    assert not processes(mark)
