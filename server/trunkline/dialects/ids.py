"""Names for what a provider leaves unnamed."""

from __future__ import annotations

import hashlib


def call_id(response_id: str, choice: int, position: int) -> str:
    """An id for a tool call that has none: the same for the same call, and another for any other."""
    return made_id("call_", f"{response_id}/{choice}/{position}")


def made_id(prefix: str, seed: str) -> str:
    """An id that begins with `prefix`: the same for the same `seed`, and another for any other."""
    return f"{prefix}{hashlib.sha256(seed.encode()).hexdigest()[:24]}"
