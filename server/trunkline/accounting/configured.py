"""The accounts as the configuration has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.access.limits.memory import MemoryLimiter
from trunkline.access.limits.model import Limit
from trunkline.accounting.accounts import Accounts
from trunkline.accounting.history import History
from trunkline.accounting.rebuild import Restorer
from trunkline.call import Caller
from trunkline.config.model import Config
from trunkline.config.problem import ConfigError
from trunkline.ledger.ledger import Ledger
from trunkline.store.database import Database, data_folder, database_url
from trunkline.store.engine import MEMORY

if TYPE_CHECKING:
    from trunkline.access.limits.fallback import FallbackLimiter


async def open_accounts(
    config: Config, environ: Mapping[str, str], database: Database, limits_of: Callable[[Caller], Sequence[Limit]]
) -> Accounts:
    """The accounts, recording where they are to. Raises `ConfigError`."""
    settings = config.ledger
    limiter = await _limiter(config)
    if not (settings.enabled if settings.enabled is not None else database_url(config.store, environ) != MEMORY):
        return Accounts(limiter, limits_of, None, settings.unpriced)
    folder = Path(settings.folder or data_folder(environ))
    try:
        ledger = await Ledger.start(
            folder, database, segment_bytes=settings.segment_bytes, keep_free=settings.keep_free_bytes
        )
    except OSError as error:
        await limiter.close()
        raise ConfigError(
            [f"the journal of the ledger cannot be kept in {folder}: {error}; set `ledger.folder`"]
        ) from None
    return Accounts(limiter, limits_of, ledger, settings.unpriced, Restorer(limiter, ledger, History(database)))


async def _limiter(config: Config) -> MemoryLimiter | FallbackLimiter:
    counters = config.counters
    if counters.url is None:
        return MemoryLimiter()
    try:
        from trunkline.access.limits.fallback import FallbackLimiter
        from trunkline.access.limits.valkey import ValkeyLimiter
    except ModuleNotFoundError as error:
        if error.name != "valkey":
            raise
        raise ConfigError(["counters.url: a Valkey or Redis needs `pip install 'trunkline[valkey]'`"]) from None
    shared = ValkeyLimiter(counters.url.get_secret_value())
    limiter = FallbackLimiter(shared, counters.when_away, counters.replicas, rebuild=_counter_by_counter)
    await limiter.start()
    return limiter


async def _counter_by_counter() -> None:
    """What ended before is not told of by whoever let it in, but by the ledger: see `Restorer`."""
