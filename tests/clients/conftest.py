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
_HOME = _HERE.parents[1] / "build" / "clients"
_PATIENCE = 240.0
"""Seconds after which a program that hangs fails its test: the first start of a framework compiles it."""

Report = dict[str, Any]
Ask = Callable[[str, str, dict[str, str]], Awaitable[Report]]
"""A program, the gateway's address, and the model for each thing to try -> what the program tells."""


def _environment(home: Path, lock: Path, interpreter: str) -> Path:
    """The programs of an environment at `home` that holds what `lock` locks; it is made where it is not there."""
    home.mkdir(parents=True, exist_ok=True)
    programs, stamp = home / ".venv" / "bin", home / "stamp"
    wanted = sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    with (home / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (programs / "python").exists() or not stamp.exists() or stamp.read_text() != wanted:
            uv = Path(sys.executable).with_name("uv")
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", interpreter, home / ".venv"], check=True)
            python = programs / "python"
            subprocess.run(
                [uv, "pip", "sync", "--quiet", "--system-certs", "--require-hashes", "--python", python, lock],
                check=True,
            )
            stamp.write_text(wanted)
    return programs


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The Python of an environment that holds the frameworks."""
    return _environment(_HOME, _HERE / "requirements.txt", sys.executable) / "python"


@pytest.fixture(scope="session")
def aider() -> Path:
    """Aider, which runs on no Python after 3.12."""
    interpreter = sys.executable if sys.version_info < (3, 13) else "3.12"
    return _environment(_HOME.with_name("aider"), _HERE / "aider.txt", interpreter) / "aider"


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
