"""The program as a whole: its commands, its help and its exit statuses."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

from trunkline.cli.program import COMMANDS


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trunkline", *arguments]
    return subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)


def test_help_names_every_command() -> None:
    """`--help` tells of every command, and succeeds."""
    done = _run("--help")
    assert done.returncode == 0
    told = " ".join(done.stdout.split())
    assert all(f"{name} {purpose}" in told for name, purpose in COMMANDS.items())


def test_help_loads_nothing_heavy() -> None:
    """`--help` is quick, as nothing is imported that only commands need."""
    code = (
        "import sys\n"
        "from trunkline.cli.program import run\n"
        "try:\n    run(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stderr.split())
    assert not loaded & {"rich", "grpc", "google", "pydantic", "yaml", "aiohttp", "httpx", "uvloop", "asyncio"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    """`COMMAND --help` tells what the command does, and succeeds."""
    done = _run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert COMMANDS[name][1:] in " ".join(done.stdout.split())


def test_no_command_is_a_usage_error() -> None:
    """Without a command the help goes to stderr, and the status is that of wrong arguments."""
    done = _run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: trunkline")


def test_an_unknown_command_is_a_usage_error() -> None:
    """A command that does not exist is refused with the ones that do."""
    done = _run("chatt", "hello")
    assert done.returncode == 2
    assert "'chatt'" in done.stderr
    assert "chat" in done.stderr


def test_an_unknown_option_is_a_usage_error() -> None:
    """An option that the command does not have is refused, also where another begins with it."""
    done = _run("models", "--js")
    assert done.returncode == 2
    assert "--js" in done.stderr


def test_version_is_that_of_the_distribution() -> None:
    """`version` prints the version alone."""
    done = _run("version")
    assert (done.returncode, done.stdout) == (0, f"{metadata.version('trunkline')}\n")


def test_a_reader_that_leaves_is_no_crash() -> None:
    """Where the reader of stdout leaves early, as `head` does, nothing is said about it."""
    with subprocess.Popen(
        [sys.executable, "-m", "trunkline", "version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        assert program.stderr.read() == ""
