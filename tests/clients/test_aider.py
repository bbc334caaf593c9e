"""Aider, run without a head in a repository of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from e2e.conftest import KEY, Running, running

_PATIENCE = 120.0
"""Seconds after which an Aider that hangs fails its test."""

FILE = "hello.txt\n```\nHello there\n```\n"
"""A file as Aider's models write it: the fake says what it was told."""

OPTIONS = (
    "--edit-format=whole",
    "--yes-always",
    "--no-pretty",
    "--no-check-update",
    "--no-show-model-warnings",
    "--no-show-release-notes",
    "--analytics-disable",
)


@pytest.fixture
async def house() -> AsyncIterator[Running]:
    """A gateway in front of a fake OpenAI."""
    async with running(keys=[{"name": "agent", "key": KEY}]) as one:
        yield one


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty repository."""
    git = shutil.which("git")
    assert git is not None
    subprocess.run([git, "init", "--quiet", tmp_path], check=True)
    return tmp_path


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_aider_edits_and_commits(house: Running, aider: Path, repository: Path, vendor: str) -> None:
    """By chat and by Messages: it writes the file that the model streamed, and commits it with the words of its
    second model, which it asks without a stream."""
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    home = {"PATH": os.environ["PATH"], "HOME": str(repository), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    base = f"{house.url}/v1" if vendor == "openai" else house.url
    access = {f"{vendor.upper()}_API_BASE": base, f"{vendor.upper()}_API_KEY": KEY}
    process = await asyncio.create_subprocess_exec(
        aider,
        f"--model={vendor}/fake/echo",
        *OPTIONS,
        f"--message={FILE}",
        cwd=repository,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**home, **access, **identity},
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert process.returncode == 0, out.decode()[-4000:]
    assert (repository / "hello.txt").read_text() == "Hello there\n"
    assert len((repository / ".git/logs/HEAD").read_text().splitlines()) == 1
    assert [json.loads(one.body).get("stream", False) for one in house.upstream.requests] == [True, False]
