"""The HTTP server: its routes, its settings, its start and its end."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from aiohttp import web
from google.protobuf.descriptor import ServiceDescriptor

from trunkline.config.address import Address
from trunkline.config.model import HttpConfig, TlsConfig
from trunkline.core.entry import Entry
from trunkline.dialects.wire import dumps
from trunkline.errors import GatewayError
from trunkline.store.stores import Stores
from trunkline.usage.usage import Usage
from trunkline.v1 import errors_pb2
from trunkline.web.activity import ActivitySurface
from trunkline.web.anthropic import AnthropicSurface
from trunkline.web.completions import CompletionsSurface
from trunkline.web.cors import Cors
from trunkline.web.embeddings import EmbeddingsSurface
from trunkline.web.exchange import json_response
from trunkline.web.gemini import GeminiSurface
from trunkline.web.models import ModelsSurface
from trunkline.web.mounts import mounts_of
from trunkline.web.native.routes import routes as native_routes
from trunkline.web.openai import OpenAISurface, encode_error
from trunkline.web.openapi.document import document
from trunkline.web.openrouter import OpenRouterSurface
from trunkline.web.parser_log import PARSER_LOG
from trunkline.web.responses.conversations import ConversationsSurface
from trunkline.web.responses.surface import ResponsesSurface
from trunkline.web.unknown import Unknown

Render = Callable[[str], Awaitable[tuple[bytes, str]]]
"""An `accept` header -> the metrics and their content type."""

_SURFACES: Final = (
    OpenAISurface,
    CompletionsSurface,
    EmbeddingsSurface,
    AnthropicSurface,
    OpenRouterSurface,
    ModelsSurface,
)

_FOR_ADMINS: Final = (
    "This takes an admin's key, as `http.address` can be reached from elsewhere; see `metrics.address`."
)

_IDLE: Final = 75.0
"""Seconds that a connection may stay idle: longer than the 60 of the usual proxies, which then close it first."""

_FAREWELL: Final = 1.0
"""Seconds in which clients may send another call on a connection before it is closed under them."""
_LOOK: Final = 0.02


class WebServer:
    """Serves the calls of `entry` over HTTP. Started and stopped once, on one event loop.

    With `shared`, other processes listen on the same address. `desks` answer the services that the gateway does not,
    `usage` tells OpenRouter's clients what they used, and `routes` are served besides.
    """

    def __init__(
        self,
        entry: Entry,
        config: HttpConfig,
        services: Sequence[ServiceDescriptor],
        stores: Stores,
        *,
        metrics: Render | None,
        shutdown_grace: float,
        desks: Mapping[str, object] = {},
        usage: Usage | None = None,
        routes: Sequence[web.RouteDef] = (),
        shared: bool = False,
    ) -> None:
        self._config = config
        self._grace = shutdown_grace
        self._shared = shared
        self._draining = False
        app = web.Application(client_max_size=config.max_body_bytes)
        timing = {"body_timeout": config.body_timeout, "keep_alive": config.keep_alive}
        mounts = mounts_of(config.mounts)
        self._responses = ResponsesSurface(entry, stores, mounts, **timing)
        app.add_routes(self._responses.routes())
        app.add_routes(ConversationsSurface(entry, stores, mounts, **timing).routes())
        for surface in _SURFACES:
            app.add_routes(surface(entry, mounts, **timing).routes())
        app.add_routes(routes)
        if usage is not None:
            app.add_routes(ActivitySurface(entry, mounts, usage).routes())
        app.add_routes(GeminiSurface(entry, **timing).routes())
        app.add_routes(native_routes(entry, services, desks=desks, body_timeout=config.body_timeout))
        app.router.add_get("/healthz", _healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/openapi.json", _openapi)
        if metrics is not None:
            app.add_routes([metrics_route(metrics, None if config.address.loopback else entry)])
        if config.cors_origins:
            Cors(config.cors_origins).install(app)
        app.router.add_route("*", "/{path:.*}", Unknown(mounts).answer)
        app.on_response_prepare.append(self._tell_that_it_leaves)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=PARSER_LOG,
            handler_cancellation=True,
            keepalive_timeout=_IDLE,
            lingering_time=2.0,
            shutdown_timeout=shutdown_grace,
        )

    async def start(self) -> int:
        """Listen, and give the port. Raises `OSError` where the address is taken or a certificate cannot be used."""
        return await listen(self._runner, self._config.address, self._config.tls, shared=self._shared)

    async def leave(self, *, to_others: bool) -> None:
        """Say that no more calls should come, and with each answer that it is its connection's last; take them all the
        same, until `stop`. With `to_others` no more connections are taken: they go to the other processes at the same
        address."""
        self._draining = True
        if to_others:
            await self._stop_listening()

    async def stop(self) -> None:
        """Take no more calls, and return when the running ones have ended, or were cancelled after the grace."""
        others = self._shared or self._draining
        self._draining = True
        if others:
            await self._send_away()
        await asyncio.gather(self._runner.cleanup(), self._responses.close(self._grace))
        # Those that began while the others ended.
        await self._responses.close(0)

    async def _stop_listening(self) -> None:
        for site in self._runner.sites:
            await site.stop()

    async def _send_away(self) -> None:
        """Have clients take their next call to another process: one that is sent into a connection while that is closed
        fails. New connections are the others' from here on, and each answer says that it is its connection's last."""
        server = self._runner.server
        await self._stop_listening()
        until = time.monotonic() + _FAREWELL
        while server is not None and server.connections and time.monotonic() < until:  # noqa: ASYNC110 - none tells
            await asyncio.sleep(_LOOK)

    async def _tell_that_it_leaves(self, request: web.Request, response: web.StreamResponse) -> None:
        if self._draining:
            # aiohttp has written its own headers by now, and would close the connection without a word.
            response.headers["connection"] = "close"
            response.force_close()

    async def _readyz(self, request: web.Request) -> web.Response:
        if self._draining:
            return json_response(b'{"status":"draining"}', {}, status=503)
        return json_response(b'{"status":"ok"}', {})


class MetricsServer:
    """Serves `/metrics` at an address of its own."""

    def __init__(self, address: Address, metrics: Render, *, shared: bool = False) -> None:
        self._address = address
        self._shared = shared
        app = web.Application()
        app.add_routes([metrics_route(metrics)])
        self._runner = web.AppRunner(app, access_log=None, logger=PARSER_LOG, shutdown_timeout=1.0)

    async def start(self) -> int:
        """Listen, and give the port. Raises `OSError` where the address is taken."""
        return await listen(self._runner, self._address, None, shared=self._shared)

    async def stop(self) -> None:
        """Stop at once."""
        await self._runner.cleanup()


def metrics_route(render: Render, entry: Entry | None = None) -> web.RouteDef:
    """The route of the metrics: they tell of all callers, and so take an admin's key of `entry` where that is given."""

    async def metrics(request: web.Request) -> web.Response:
        if entry is not None:
            try:
                if not (await entry.identify(request.headers)).admin:
                    raise GatewayError(errors_pb2.ERROR_REASON_PERMISSION_DENIED, _FOR_ADMINS)
            except GatewayError as error:
                told = dumps(encode_error(error, ""))
                return json_response(told, {"www-authenticate": "Bearer"}, status=error.row.http)
        body, content_type = await render(request.headers.get("accept", ""))
        return web.Response(body=body, headers={"content-type": content_type})

    return web.get("/metrics", metrics)


async def metrics_socket(path: Path, metrics: Render) -> web.AppRunner:
    """Serve `/metrics` on a Unix socket, for the workers beside this one; `cleanup` of the runner ends that."""
    app = web.Application()
    app.add_routes([metrics_route(metrics)])
    runner = web.AppRunner(app, access_log=None, logger=PARSER_LOG, shutdown_timeout=1.0)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    return runner


async def listen(runner: web.AppRunner, address: Address, tls: TlsConfig | None, *, shared: bool) -> int:
    """Listen, and give the port. Raises `OSError` where the address is taken or a certificate cannot be used."""
    await runner.setup()
    context = None if tls is None else _context(tls)
    site = web.TCPSite(
        runner, address.host, address.port, ssl_context=context, reuse_address=True, reuse_port=shared or None
    )
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    port: int = runner.addresses[0][1]
    return port


def _context(tls: TlsConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.client_ca)
    context.load_cert_chain(tls.certificate, tls.private_key)
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def _healthz(request: web.Request) -> web.Response:
    return json_response(b'{"status":"ok"}', {})


async def _openapi(request: web.Request) -> web.Response:
    return json_response(document(), {})
