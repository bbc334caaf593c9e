"""The check of a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.running import run

GOOD = """\
http: {address: 127.0.0.1:9000}
providers:
  local: {kind: openai-compatible, base_url: http://127.0.0.1:1/v1, api_key: sk-provider}
models:
  fast: {targets: [local/small, sim/echo]}
keys:
  - {name: me, key: sk-caller}
"""

BAD = """\
http:
  addres: 127.0.0.1:9000
providers:
  local:
    kind: opnai
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the configuration is."""
    return tmp_path / "trunkline.yaml"


def test_a_good_configuration_is_summed_up(path: Path) -> None:
    """Addresses, providers, models and the number of keys are told; no secret is."""
    path.write_text(GOOD)
    done = run("check-config", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    for told in ("OK", "127.0.0.1:9000", "local (openai-compatible)", "fast: local/small, sim/echo"):
        assert told in done.stdout
    assert "sk-" not in done.stdout


def test_a_good_configuration_for_programs(path: Path) -> None:
    """The same as JSON."""
    path.write_text(GOOD)
    done = run("check-config", str(path), "--json")
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert told["keys"] == 1
    assert told["providers"] == {"local": "openai-compatible", "sim": "sim"}
    assert "sk-" not in done.stdout


def test_every_problem_is_told(path: Path) -> None:
    """Each problem is told with its line and its field."""
    path.write_text(BAD)
    done = run("check-config", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{path}:2: `http.addres`" in done.stderr
    assert f"{path}:5: `providers.local.kind`" in done.stderr


def test_every_problem_for_programs(path: Path) -> None:
    """The same as JSON, on stdout."""
    path.write_text(BAD)
    done = run("check-config", str(path), "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], len(told["problems"])) == (1, False, 2)


def test_a_provider_that_lacks_its_key(path: Path) -> None:
    """What only the making of a provider finds is found here, too."""
    path.write_text("providers:\n  mine: {kind: openai}\n")
    done = run("check-config", str(path))
    assert done.returncode == 1
    assert "providers.mine.api_key" in done.stderr


def test_the_environment_counts(path: Path) -> None:
    """The configuration is read as `serve` would read it."""
    path.write_text(GOOD)
    done = run("check-config", str(path), TRUNKLINE_HTTP_ADDRESS="nowhere")
    assert done.returncode == 1
    assert "TRUNKLINE_HTTP_ADDRESS" in done.stderr


def test_a_file_that_is_not_there(path: Path) -> None:
    """The path is told."""
    done = run("check-config", str(path))
    assert done.returncode == 1
    assert str(path) in done.stderr


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("{}", "none here: who reaches the gateway may use it, until an admin makes one"),
        ("access: {require_key: true}", "none here: tokens, and keys that admins make"),
        ("keys: [{name: ann, key: sk-ann-0123456789}]", "1"),
    ],
)
def test_who_may_call(tmp_path: Path, settings: str, told: str) -> None:
    """Keys of the file are not all there are."""
    path = tmp_path / "trunkline.yaml"
    path.write_text(settings)
    done = run("check-config", str(path))
    assert f"keys        {told}" in [line.rstrip() for line in done.stdout.splitlines()]
