"""JavaScript clients and coding agents, each a program of its own, as npm's lock has them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest

_HERE = Path(__file__).parent
_HOME = _HERE.parents[1] / "build" / "node"
_FILES = ("package.json", "package-lock.json")
_PATIENCE = 120.0
"""Seconds after which a program that hangs fails its test."""


class Ended(NamedTuple):
    """What a program wrote."""

    out: str
    err: str


Execute = Callable[..., Awaitable[Ended]]
"""A command, and what is to be in its environment -> what it wrote; it fails the test where it fails."""


@pytest.fixture(scope="session")
def node_home() -> Path:
    """A folder that holds what `package-lock.json` locks; it is filled where it is not."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        pytest.skip("NODE IS MISSING: the JavaScript clients and the coding agents are NOT tested here")
    _HOME.mkdir(parents=True, exist_ok=True)
    stamp = _HOME / "stamp"
    wanted = sha256(b"".join((_HERE / name).read_bytes() for name in _FILES)).hexdigest()
    with (_HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            for name in _FILES:
                shutil.copy(_HERE / name, _HOME / name)
            subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--silent"], cwd=_HOME, check=True)
            stamp.write_text(wanted)
        for program in (_HERE / "programs").glob("*.mjs"):
            # Node looks for packages beside the program.
            shutil.copy(program, _HOME / program.name)
    return _HOME


@pytest.fixture
def execute(node_home: Path, tmp_path: Path) -> Execute:
    """Runs a command in a folder of its own, with nothing of the user's around it."""

    async def run(*command: str | Path, environment: dict[str, str] | None = None) -> Ended:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **(environment or {})},
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, (out.decode()[-2000:], err.decode()[-4000:])
        return Ended(out.decode(), err.decode())

    return run


@pytest.fixture
def ask(node_home: Path, execute: Execute) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Runs a program of `programs/` and gives what it tells."""

    async def run(program: str, url: str, models: dict[str, str]) -> dict[str, Any]:
        ended = await execute("node", node_home / f"{program}.mjs", url, json.dumps(models))
        told: dict[str, Any] = json.loads(ended.out.splitlines()[-1])
        return told

    return run
