"""The kinds of part, as `Part.WhichOneof("kind")` tells them."""

from __future__ import annotations

from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["text", "media", "tool_call", "tool_result", "reasoning", "refusal", "opaque"] | None
