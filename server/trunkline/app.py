"""Where every object is made and joined, and a running gateway is started, reloaded and stopped."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from base64 import b64decode
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Final, NamedTuple

from aiohttp import web

from trunkline.access.grants import limits_of
from trunkline.accounting.accounts import Accounts
from trunkline.accounting.configured import open_accounts
from trunkline.admin.keys import KeyDesk, open_keys
from trunkline.admin.rules import RuleDesk
from trunkline.config.model import Config
from trunkline.config.problem import ConfigError
from trunkline.core.entry import Entry
from trunkline.core.pages import Pages
from trunkline.errors import GatewayError
from trunkline.house import House, build
from trunkline.ledger.retention import Retention
from trunkline.ledger.summaries import Summaries
from trunkline.observe.setup import Observers
from trunkline.routing.rules import MadeRules
from trunkline.rpc.server import RpcServer
from trunkline.services import ADMIN, SERVICES, USAGE
from trunkline.store.database import Database, database_url, opened
from trunkline.store.rules import RuleStore
from trunkline.store.seal import Seal
from trunkline.store.stores import Stores
from trunkline.usage.usage import Usage
from trunkline.web.accounts import AccountSurface
from trunkline.web.admin import AdminServer
from trunkline.web.mounts import mounts_of
from trunkline.web.server import MetricsServer, WebServer, metrics_socket
from trunkline.web.spending import Spending
from trunkline.web.user import UserSurface
from trunkline.workers.membership import Membership
from trunkline.workers.metrics import AllMetrics

_SWEEP: Final = 60.0
"""Seconds between two looks at what need no longer be kept."""

_log = logging.getLogger("trunkline")


class Listening(NamedTuple):
    """What a started gateway tells of itself."""

    config: Config
    providers: Sequence[str]
    http_port: int
    grpc_port: int
    admin_port: int | None = None
    admin_grpc_port: int | None = None
    open: bool = False
    """Whether everyone may call who reaches it, since there is no key."""
    admin_key: str | None = None
    """The admin's key, where it was just made: it is told once."""


