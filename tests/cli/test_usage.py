"""What was used, told by a gateway and from the database itself."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path

import pytest
from cli.running import Gateway, run
from ledger.entries import BEGIN, HOUR, closed, opened
from pyarrow import parquet

from trunkline.ledger.insertion import Insertion
from trunkline.store import database as databases

SINCE = ("--since", "2025-10-09T09:00:00Z", "--until", "2025-10-10")


async def fill(url: str) -> None:
    """Three calls, an hour after the other."""
    database = await databases.opened(url)
    entries = [closed(opened(at=BEGIN + number * HOUR), tags=["=blue"]) for number in range(3)]
    for number, entry in enumerate(entries):
        entry.model, entry.owner.key_id, entry.call_id = f"m{number % 2}", "key_1", f"req_{number}"
        entry.metadata["app"] = "shop"
    await Insertion(database).insert([(entry, entry.SerializeToString()) for entry in entries])
    await database.close()


@pytest.fixture
def where(tmp_path: Path) -> dict[str, str]:
    """The environment that names a database with three calls."""
    url = f"sqlite:///{tmp_path}/t.db"
    asyncio.run(fill(url))
    return {"TRUNKLINE_STORE_URL": url, "TRUNKLINE_DATA": str(tmp_path)}


def test_a_table(where: dict[str, str]) -> None:
    """The dearest first, in columns."""
    done = run("usage", "--local", "--group-by", "model,key", *SINCE, **where)
    assert done.returncode == 0, done.stderr
    head, first, second = (line.split() for line in done.stdout.splitlines())
    assert head == ["MODEL", "KEY", "CALLS", "ERRORS", "INPUT", "CACHED", "OUTPUT", "COST"]
    assert first == ["m0", "key_1", "2", "0", "200", "0", "40", "$0.000000"]
    assert second[:3] == ["m1", "key_1", "1"]
    assert done.stderr == "From 2025-10-09 09:00:00 to 2025-10-10 00:00:00 (UTC).\n"


def test_by_time_as_csv(where: dict[str, str]) -> None:
    """Exact numbers for programs."""
    arguments = ("--by", "hour", "--group-by", "metadata:app", "--metadata", "app=shop", "--csv", "--latencies")
    done = run("usage", "--local", *arguments, *SINCE, **where)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["time"] for row in rows] == [f"2025-10-09T{hour}:00:00Z" for hour in ("09", "10", "11")]
    assert {(row["metadata:app"], row["calls"], row["total_nanos"]) for row in rows} == {("shop", "1", "140")}
    assert float(rows[0]["duration_p50_ms"]) == 256


def test_as_json(where: dict[str, str]) -> None:
    """The message of the contract; filters are those of the contract, too."""
    done = run("usage", "--local", "--json", "--model", "m1", "--tag", "=blue", *SINCE, **where)
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["calls"], row["cost"]["totalNanos"]) == ("1", "140")


@pytest.mark.parametrize("wire", ["grpc", "http"])
def test_over_a_wire(gateway: Gateway, wire: str) -> None:
    """A gateway that recorded nothing says so, and exports nothing."""
    place: tuple[str, str] = getattr(gateway, wire)
    done = run("usage", "--since", "24h", "--metadata", "app=shop", *place)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("Nothing was used from ")
    done = run("ledger", "export", "--format", "csv", *place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("id,kind,call_id,")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("usage", "--group-by", "colour"), "'colour' is none of key, user"),
        (("usage", "--since", "soon"), "such as 2026-11-30"),
        (("usage", "--local", "--metadata", "app"), "KEY=VALUE"),
        (("ledger", "rerate"), "--since"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], told: str) -> None:
    """They are named."""
    done = run(*arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_exports(where: dict[str, str], tmp_path: Path) -> None:
    """The same calls in every format, which the name of the file tells."""
    lines = [json.loads(line) for line in run("ledger", "export", "--local", **where).stdout.splitlines()]
    assert [line["callId"] for line in lines] == ["req_0", "req_1", "req_2"]
    for name in ("calls.csv", "calls.parquet"):
        done = run("ledger", "export", "--local", "-o", str(tmp_path / name), **where)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "calls.csv").read_bytes().decode(), newline="")))
    table = parquet.read_table(tmp_path / "calls.parquet").to_pylist()
    assert [row["call_id"] for row in rows] == [row["call_id"] for row in table] == ["req_0", "req_1", "req_2"]
    assert (rows[0]["tags"], table[0]["tags"]) == ("'=blue", "=blue")
    assert (rows[0]["total_nanos"], table[0]["total_nanos"]) == ("140", 140)
    assert rows[0]["end_time"] == table[0]["end_time"].isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert rows[0]["metadata"] == table[0]["metadata"] == '{"app":"shop"}'
    assert not list(tmp_path.glob("*.part"))


def test_an_export_that_cannot_be_written(where: dict[str, str], tmp_path: Path) -> None:
    """It is told."""
    done = run("ledger", "export", "--local", "-o", str(tmp_path / "none" / "calls.csv"), **where)
    assert done.returncode == 2
    assert "Cannot write" in done.stderr


def test_rerating(where: dict[str, str], tmp_path: Path) -> None:
    """What is recorded is the difference to the configured prices, once."""
    config = tmp_path / "t.yaml"
    config.write_text(
        "providers: {openai: {kind: openai, api_key: sk-x}}\n"
        "catalog: {openai/gpt-5: {prices: [{input: 1, output: 2}]}}\n"
    )
    rerate = ("ledger", "rerate", "-c", str(config), "--since", "2025-10-09", "--json")
    told = json.loads(run(*rerate, "--dry-run", **where).stdout)
    per_call = 100 * 1000 + 20 * 2000 - 140
    assert (told["corrected"], told["nanos"], told["dry_run"]) == (3, 3 * per_call, True)
    done = run(*rerate[:-1], **where)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 calls got a correction, +$0.000419580 in all." in done.stderr
    assert json.loads(run(*rerate, **where).stdout)["corrected"] == 0
    (row,) = json.loads(run("usage", "--local", "--json", *SINCE, **where).stdout)["rows"]
    assert (row["calls"], row["corrections"], row["cost"]["totalNanos"]) == ("3", "3", str(3 * (per_call + 140)))
    assert run("ledger", "verify", **where).returncode == 0


def test_moving(where: dict[str, str], tmp_path: Path, postgres_url: str) -> None:
    """What was used is told by the new database, and nothing is moved twice."""
    done = run("store", "move", "--to", postgres_url, "--json", **where)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ledger_entries"] == 3
    again = run("store", "move", "--to", postgres_url, **where)
    assert again.returncode == 1
    assert "the target is not empty" in again.stderr
    moved = {**where, "TRUNKLINE_STORE_URL": postgres_url}
    ask = ("usage", "--local", "--json", "--group-by", "model", *SINCE)
    assert run(*ask, **moved).stdout == run(*ask, **where).stdout
    assert run("ledger", "verify", **moved).returncode == 0
    same = run("store", "move", "--to", where["TRUNKLINE_STORE_URL"], **where)
    assert "the database that is in use" in same.stderr
