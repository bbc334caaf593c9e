"""A response in the background that another process writes, or wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from trunkline.dialects.wire import Json
from trunkline.errors import internal, invalid_request
from trunkline.store.responses import Stored
from trunkline.store.stores import Stores
from trunkline.web.responses.frames import framed_failure

_SOON: Final = 0.25
_LATER: Final = 1.0
"""Seconds until the store is asked again: longer and longer while nothing comes."""


async def follow(stores: Stores, response_id: str, owner: str, after: int) -> AsyncGenerator[bytes, None]:
    """The events behind number `after`, those to come among them, until the last. Where the process that wrote them is
    gone, the last ones tell that it failed.

    Raises `GatewayError`: NOT_FOUND, INVALID_REQUEST where they are held no longer, INTERNAL where they are too many to
    be held.
    """
    place, wait = max(0, after + 1), _SOON
    while True:
        progress = await stores.events.read(response_id, owner, place)
        if progress.gap:
            raise internal("The response is too long to be streamed again; get it without `stream`.")
        if progress.events:
            place += len(progress.events)
            wait = _SOON
            yield b"".join(progress.events)
        elif progress.lost:
            body = failed(await stores.responses.get(response_id, owner))
            yield framed_failure(internal(_GONE), body, max(place, progress.told))
            return
        elif progress.over:
            if not progress.told:
                raise invalid_request("The response cannot be streamed any more; get it without `stream`.", "stream")
            return
        else:
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LATER)


def failed(stored: Stored) -> dict[str, Json]:
    """A response whose process is gone, as its caller sees it."""
    return {**stored.body, "status": "failed", "error": {"code": "server_error", "message": _GONE}}


_GONE: Final = "The gateway that wrote the response is gone."
