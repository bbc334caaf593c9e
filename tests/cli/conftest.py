"""Gateways for the commands to talk to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.running import Gateway, serving

KEY = "sk-right"


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """A gateway that asks for no key."""
    with serving() as gateway:
        yield gateway


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that answers nobody without `KEY`."""
    path: Path = tmp_path_factory.mktemp("locked") / "trunkline.yaml"
    path.write_text(f"keys: [{{name: me, key: {KEY}}}]\n")
    with serving("--config", str(path)) as gateway:
        yield gateway
