"""What the commands for keys and for their owners have in common: where they are, and their fields as options."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Protocol

from google.protobuf.descriptor import MethodDescriptor

from trunkline.cli import connection
from trunkline.cli.exits import FAILED, OK
from trunkline.v1.keys_pb2 import DESCRIPTOR, Key, Limits, Organization, Team, User

SERVICE: Final = DESCRIPTOR.services_by_name["KeyService"]

NONE: Final = "none"
"""What takes a setting away."""

_COUNTS: Final = {
    "rpm": ("requests_per_minute", "requests a minute"),
    "rph": ("requests_per_hour", "requests an hour"),
    "rpd": ("requests_per_day", "requests a day"),
    "tpm": ("tokens_per_minute", "tokens a minute"),
    "calls": ("concurrent_calls", "calls at once"),
    "streams": ("concurrent_streams", "streams at once"),
    "budget-days": ("budget_days", "days of --budget-usd (30)"),
}
_MONEY: Final = {
    "daily-usd": ("daily_nano_usd", "dollars a day (UTC)"),
    "monthly-usd": ("monthly_nano_usd", "dollars a month (UTC)"),
    "total-usd": ("total_nano_usd", "dollars in all"),
    "budget-usd": ("budget_nano_usd", "dollars in any --budget-days"),
}
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Asks(Protocol):
    """What answers `KeyService`."""

    async def ask(self, rpc: MethodDescriptor, request: Any) -> Any:
        """The answer to an RPC."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where the keys are."""
    parser.add_argument("--json", action="store_true", help="the answer as JSON, on one line")
    local = parser.add_argument_group("without a gateway")
    local.add_argument(
        "--local", action="store_true", help="in the database itself; a gateway that runs takes notice within a second"
    )
    local.add_argument("-c", "--config", metavar="PATH", type=Path, help="the configuration, a YAML file")
    connection.add_arguments(parser)


def add_fields(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for what keys and all owners have."""
    group = parser.add_argument_group("what it may do", f"`{NONE}` takes a setting away.")
    group.add_argument("--model", dest="models", action="append", metavar="NAME", help="a model to allow; `*` for any")
    group.add_argument("--provider", dest="providers", action="append", metavar="NAME", help="a provider to allow")
    group.add_argument("--tag", dest="tags", action="append", metavar="TAG", help="what its calls are counted by")
    limits = parser.add_argument_group("limits", f"`{NONE}` takes one away.")
    for flag, (_, told) in _COUNTS.items():
        limits.add_argument(f"--{flag}", metavar="N", type=_count, help=told)
    for flag, (_, told) in _MONEY.items():
        limits.add_argument(f"--{flag}", metavar="USD", type=_money, help=told)


def fill(args: argparse.Namespace, message: Key | Organization | Team | User) -> list[str]:
    """Put what `args` say into `message`; the paths of the fields that they say something of."""
    paths: list[str] = []
    for field in ("models", "providers", "surfaces", "tags"):
        values: list[str] | None = getattr(args, field, None)
        if values is not None:
            getattr(message, field).extend([] if values == [NONE] else values)
            paths.append(field)
    for field in ("plan", "subject", "dialect"):
        value: str | None = getattr(args, field, None)
        if value is not None:
            setattr(message, field, "" if value == NONE else value)
            paths.append(field)
    expires: datetime | str | None = getattr(args, "expires", None)
    if expires is not None:
        if isinstance(expires, datetime) and isinstance(message, Key):
            message.expire_time.FromDatetime(expires)
        paths.append("expire_time")
    return paths + [f"limits.{name}" for name in _fill_limits(args, message.limits)]


def run(args: argparse.Namespace, action: Callable[[Asks], Awaitable[int]]) -> int:
    """Do `action` where `args` say, and tell what went wrong; the exit status."""
    return asyncio.run(_run(args, action))


async def _run(args: argparse.Namespace, action: Callable[[Asks], Awaitable[int]]) -> int:
    from trunkline.cli import configuration
    from trunkline.cli.failure import FAILURES, hints, report
    from trunkline.config.problem import ConfigError

    client: Asks | None = None
    try:
        if args.local:
            from trunkline.cli.local import LocalKeys

            client = await LocalKeys.open(args.config)
        else:
            client = connection.connect(args)
        return await action(client)
    except ConfigError as error:
        configuration.report(error)
        return FAILED
    except FAILURES as error:
        return report(error, await hints(error, args, None), as_json=args.json)
    finally:
        if client is not None:
            await client.close()


def tell(args: argparse.Namespace, message: Any, told: Callable[[], None]) -> int:
    """Write an answer: as JSON where that is asked for, or else by `told`."""
    if args.json:
        from google.protobuf.json_format import MessageToJson

        print(MessageToJson(message, indent=None, ensure_ascii=False))
    else:
        told()
    return OK


def limits_text(limits: Limits) -> str:
    """Limits for people, such as `100 rpm, $5 daily-usd`."""
    told = [f"{getattr(limits, field):,} {flag}" for flag, field in _set(limits, _COUNTS) if flag != "budget-days"]
    told += [
        f"${getattr(limits, field) / 1e9:,.2f} {flag.removesuffix('-usd')}" for flag, field in _set(limits, _MONEY)
    ]
    if limits.models:
        told.append(f"{len(limits.models)} models")
    return ", ".join(told) or "-"


def day(time: Any) -> str:
    """A time for people."""
    return time.ToDatetime(UTC).strftime("%Y-%m-%d %H:%M") if time.seconds else "-"


def span(text: str) -> timedelta:
    """A time span, such as `90s`, `24h` or `30d`."""
    unit = _UNITS.get(text[-1:])
    if unit is None or not text[:-1].isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no time span, such as 90s, 24h or 30d")
    return timedelta(seconds=int(text[:-1]) * unit)


def moment(text: str) -> datetime | str:
    """A time, or a time span from now on."""
    if text == NONE:
        return NONE
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC) + span(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _fill_limits(args: argparse.Namespace, limits: Limits) -> list[str]:
    paths = []
    for flag, (field, _) in {**_COUNTS, **_MONEY}.items():
        value: int | str | None = getattr(args, flag.replace("-", "_"), None)
        if value is not None:
            if isinstance(value, int):
                setattr(limits, field, value)
            paths.append(field)
    return paths


def _set(limits: Limits, flags: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    there = {field.name for field, _ in limits.ListFields()}
    return [(flag, field) for flag, (field, _) in flags.items() if field in there]


def _count(text: str) -> int | str:
    if text == NONE:
        return NONE
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _money(text: str) -> int | str:
    if text == NONE:
        return NONE
    try:
        nanos = Decimal(text) * 10**9
    except InvalidOperation:
        nanos = Decimal(-1)
    if nanos < 0 or nanos != nanos.to_integral_value():
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of dollars")
    return int(nanos)
