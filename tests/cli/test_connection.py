"""Which gateway the arguments name."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from trunkline.cli import connection
from trunkline.cli.connection import ArgumentsError


def _args(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    connection.add_arguments(parser)
    return parser.parse_args(given)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ([], "127.0.0.1:50051 over gRPC"),
        (["--grpc", "gateway.example:443", "--tls"], "gateway.example:443 over gRPC"),
        (["--http", "http://127.0.0.1:8080/v1/"], "http://127.0.0.1:8080 over HTTP"),
        (["--http", "http://me:secret@gateway.example"], "http://gateway.example over HTTP"),
        (["--http", "https://gateway.example/llm"], "https://gateway.example/llm over HTTP"),
    ],
)
async def test_where_the_gateway_is(given: list[str], where: str) -> None:
    """The default is gRPC on this machine; a base URL of an OpenAI client is taken, too."""
    client = connection.connect(_args(*given))
    assert client.where == where
    await client.close()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--grpc", "http://127.0.0.1:8080"], "a URL goes with --http"),
        (["--http", "127.0.0.1:8080"], "--http takes a URL"),
        (["--http", "http://[::1"], "--http: "),
        (["--cert", "c.pem"], "go together"),
        (["--ca", "/nonexistent/ca.pem"], "Cannot read /nonexistent/ca.pem"),
        (["--http", "https://h", "--ca", "/nonexistent/ca.pem"], "Cannot use the certificates"),
        (["--key", "caf\u00e9"], "The key holds characters"),
        (["--key", "a b"], "The key holds characters"),
    ],
)
async def test_arguments_that_cannot_be_used(given: list[str], message: str) -> None:
    """Each is refused with what is wrong, before any connection is made."""
    with pytest.raises(ArgumentsError, match=message):
        connection.connect(_args(*given))


def test_the_wires_exclude_each_other() -> None:
    """Either gRPC or HTTP."""
    with pytest.raises(SystemExit):
        _args("--grpc", "a:1", "--http", "http://a")


async def test_a_file_that_is_no_certificate(tmp_path: Path) -> None:
    """A file without certificates is refused with what is wrong."""
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    with pytest.raises(ArgumentsError, match="Cannot use the certificates"):
        connection.connect(_args("--http", "https://h", "--ca", str(path)))


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`TRUNKLINE_KEY` holds the key, and `--key` goes before it."""
    monkeypatch.setenv("TRUNKLINE_KEY", "of-environment\n")
    assert connection.key_of(_args()) == "of-environment"
    assert connection.key_of(_args("--key", "of-flag")) == "of-flag"
