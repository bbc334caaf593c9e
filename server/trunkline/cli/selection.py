"""Which part of the ledger a command is about, and where the ledger is."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from google.protobuf.descriptor import MethodDescriptor

from trunkline.cli import connection
from trunkline.cli.exits import FAILED
from trunkline.cli.moments import moment
from trunkline.v1.usage_pb2 import DESCRIPTOR, ExportEntriesRequest, QueryUsageRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trunkline.store.database import Database
    from trunkline.usage.usage import Usage

SERVICE: Final = DESCRIPTOR.services_by_name["UsageService"]

_FILTERS: Final = {
    "key-id": ("key_ids", "with the key of this id"),
    "user": ("user_ids", "of the user of this id"),
    "team": ("team_ids", "of the team of this id"),
    "organization": ("organization_ids", "of the organization of this id"),
    "model": ("models", "that asked for this model"),
    "served-model": ("served_models", "that this model answered"),
    "provider": ("providers", "whose last provider was this one"),
    "surface": ("surfaces", "that came by this surface, such as openai"),
    "outcome": ("outcomes", "that ended so: ok, or the reason, such as rate_limited"),
    "tag": ("tags", "with this tag"),
}
"""The options that select calls: the field of the filter, and what it leaves."""

_INNER_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


class Source(Protocol):
    """What answers `UsageService`."""

    async def ask(self, rpc: MethodDescriptor, request: Any) -> Any:
        """The answer to a unary RPC."""
        ...

    def ask_all(self, rpc: MethodDescriptor, request: Any) -> AsyncGenerator[Any, None]:
        """The messages that a streaming RPC answers with."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select calls, and those that say where they are recorded."""
    group = parser.add_argument_group(
        "which calls", "Names and ids may be repeated for several. Times are UTC unless they say otherwise."
    )
    group.add_argument(
        "--since", metavar="TIME", type=moment, help="that ended then or later, such as 24h or 2026-11-01"
    )
    group.add_argument("--until", metavar="TIME", type=moment, help="that ended before; now by default")
    for name, (_, help_) in _FILTERS.items():
        metavar = "ID" if "of this id" in help_ else "NAME"
        group.add_argument(f"--{name}", metavar=metavar, action="append", default=[], help=help_)
    group.add_argument(
        "--metadata",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="whose caller noted this; of several all must be there",
    )
    local = parser.add_argument_group("without a gateway")
    local.add_argument("--local", action="store_true", help="in the database itself")
    local.add_argument("-c", "--config", metavar="PATH", type=Path, help="the configuration, a YAML file")
    connection.add_arguments(parser)


def select(args: argparse.Namespace, request: QueryUsageRequest | ExportEntriesRequest) -> None:
    """Put what `args` select into `request`. Raises `ArgumentsError`."""
    if args.since is not None:
        request.start_time.seconds = args.since
    if args.until is not None:
        request.end_time.seconds = args.until
    for name, (field, _) in _FILTERS.items():
        getattr(request.filter, field).extend(getattr(args, name.replace("-", "_")))
    for noted in args.metadata:
        key, equals, value = noted.partition("=")
        if not equals:
            raise connection.ArgumentsError("--metadata takes KEY=VALUE.")
        request.filter.metadata[key] = value


async def run(args: argparse.Namespace, as_json: bool, action: Callable[[Source], Awaitable[int]]) -> int:
    """Do `action` where `args` say, and tell what went wrong; the exit status."""
    from trunkline.cli import configuration
    from trunkline.cli.failure import FAILURES, hints, report
    from trunkline.config.problem import ConfigError

    source: Source | None = None
    try:
        select(args, QueryUsageRequest())  # a slip is told before anything is looked for
        source = await _LocalUsage.open(args.config) if args.local else connection.connect(args)
        return await action(source)
    except ConfigError as error:
        configuration.report(error)
        return FAILED
    except FAILURES as error:
        return report(error, await hints(error, args, None), as_json=as_json)
    finally:
        if source is not None:
            await source.close()


class _LocalUsage:
    """Answers from the database of a configuration, as to an admin."""

    def __init__(self, database: Database, usage: Usage) -> None:
        from trunkline.call import Call, Caller

        self._database = database
        self._usage = usage
        self._call = Call(id="local", surface="native", owner=Caller("local", admin=True))

    @classmethod
    async def open(cls, path: Path | None) -> _LocalUsage:
        """The ledger of the configuration at `path`. Raises `ConfigError`."""
        from trunkline.cli.configuration import loader
        from trunkline.store.database import database_url, existing
        from trunkline.usage.usage import Usage

        database = await existing(database_url(loader(path, {})().store, os.environ))
        return cls(database, Usage(database))

    async def ask(self, rpc: MethodDescriptor, request: Any) -> Any:
        return await getattr(self._usage, _INNER_CAPITAL.sub("_", rpc.name).lower())(request, self._call)

    async def ask_all(self, rpc: MethodDescriptor, request: Any) -> AsyncGenerator[Any, None]:
        from contextlib import aclosing

        answer = getattr(self._usage, _INNER_CAPITAL.sub("_", rpc.name).lower())
        async with aclosing(answer(request, self._call)) as batches:
            async for batch in batches:
                for message in batch:
                    yield message

    async def close(self) -> None:
        await self._database.close()
