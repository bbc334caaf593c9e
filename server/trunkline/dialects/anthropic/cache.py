"""The marks up to which the provider caches what it read."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.wire import Json, Object
from trunkline.v1.chat_pb2 import Tool
from trunkline.v1.content_pb2 import CacheBreakpoint, Part

_SECONDS: Final = {"5m": 300, "1h": 3600}
"""`ttl` -> seconds."""


def take_cache(wire: Object, owner: Part | Tool) -> None:
    """Read `cache_control` into `owner.cache` where it is of the known form; left alone otherwise."""
    mark = wire.fields.get("cache_control")
    if mark is None:
        wire.take("cache_control")
    elif isinstance(mark, dict) and mark.get("type") == "ephemeral" and mark.keys() <= {"type", "ttl"}:
        ttl = mark.get("ttl")
        if ttl is None or (isinstance(ttl, str) and ttl in _SECONDS):
            del wire.fields["cache_control"]
            owner.cache.SetInParent()
            if ttl is not None:
                owner.cache.ttl.seconds = _SECONDS[ttl]


def encode_cache(cache: CacheBreakpoint) -> dict[str, Json]:
    """The mark that `take_cache` reads: the shortest time that is offered and not too short."""
    if not cache.HasField("ttl"):
        return {"type": "ephemeral"}
    return {"type": "ephemeral", "ttl": "1h" if cache.ttl.seconds > _SECONDS["5m"] else "5m"}
