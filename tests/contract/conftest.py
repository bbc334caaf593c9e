"""The wheels of the two distributions, and the contract installed alone."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from contract.installed import Installed


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Builds the wheel of a distribution; it needs no network."""

    def build(source: Path) -> Path:
        out = tmp_path_factory.mktemp("wheel")
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
        subprocess.run(command, cwd=source, check=True, capture_output=True)
        [wheel] = out.glob("*.whl")
        return wheel

    return build


@pytest.fixture(scope="session")
def contracts(root: Path, build: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The contract installed alone: what it depends on is there, the server is not."""
    wheel = build(root / "gen/python")
    home = tmp_path_factory.mktemp("contracts")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    site = home / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # This path is taken as it is: the .pth files in it, by which the checkout is installed, are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(wheel, home / "bin" / "python")
