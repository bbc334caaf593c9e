"""A checkout that holds only what a script reads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def checkout(tmp_path: Path) -> Callable[..., Path]:
    """Copies the named files of the repository, at the same places, to a folder of the test's own."""

    def copy(*names: str) -> Path:
        source = Path(__file__).parents[2]
        target = tmp_path / "checkout"
        for name in names:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            if (source / name).is_dir():
                shutil.copytree(source / name, target / name)
            else:
                shutil.copy2(source / name, target / name)
        return target

    return copy
