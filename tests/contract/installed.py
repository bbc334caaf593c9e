"""A distribution as its users have it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Installed:
    """An environment that holds one wheel and what it depends on."""

    wheel: Path
    python: Path

    def run(self, program: str) -> subprocess.CompletedProcess[str]:
        """Runs a program in it, without the environment of the tests; a warning is an error."""
        command = [str(self.python), "-I", "-W", "error", "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=False)
