"""The program as its users run it: with pipes, and on a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Final, NamedTuple

PROGRAM: Final = (sys.executable, "-m", "trunkline")

_PATIENCE: Final = 60.0
"""Seconds after which a test fails rather than hangs."""

_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


def environment(**variables: str) -> dict[str, str]:
    """The environment of a program that finds no keys, no configuration and no colours in it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "COLUMNS": "200", "PYTHONUTF8": "1", "TRUNKLINE_STORE_URL": ":memory:", **variables}


def run(*arguments: str, stdin: str | bytes = b"", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, with pipes."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        check=False,
        env=environment(**variables),
        timeout=_PATIENCE,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


class Terminal:
    """A program on a terminal of its own. `screen` is all that it wrote, without escape sequences."""

    def __init__(self, program: subprocess.Popen[bytes], master: int) -> None:
        self._program = program
        self._master = master
        self._read = 0
        self.screen = ""

    def type(self, text: str) -> None:
        """Type `text`; `\\r` is the enter key, `\\x03` Ctrl-C and `\\x04` Ctrl-D."""
        os.write(self._master, text.encode())

    def enter(self, line: str) -> None:
        """Type `line` once the program asks for one. What is typed before may be lost, as on any terminal."""
        self.expect("\n> ")
        self.type(line)

    def expect(self, text: str) -> str:
        """Wait until `text` is on the screen, after what was expected before; what stands between."""
        deadline = time.monotonic() + _PATIENCE
        while (at := self.screen.find(text, self._read)) < 0:
            if not self._more(deadline):
                raise AssertionError(f"{text!r} is not on the screen:\n{self.screen[self._read :]}")
        between = self.screen[self._read : at]
        self._read = at + len(text)
        return between

    def press(self, key: str, *texts: str) -> None:
        """Press `key`, again where nothing comes of it, until one of `texts` is on the screen.

        Python's `input` can miss a signal that comes just before it waits: people press Ctrl-C again, too.
        """
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            self.type(key)
            soon = time.monotonic() + 2.0
            while self._more(soon):
                for text in texts:
                    at = self.screen.find(text, self._read)
                    if at >= 0:
                        self._read = at + len(text)
                        return
        raise AssertionError(f"none of {texts!r} is on the screen:\n{self.screen[self._read :]}")

    def interrupt(self) -> int:
        """Press Ctrl-C, again where nothing comes of it, until the program ends; its exit status."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._program.poll() is None:
            self.type("\x03")
            with suppress(subprocess.TimeoutExpired):
                self._program.wait(5.0)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of the program; its exit status."""
        status = self._program.wait(_PATIENCE)
        while self._more(0.0):
            pass
        return status

    def _more(self, deadline: float) -> bool:
        """Read on; whether there was anything."""
        if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        data = os.read(self._master, 65536)
        self.screen = _ESCAPES.sub("", self.screen + data.decode(errors="replace"))
        return bool(data)


@contextmanager
def on_terminal(*arguments: str, **variables: str) -> Iterator[Terminal]:
    """The program on a terminal; it is killed at the end."""
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    # The leader of a new session that opens a terminal gets it as its controlling one, so that Ctrl-C is a signal.
    program = subprocess.Popen(
        ["/bin/sh", "-c", 'tty=$1; shift; exec "$@" <"$tty" >"$tty" 2>&1', "sh", path, *PROGRAM, *arguments],
        env=environment(TERM="xterm", **variables),
        start_new_session=True,
    )
    try:
        yield Terminal(program, master)
    finally:
        if program.poll() is None:
            program.send_signal(signal.SIGKILL)
        program.wait()
        os.close(slave)
        os.close(master)


class Gateway(NamedTuple):
    """A running gateway: the process, the arguments that name it over either wire, and what it said at its start."""

    process: subprocess.Popen[str]
    grpc: tuple[str, str]
    http: tuple[str, str]
    said: str


@contextmanager
def serving(*arguments: str, stderr: IO[str] | None = None, **variables: str) -> Iterator[Gateway]:
    """`trunkline serve` on free ports, its log in `stderr`; it is told to stop at the end."""
    addresses = ("--http-address", "127.0.0.1:0", "--grpc-address", "127.0.0.1:0", "--discover", "false")
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [*PROGRAM, "serve", *addresses, *arguments],
            stdout=subprocess.PIPE,
            stderr=log if stderr is None else stderr,
            env=environment(**variables),
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        said = ""
        try:
            while "trunkline chat" not in said:
                line = process.stdout.readline()
                assert line, f"the gateway did not start:\n{said}{_told(log)}"
                said += line
            yield Gateway(process, ("--grpc", _after("gRPC", said)), ("--http", _after("HTTP", said)), said)
        finally:
            process.terminate()


def _told(log: IO[str]) -> str:
    log.seek(0)
    return log.read()[-4000:]


def _after(word: str, said: str) -> str:
    match = re.search(rf"{word} +(\S+)", said)
    assert match is not None
    return match[1]
