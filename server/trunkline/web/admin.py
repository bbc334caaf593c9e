"""The HTTP server of what only admins may do, at an address of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import web
from google.protobuf.descriptor import ServiceDescriptor

from trunkline.config.model import HttpConfig
from trunkline.core.entry import Entry
from trunkline.web.exchange import json_response
from trunkline.web.native.routes import routes as native_routes
from trunkline.web.parser_log import PARSER_LOG
from trunkline.web.server import Render, listen, metrics_route
from trunkline.web.unknown import Unknown


class AdminServer:
    """Serves `services`, which `desks` answer, `routes`, and the metrics where they are given. Started and stopped
    once, on one event loop."""

    def __init__(
        self,
        entry: Entry,
        config: HttpConfig,
        services: Sequence[ServiceDescriptor],
        desks: Mapping[str, object],
        *,
        routes: Sequence[web.RouteDef] = (),
        metrics: Render | None,
        shared: bool = False,
    ) -> None:
        self._config = config
        self._shared = shared
        app = web.Application(client_max_size=config.max_body_bytes)
        app.add_routes(native_routes(entry, services, desks=desks, body_timeout=config.body_timeout))
        app.add_routes(routes)
        app.router.add_get("/healthz", _healthz)
        if metrics is not None:
            app.add_routes([metrics_route(metrics)])
        app.router.add_route("*", "/{path:.*}", Unknown({}).answer)
        self._runner = web.AppRunner(
            app, access_log=None, logger=PARSER_LOG, handler_cancellation=True, shutdown_timeout=5.0
        )

    async def start(self) -> int:
        """Listen, and give the port. Raises `OSError` where the address is taken or a certificate cannot be used."""
        return await listen(self._runner, self._config.address, self._config.tls, shared=self._shared)

    async def stop(self) -> None:
        """Take no more calls, and return when the running ones have ended."""
        await self._runner.cleanup()


async def _healthz(request: web.Request) -> web.Response:
    return json_response(b'{"status":"ok"}', {})
