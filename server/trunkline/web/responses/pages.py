"""Pages of items, as OpenAI lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from trunkline.dialects.wire import Json
from trunkline.errors import invalid_request

_LIMIT: Final = 20
_MOST: Final = 100


def page(items: Sequence[Json], query: Mapping[str, str]) -> dict[str, Json]:
    """The page of `items`, oldest first, that the query's `after`, `limit` and `order` choose.

    Raises `GatewayError` (INVALID_REQUEST) where one of them cannot be read.
    """
    limit = query.get("limit", str(_LIMIT))
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:9]) <= _MOST:
        raise invalid_request(f"`limit` must be between 1 and {_MOST}.", "limit")
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise invalid_request("`order` must be `asc` or `desc`.", "order")
    ordered = list(items) if order == "asc" else list(reversed(items))
    names = [item.get("id") if isinstance(item, dict) else None for item in ordered]
    begin = 0
    if "after" in query:
        if query["after"] not in names:
            raise invalid_request("`after` names no item of this list.", "after")
        begin = names.index(query["after"]) + 1
    end = begin + int(limit)
    shown = ordered[begin:end]
    return {
        "object": "list",
        "data": shown,
        "first_id": names[begin] if shown else None,
        "last_id": names[min(end, len(names)) - 1] if shown else None,
        "has_more": end < len(ordered),
    }
