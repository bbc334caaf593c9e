"""`scripts/environment` makes one environment, once, and mends what is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

# A Python whose new environments have, in place of pip, a program that notes how it was called.
PYTHON = """\
#!/bin/bash
set -eu
case "$*" in
    *"import sys, ensurepip"* | *"import ensurepip"*) [ ! -e "$STATE/no-ensurepip" ] ;;
    *"-m venv"*)
        "$REAL" -I -m venv --without-pip --clear "${@: -1}"
        cd "${@: -1}"/lib/python*/site-packages
        mkdir pip
        cp "$STATE/pip.py" pip/__main__.py ;;
    *) exec "$REAL" "$@" ;;
esac
"""
PIP = """\
import os, pathlib, sys
state = pathlib.Path(os.environ["STATE"])
with (state / "calls").open("a") as calls:
    print(*sys.argv[1:], file=calls)
sys.exit((state / "no-network").exists())
"""
OLD = '#!/bin/bash\n[ "$1" = -IS ] && echo 3.9 False\n'


@dataclass(frozen=True)
class Checkout:
    """A checkout with `scripts/environment`, and machinery that stands in for the machine around it."""

    root: Path
    state: Path

    def command(self, lock: str, **variables: str) -> tuple[list[str], dict[str, str]]:
        """How a script that sources it is started, and with which environment."""
        script = f"set -euo pipefail; source {self.root}/scripts/environment {lock}; command -v python"
        environment = {
            "PATH": f"{self.state}/bin:/usr/bin:/bin",
            "PYTHON": str(self.state / "python"),
            "STATE": str(self.state),
            "REAL": sys.executable,
            **variables,
        }
        return ["/bin/bash", "-c", script], environment

    def source(self, lock: str = "runtime", **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs such a script to its end."""
        command, environment = self.command(lock, **variables)
        return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)

    def installed(self) -> list[str]:
        """The locks that pip was asked for, in order."""
        calls = self.state / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [Path(line.split()[-1]).stem for line in lines if "--require-hashes" in line]

    def executable(self, name: str, text: str) -> None:
        """Writes a program of the machine."""
        path = self.state / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def here(checkout: Callable[..., Path], tmp_path: Path) -> Checkout:
    """A checkout where nothing was installed yet."""
    root = checkout("scripts/environment", "requirements", "pyproject.toml", "gen/python/pyproject.toml")
    state = tmp_path / "state"
    state.mkdir()
    (state / "pip.py").write_text(PIP)
    made = Checkout(root, state)
    made.executable("python", PYTHON)
    return made


def test_it_is_made_once(here: Checkout) -> None:
    """The first script installs the lock and the two local distributions; the second is silent and calls nothing."""
    first, second = here.source(), here.source()
    assert first.returncode == 0
    assert first.stderr.count("\n") == 1
    assert "making .venv with Python 3." in first.stderr
    assert second.stdout == first.stdout == f"{here.root}/.venv/bin/python\n"
    assert (second.returncode, second.stderr) == (0, "")
    calls = (here.state / "calls").read_text().splitlines()
    assert here.installed() == ["runtime"]
    assert calls[1].endswith(f"--editable {here.root}/gen/python --editable {here.root}")
    assert "--no-index" in calls[1]


@pytest.mark.parametrize("name", ["requirements/runtime.txt", "pyproject.toml", "gen/python/pyproject.toml"])
def test_a_change_renews_it(here: Checkout, name: str) -> None:
    """When a lock or a pyproject file changes, it is installed again into the same environment."""
    here.source()
    (here.root / ".venv/witness").touch()
    with (here.root / name).open("a") as file:
        file.write("# changed\n")
    assert "renewing .venv" in here.source().stderr
    assert here.installed() == ["runtime", "runtime"]
    assert (here.root / ".venv/witness").exists()


def test_dev_serves_as_runtime(here: Checkout) -> None:
    """An environment of a developer stays one, whichever script comes next."""
    assert here.source("runtime").returncode == 0
    assert here.source("dev").returncode == 0
    assert here.source("runtime").stderr == ""
    with (here.root / "requirements/dev.txt").open("a") as file:
        file.write("# changed\n")
    assert here.source("runtime").returncode == 0
    assert here.installed() == ["runtime", "dev", "dev"]


def test_a_moved_checkout_is_made_anew(here: Checkout) -> None:
    """The programs of an environment hold its path, so that a moved one is not used."""
    here.source()
    moved = Checkout(here.root.with_name("moved"), here.state)
    shutil.move(here.root, moved.root)
    (moved.root / ".venv/witness").touch()
    run = moved.source()
    assert "making .venv" in run.stderr
    assert run.stdout == f"{moved.root}/.venv/bin/python\n"
    assert not (moved.root / ".venv/witness").exists()


def test_a_broken_one_is_made_anew(here: Checkout) -> None:
    """An environment whose Python is gone is not used."""
    here.source()
    for path in (here.root / ".venv/bin").glob("python*"):
        path.unlink()
    assert "making .venv" in here.source().stderr
    assert here.source().stderr == ""


def test_a_failed_install_is_told_and_repeated(here: Checkout) -> None:
    """A script whose environment cannot be made ends there; the next one starts from nothing."""
    (here.state / "no-network").touch()
    failed = here.source()
    assert (failed.returncode, failed.stdout) == (1, "")
    (here.state / "no-network").unlink()
    assert "making .venv" in here.source().stderr
    assert here.source().stderr == ""


def test_scripts_at_once_make_one(here: Checkout) -> None:
    """Of scripts that start together, one makes the environment and the others wait for it."""
    command, environment = here.command("dev")
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)
    ]
    messages = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0, 0]
    assert here.installed() == ["dev"]
    assert sum(b"making" in message for message in messages) == 1


def test_an_old_python_is_refused(here: Checkout) -> None:
    """The message names the Python and what to do."""
    here.executable("python", OLD)
    run = here.source()
    assert run.returncode == 1
    assert f"{here.state}/python is not Python 3.11 or newer" in run.stderr
    assert not (here.root / ".venv").exists()


def test_a_missing_ensurepip_is_added_by_root(here: Checkout) -> None:
    """Debian keeps a part of Python in a package of its own, which root gets, and is told so."""
    (here.state / "no-ensurepip").touch()
    here.executable("bin/id", "#!/bin/bash\necho 0\n")
    here.executable(
        "bin/apt-get", '#!/bin/bash\necho "$@" >>"$STATE/apt"\n[ "$2" = update ] || rm "$STATE/no-ensurepip"\n'
    )
    run = here.source()
    package = f"python3.{sys.version_info.minor}-venv"
    assert run.returncode == 0
    assert f"installing {package} with apt-get" in run.stderr
    assert (here.state / "apt").read_text() == f"-qq update\n-qq install -y {package}\n"


def test_a_missing_ensurepip_is_named_to_others(here: Checkout) -> None:
    """Who is not root gets the command that helps, and nothing is installed."""
    (here.state / "no-ensurepip").touch()
    here.executable("bin/id", "#!/bin/bash\necho 1000\n")
    here.executable("bin/apt-get", '#!/bin/bash\ntouch "$STATE/apt"\n')
    run = here.source()
    assert run.returncode == 1
    assert f"sudo apt-get install python3.{sys.version_info.minor}-venv\n" in run.stderr
    assert not (here.state / "apt").exists()
    assert os.listdir(here.root).count(".venv") == 0
