"""The marks up to which the provider caches what it read: blocks of their own, behind what they mark."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.bedrock.profile import Writing
from trunkline.dialects.wire import Json
from trunkline.v1.chat_pb2 import Tool
from trunkline.v1.content_pb2 import CacheBreakpoint, Part

_SECONDS: Final = {"5m": 300, "1h": 3600}
"""`ttl` -> seconds."""


def take_cache(block: dict[str, Json], owner: Part | Tool | None) -> bool:
    """Read a block with a `cachePoint` into the `owner` in front of it; tells whether it was of the known form."""
    mark = block["cachePoint"]
    if owner is None or owner.HasField("cache") or len(block) != 1 or type(mark) is not dict:
        return False
    ttl = mark.get("ttl")
    if mark.get("type") != "default" or not mark.keys() <= {"type", "ttl"}:
        return False
    if ttl is not None and not (type(ttl) is str and ttl in _SECONDS):
        return False
    owner.cache.SetInParent()
    if ttl is not None:
        owner.cache.ttl.seconds = _SECONDS[ttl]
    return True


def encode_cache(cache: CacheBreakpoint, to: Writing) -> dict[str, Json] | None:
    """The block that `take_cache` reads, with the shortest time that is offered and not too short; None where the
    model takes none."""
    if not to.profile.cache:
        to.lose("cache_control")
        return None
    if not cache.HasField("ttl") or not to.profile.cache_ttl:
        return {"cachePoint": {"type": "default"}}
    return {"cachePoint": {"type": "default", "ttl": "1h" if cache.ttl.seconds > _SECONDS["5m"] else "5m"}}
