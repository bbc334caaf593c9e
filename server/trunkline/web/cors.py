"""Lets the pages of some origins read what the gateway answers (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

_METHODS: Final = "GET, POST, PUT, PATCH, DELETE"
_NAMES: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")
_LONGEST: Final = 4096
_MAX_AGE: Final = "600"


class Cors:
    """Answers the browser's question, and marks each answer to one of `origins`.

    Cookies are not allowed for: a page must know a key, where one is needed, and send it itself.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origin.lower() for origin in origins)

    def install(self, app: web.Application) -> None:
        """Have `app` do so, on every path."""

        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
                return self._preflight(request)
            return await handler(request)

        app.middlewares.append(answer)
        app.on_response_prepare.append(self._mark)

    def _preflight(self, request: web.Request) -> web.Response:
        """Tell a page that may call what it may send, and any other nothing."""
        headers = {"vary": "Access-Control-Request-Headers"}
        if self._allowed(request) is not None:
            headers |= {"access-control-allow-methods": _METHODS, "access-control-max-age": _MAX_AGE}
            asked = request.headers.get("access-control-request-headers", "")[:_LONGEST]
            if _NAMES.fullmatch(asked):
                headers["access-control-allow-headers"] = asked
        return web.Response(status=204, headers=headers)

    async def _mark(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.add("vary", "Origin")  # whoever keeps the answer keeps it for this origin
        origin = self._allowed(request)
        if origin is not None:
            response.headers["access-control-allow-origin"] = origin
            response.headers["access-control-expose-headers"] = "*"

    def _allowed(self, request: web.Request) -> str | None:
        origin = request.headers.get("origin")
        return origin if origin is not None and origin.lower() in self._origins else None
