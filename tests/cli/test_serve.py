"""The start and the end of the gateway, as its operator sees them."""

from __future__ import annotations

import re
import shlex
import signal
from pathlib import Path

import httpx
import pytest
import trustme
from cli.running import on_terminal, run, serving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told_to(number: signal.Signals) -> None:
    """Both signals end it in peace."""
    with serving() as gateway:
        gateway.process.send_signal(number)
        assert gateway.process.wait(60) == 0


def test_no_core_is_dumped() -> None:
    """Whatever kills it, keys and prompts stay out of files."""
    with serving() as gateway:
        limits = Path(f"/proc/{gateway.process.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 ", limits, re.MULTILINE)


def test_it_says_how_to_call_it() -> None:
    """What it prints works as a shell would read it."""
    with serving() as gateway:
        command = re.search(r"^  (curl (?:.*\\\n)*.*)$", gateway.said, re.MULTILINE)
        assert command is not None
        # As a shell would split it; curl itself need not be there.
        _, url, _, header, _, body = shlex.split(command[1].replace("\\\n", " "))
        answer = httpx.post(url, headers=dict([header.split(": ")]), content=body)
        assert answer.json()["choices"][0]["message"]["content"] == "Hello"
        chat = re.search(r"^  trunkline (chat .*)$", gateway.said, re.MULTILINE)
        assert chat is not None
        assert run(*chat[1].split()).stdout == "Hello\n"
        assert "no keys" in gateway.said


def test_with_keys_it_says_where_the_key_goes(tmp_path: Path) -> None:
    """The command that is printed takes the key from the environment; the key itself is never printed."""
    path = tmp_path / "trunkline.yaml"
    path.write_text("keys: [{name: me, key: sk-right}]\n")
    with serving("--config", str(path)) as gateway:
        assert "$TRUNKLINE_KEY" in gateway.said
        assert "sk-right" not in gateway.said
        assert "no keys" not in gateway.said


def test_keys_in_memory_end_with_it(tmp_path: Path) -> None:
    """The admin's key that is made is then told to be gone with the process; one in a file is not."""
    path = tmp_path / "trunkline.yaml"
    path.write_text("access: {require_key: true}\n")
    for store, told in ((":memory:", True), (f"sqlite:///{tmp_path}/t.db", False)):
        log = tmp_path / "log"
        with log.open("w") as stderr, serving("--config", str(path), stderr=stderr, TRUNKLINE_STORE_URL=store) as one:
            one.process.terminate()
            one.process.wait(60)
        said = log.read_text()
        assert "The admin's key" in said
        assert ("is gone when" in said) is told
        assert ("shown this once" in said) is not told


def test_a_bad_configuration_is_told(tmp_path: Path) -> None:
    """It does not start, and says why, line by line."""
    path = tmp_path / "trunkline.yaml"
    path.write_text("http:\n  addres: here\n")
    done = run("serve", "--config", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{path}:2: `http.addres`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_flag_is_told() -> None:
    """A value that a setting cannot have is told with the flag."""
    done = run("serve", "--http-address", "here")
    assert done.returncode == 1
    assert "--http-address" in done.stderr


def test_a_taken_address_is_told() -> None:
    """Where another has the address, it does not start, and says which."""
    with serving() as gateway:
        for flag, taken in (("--grpc-address", gateway.grpc[1]), ("--http-address", gateway.http[1][7:])):
            free = {"--http-address": "127.0.0.1:0", "--grpc-address": "127.0.0.1:0"} | {flag: taken}
            done = run("serve", *(word for pair in free.items() for word in pair), "--discover", "false")
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.startswith("error: ") or "\nerror: " in done.stderr
            assert "Traceback" not in done.stderr


def test_no_public_address_without_keys() -> None:
    """It refuses to listen for other machines while anyone may use it."""
    done = run("serve", "--http-address", "0.0.0.0:0")
    assert done.returncode == 1
    assert "keys" in done.stderr


def test_over_mutual_tls(tmp_path: Path) -> None:
    """The commands reach a gateway that shows a certificate and asks for one, over either wire."""
    authority = trustme.CA()
    ca, server, client = tmp_path / "ca.pem", tmp_path / "server.pem", tmp_path / "client.pem"
    authority.cert_pem.write_to_path(ca)
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(server)
    authority.issue_cert("me@example.org").private_key_and_cert_chain_pem.write_to_path(client)
    flags = [
        *(f"--{wire}-tls-{part}={server}" for wire in ("http", "grpc") for part in ("certificate", "private-key")),
        *(f"--{wire}-tls-client-ca={ca}" for wire in ("http", "grpc")),
    ]
    shown = ("--cert", str(client), "--cert-key", str(client))
    with serving(*flags) as gateway:
        assert gateway.http[1].startswith("https://")
        for wire in (gateway.grpc, gateway.http):
            assert run("chat", "Hi", *wire, "--ca", str(ca), *shown).stdout == "Hi\n"
            without = run("chat", "Hi", *wire, "--ca", str(ca))
            assert without.returncode == 3
            assert "Traceback" not in without.stderr
        untrusted = run("chat", "Hi", *gateway.http)
        assert untrusted.returncode == 3
        assert "--ca" in untrusted.stderr


def test_ctrl_c_at_a_terminal_stops_it() -> None:
    """Ctrl-C ends it without a word of Python."""
    with on_terminal(
        *("serve", "--http-address", "127.0.0.1:0", "--grpc-address", "127.0.0.1:0", "--discover", "false")
    ) as terminal:
        terminal.expect("trunkline chat")
        terminal.type("\x03")
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.screen


def test_every_setting_is_a_flag() -> None:
    """The help tells of the flags and of the variables that go with them."""
    told = run("serve", "--help").stdout
    for name in ("--http-address", "TRUNKLINE_HTTP_ADDRESS", "--shutdown-grace", "--grpc-tls-client-ca"):
        assert name in told