class App:
    """A running gateway. `start` and `close` are called once each, on one event loop."""

    def __init__(
        self,
        config: Config,
        house: House,
        database: Database,
        accounts: Accounts,
        keys: KeyDesk,
        rules: RuleDesk,
        load: Callable[[], Config],
        environ: Mapping[str, str],
    ) -> None:
        self._config = config
        self._database = database
        self._accounts = accounts
        self._keys = keys
        self._rules = rules
        self._house = house
        self._load = load
        self._environ = environ
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._observers = _observers(config)
        pages = Pages(config.http.cors_origins, config.http.hosts)
        self._entry = Entry(house.gateway, house.keys.authenticate, self._observers.observers, pages)
        self._stores = _stores(database, config)
        self._summaries = Summaries(database)
        self._retention = Retention(database, config.ledger.entries_days, config.ledger.retention_days)
        self._running: list[asyncio.Task[None]] = []
        self._member = Membership.of(environ)
        shared = self._member is not None
        render = self._own_metrics if self._member is None else AllMetrics(self._member.folder).render
        own, access = config.metrics.address, config.access
        self._metrics = None if own is None else MetricsServer(own, render, shared=shared)
        desks = {service.full_name: desk for service, desk in zip(ADMIN, (keys, rules), strict=True)}
        apart = access.admin_address is not None or access.admin_grpc_address is not None
        usage = Usage(database)
        mounts, timeout = mounts_of(config.http.mounts), config.http.body_timeout
        spending = Spending(usage, accounts.peek)
        account = AccountSurface(self._entry, mounts, keys, spending, body_timeout=timeout)
        user = UserSurface(self._entry, mounts, keys, accounts.peek, body_timeout=timeout)
        self._admin_web: AdminServer | None = None
        if access.admin_address is not None:
            http = config.http.model_copy(update={"address": access.admin_address})
            told = render if own is None else None
            self._admin_web = AdminServer(
                self._entry, http, ADMIN, desks, routes=account.admin_routes(), metrics=told, shared=shared
            )
        self._admin_rpc: RpcServer | None = None
        if access.admin_grpc_address is not None:
            grpc = config.grpc.model_copy(update={"address": access.admin_grpc_address})
            self._admin_rpc = RpcServer(self._entry, grpc, desks=desks, gateway=False, shared=shared)
        self._told: web.AppRunner | None = None
        served = {USAGE.full_name: usage, **({} if apart else desks)}
        self._web = WebServer(
            self._entry,
            config.http,
            [service for service in SERVICES if not (apart and service in ADMIN)],
            self._stores,
            metrics=render if own is None and self._admin_web is None else None,
            shutdown_grace=config.shutdown_grace,
            desks=served,
            usage=usage,
            routes=[*account.routes(), *user.routes(), *([] if apart else account.admin_routes())],
            shared=shared,
        )
        self._rpc = RpcServer(self._entry, config.grpc, desks=served, shared=shared)

    @classmethod
    async def create(cls, load: Callable[[], Config], environ: Mapping[str, str]) -> App:
        """A gateway with the configuration that `load` reads, now and at each reload. Raises `ConfigError`."""
        config = load()
        async with AsyncExitStack() as opened_so_far:
            database = await opened(database_url(config.store, environ))
            opened_so_far.push_async_callback(database.close)
            accounts = await open_accounts(config, environ, database, limits_of)
            opened_so_far.push_async_callback(accounts.close)
            rules = RuleDesk(RuleStore(database), MadeRules())
            await rules.look()
            keys = await open_keys(config.access, database)
            house = await build(config, environ, meter=accounts, made=rules.made, directory=keys.directory)
            app = cls(config, house, database, accounts, keys, rules, load, environ)
            opened_so_far.pop_all()
        return app

    async def start(self) -> Listening:
        """Listen. Raises `OSError` where an address cannot be had."""
        self._house.keys.take_over()
        admin_key = None if self._config.access.admin_key is not None else await self._keys.first_admin()
        everlasting = (self._sweep(), self._rules.follow(), self._keys.directory.run())
        self._running = [asyncio.create_task(each) for each in everlasting]
        http_port = await self._web.start()
        grpc_port = await self._rpc.start()
        admin_port = None if self._admin_web is None else await self._admin_web.start()
        admin_grpc_port = None if self._admin_rpc is None else await self._admin_rpc.start()
        if self._metrics is not None:
            await self._metrics.start()
        if self._member is not None:
            self._told = await metrics_socket(self._member.socket, self._own_metrics)
        return Listening(
            self._config,
            sorted(self._house.providers),
            http_port,
            grpc_port,
            admin_port,
            admin_grpc_port,
            open=self._house.keys.open,
            admin_key=admin_key,
        )

    async def leave(self, at_once: asyncio.Event, *, to_others: bool = False) -> None:
        """Say that no more calls should come, and go on taking them for `shutdown_delay`, or until `at_once`. With
        `to_others` new connections go to the other processes at the same addresses."""
        delay = self._config.shutdown_delay
        if delay or to_others:
            await self._web.leave(to_others=to_others)
            self._rpc.leave(to_others=to_others)
        if delay:
            _log.info("leaving: calls are taken for %g more seconds", delay)
            with suppress(TimeoutError):
                await asyncio.wait_for(at_once.wait(), delay)

    async def close(self) -> None:
        """Take no more calls, and return when the running ones have ended, or when their grace is over."""
        _log.info("stopping: running calls have %g seconds", self._config.shutdown_grace)
        grace = self._config.shutdown_grace
        await asyncio.gather(self._web.stop(), self._rpc.stop(grace))
        if self._admin_web is not None:
            await self._admin_web.stop()
        if self._admin_rpc is not None:
            await self._admin_rpc.stop(grace)
        if self._metrics is not None:
            await self._metrics.stop()
        if self._told is not None:
            await self._told.cleanup()
        await self._house.close()
        for task in self._running:
            task.cancel()
            await asyncio.wait([task])
        await self._keys.directory.close()
        await self._accounts.close()
        await self._database.close()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.to_thread(self._observers.close)

    async def reload(self) -> bool:
        """Read the configuration anew, for every later call; running ones keep theirs. Keeps the old one where the new
        one is refused, and tells whether it was taken."""
        async with self._reloading:
            old = self._house
            try:
                config = await asyncio.to_thread(self._load)
                new = await build(config, self._environ, old, self._accounts, self._rules.made, self._keys.directory)
            except ConfigError as error:
                _log.error("reload: the configuration is refused and the old one stays:\n%s", error)
                return False
            for name in (
                "http",
                "grpc",
                "store",
                "ledger",
                "counters",
                "responses",
                "metrics",
                "log",
                "tracing",
                "workers",
                "shutdown_delay",
                "shutdown_grace",
            ):
                if getattr(config, name) != getattr(self._config, name):
                    _log.warning("reload: a change of `%s` needs a restart", name)
            for name in ("pepper", "admin_address", "admin_grpc_address"):
                if getattr(config.access, name) != getattr(self._config.access, name):
                    _log.warning("reload: a change of `access.%s` needs a restart", name)
            self._house = new
            new.keys.take_over()
            self._keys.standard_limits = config.access.standard_limits
            self._entry.replace(new.gateway, new.keys.authenticate)
            self._observers.metrics.know(config.models)
            self._spawn(old.close())
            _log.info("reload: the new configuration is in force")
            return True

    async def _own_metrics(self, accept: str) -> tuple[bytes, str]:
        return await asyncio.to_thread(self._observers.metrics.render, accept)

    def reload_soon(self) -> None:
        """Reload in the background; a failure is logged."""
        self._spawn(self._reload())

    async def _reload(self) -> None:
        try:
            await self.reload()
        except Exception:  # noqa: BLE001 - a reload that fails must not stop the gateway
            _log.exception("reload: failed, and the old configuration stays")

    async def _sweep(self) -> None:
        """Forget again and again what need no longer be kept."""
        while True:
            for look in (self._stores.sweep, self._summaries.fold, self._retention.sweep):
                with suppress(GatewayError):  # the store told why in the log; the next look may succeed
                    await look()
            await asyncio.sleep(_SWEEP)

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def serve(load: Callable[[], Config], ready: Callable[[Listening], None] = lambda _: None) -> None:
    """Run a gateway until SIGTERM or SIGINT, a second of which ends `shutdown_delay`; SIGHUP reloads it, and SIGUSR2
    has a worker leave its addresses to the others. `ready` is called when it listens.

    Raises `ConfigError`, and `OSError` where an address cannot be had.
    """
    app = await App.create(load, os.environ)
    leaving, to_others, at_once = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (at_once if leaving.is_set() else leaving).set()

    def leave_to_others() -> None:
        to_others.set()
        leaving.set()

    try:
        listening = await app.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        loop.add_signal_handler(signal.SIGHUP, app.reload_soon)
        _settle_memory()
        ready(listening)
        member = Membership.of(os.environ)
        if member is not None:
            loop.add_signal_handler(signal.SIGUSR2, leave_to_others)
            member.watch(stop)
        await leaving.wait()
        await app.leave(at_once, to_others=to_others.is_set())
    finally:
        await app.close()


def _stores(database: Database, config: Config) -> Stores:
    secret = config.store.encryption_key
    seal = Seal(None if secret is None else b64decode(secret.get_secret_value()))
    return Stores(database, seal, config.responses.time_to_live, config.responses.max_stored_bytes)


def _settle_memory() -> None:
    """Spare the collector what was made at the start and stays: measured, it saves a tenth of a unary call."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)


def _observers(config: Config) -> Observers:
    headers = {name: value.get_secret_value() for name, value in config.tracing.headers.items()}
    return Observers(
        log_format=config.log.format,
        log_level=config.log.level,
        known_models=config.models,
        tracing_endpoint=str(config.tracing.endpoint or ""),
        tracing_headers=headers,
        tracing_sample_ratio=config.tracing.sample_ratio,
        tracing_service_name=config.tracing.service_name,
    )
