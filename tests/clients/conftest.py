"""Frameworks as clients: each a program of its own, in an environment that has what it needs."""

from __future__ import annotations

import asyncio
import fcntl
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent
_LOCK = _HERE / "requirements.txt"
_HOME = _HERE.parents[1] / "build" / "clients"
_PATIENCE = 240.0
"""Seconds after which a program that hangs fails its test: the first start of a framework compiles it."""

Report = dict[str, Any]
Ask = Callable[[str, str, dict[str, str]], Awaitable[Report]]
"""A program, the gateway's address, and the model for each thing to try -> what the program tells."""


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The Python of an environment that holds what `requirements.txt` locks; it is made where it is not there."""
    _HOME.mkdir(parents=True, exist_ok=True)
    python, stamp = _HOME / ".venv" / "bin" / "python", _HOME / "stamp"
    wanted = sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()
    with (_HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not python.exists() or not stamp.exists() or stamp.read_text() != wanted:
            uv = Path(sys.executable).with_name("uv")
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, _HOME / ".venv"], check=True)
            subprocess.run(
                [uv, "pip", "sync", "--quiet", "--system-certs", "--require-hashes", "--python", python, _LOCK],
                check=True,
            )
            stamp.write_text(wanted)
    return python


@pytest.fixture
def ask(client_python: Path) -> Ask:
    """Runs a program of `programs/` and gives what it tells; it fails the test where it fails."""

    async def run(program: str, url: str, models: dict[str, str]) -> Report:
        process = await asyncio.create_subprocess_exec(
            client_python,
            _HERE / "programs" / f"{program}.py",
            url,
            json.dumps(models),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "HOME": str(_HOME), "PYTHONUTF8": "1"},
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, err.decode()[-4000:]
        told: Report = json.loads(out.decode().splitlines()[-1])
        return told

    return run
