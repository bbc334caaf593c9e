"""The list of models."""

from __future__ import annotations

import pytest
from cli.conftest import KEY
from cli.running import Gateway, run
from google.protobuf.json_format import Parse

from trunkline.v1.models_pb2 import ListModelsResponse


def test_a_table_of_models(gateway: Gateway) -> None:
    """Each model is a row, with its providers."""
    done = run("models", *gateway.grpc)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert rows[0] == ["MODEL", "PROVIDERS", "CONTEXT", "MAX", "OUTPUT", "$/M", "IN", "$/M", "OUT"]
    assert ["sim/echo", "sim", "-", "-", "0", "0"] in rows


def test_both_wires_list_the_same(gateway: Gateway) -> None:
    """`--json` is the response as proto JSON, the same over either wire."""
    over_grpc = run("models", "--json", *gateway.grpc).stdout
    assert over_grpc == run("models", "--json", *gateway.http).stdout
    assert "sim/echo" in [model.id for model in Parse(over_grpc, ListModelsResponse()).models]


def test_a_key_is_asked_for(locked: Gateway) -> None:
    """Without a key the message says how to give one, over the native HTTP route, too."""
    for wire in (locked.grpc, locked.http):
        done = run("models", *wire)
        assert (done.returncode, done.stdout) == (1, "")
        assert "TRUNKLINE_KEY" in done.stderr
        assert run("models", *wire, TRUNKLINE_KEY=KEY).returncode == 0


@pytest.mark.parametrize("address", [("--grpc", "127.0.0.1:1"), ("--http", "http://127.0.0.1:1")])
def test_no_gateway(address: tuple[str, str]) -> None:
    """Where none answers, the status tells."""
    assert run("models", *address).returncode == 3
