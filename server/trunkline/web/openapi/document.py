"""The OpenAPI document that `/openapi.json` serves."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def document() -> bytes:
    """The document, read once. In a checkout the file beside this module is a link to the one in `gen/`."""
    return Path(__file__).with_name("openapi.json").read_bytes()
