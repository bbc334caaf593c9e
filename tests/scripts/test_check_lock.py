"""`scripts/check_lock.py` tells every way in which the locks do not fit, without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Edit = Callable[[str], str]


def replace(pattern: str, text: str) -> Edit:
    """An edit that must change the file."""

    def edit(before: str) -> str:
        after = re.sub(pattern, text, before, count=1, flags=re.MULTILINE)
        assert after != before
        return after

    return edit


@pytest.fixture
def problems(checkout: Callable[..., Path]) -> Callable[..., list[str]]:
    """What the script says after an edit of one file."""
    root = checkout("scripts/check_lock.py", "requirements", "pyproject.toml", "gen/python/pyproject.toml")

    def problems(name: str, edit: Edit) -> list[str]:
        path = root / name
        path.write_text(edit(path.read_text()))
        command = [sys.executable, str(root / "scripts/check_lock.py")]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.stderr == ""
        assert run.returncode == (1 if run.stdout else 0)
        return run.stdout.splitlines()

    return problems


def test_the_locks_of_the_repository_fit(problems: Callable[..., list[str]]) -> None:
    """Nothing is said where nothing is wrong."""
    assert problems("pyproject.toml", lambda text: text) == []


def test_a_new_dependency_is_missing(problems: Callable[..., list[str]]) -> None:
    """What the server newly asks for is missing in both locks."""
    edit = replace(r"^dependencies = \[", 'dependencies = ["unheard-of>=1",')
    assert problems("pyproject.toml", edit) == [
        "requirements/runtime.txt lacks unheard-of>=1",
        "requirements/dev.txt lacks unheard-of>=1",
    ]


def test_a_raised_floor_is_told(problems: Callable[..., list[str]]) -> None:
    """A pin that is older than what is asked for does not fit."""
    said = problems("pyproject.toml", replace(r'"pytest>=.*"', '"pytest>=999"'))
    assert len(said) == 1
    assert re.fullmatch(r"requirements/dev.txt has pytest \S+, but pytest>=999 is asked for", said[0])


def test_a_dropped_dependency_is_left_over(problems: Callable[..., list[str]]) -> None:
    """A pin that nothing asks for any more is told."""
    said = problems("pyproject.toml", replace(r'^    "uvloop.*\n', ""))
    assert said == [f"requirements/{lock}.txt has uvloop, which nothing asks for" for lock in ("runtime", "dev")]


def test_a_pin_without_its_hash_is_told(problems: Callable[..., list[str]]) -> None:
    """A line that is no comment is a pin with hashes, or one of them."""
    said = problems("requirements/dev.txt", replace(r"^(uv==[^ ]+) \\$", r"\1"))
    assert len(said) == 1
    assert "is no pin with its hashes" in said[0]


def test_the_locks_agree(problems: Callable[..., list[str]]) -> None:
    """A version that the server runs with is the one that it is tested with."""
    said = problems("requirements/dev.txt", replace(r"^rich==\S+", "rich==15.999"))
    assert len(said) == 1
    assert said[0].startswith("requirements/dev.txt lacks rich==")
