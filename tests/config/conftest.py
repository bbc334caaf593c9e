"""A configuration file of the test's own, and what `load` makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Protocol

import pytest

from trunkline.config.load import load
from trunkline.config.model import Config
from trunkline.config.problem import ConfigError

KINDS = ("openai", "openai-compatible", "anthropic", "ollama", "sim")


class Load(Protocol):
    """Load `text` as `trunkline.yaml`; without text, load without a file."""

    def __call__(
        self,
        text: str | bytes | None,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, str] | None = None,
    ) -> Config: ...


class Problems(Protocol):
    """The problems that `load` finds in `text`, the folder left out of the file's name."""

    def __call__(
        self,
        text: str | bytes | None,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, str] | None = None,
    ) -> list[str]: ...


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    def run(
        text: str | bytes | None,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, str] | None = None,
    ) -> Config:
        path = None
        if text is not None:
            path = tmp_path / "trunkline.yaml"
            path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return load(path, environ or {}, flags or {}, KINDS)

    return run


@pytest.fixture
def problems(loaded: Load, tmp_path: Path) -> Problems:
    def run(
        text: str | bytes | None,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, str] | None = None,
    ) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            loaded(text, environ, flags)
        assert str(raised.value) == "\n".join(raised.value.problems)
        return [problem.removeprefix(f"{tmp_path}/") for problem in raised.value.problems]

    return run
