"""Where a call may go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trunkline.core.provider import Provider


@dataclass(frozen=True, slots=True)
class Target:
    """A provider and its own name for a model."""

    provider: Provider
    model: str


Resolve = Callable[[str], Sequence[Target]]
"""Name of a model -> the targets to try, in order, at least one; raises `GatewayError` (NOT_FOUND)."""
