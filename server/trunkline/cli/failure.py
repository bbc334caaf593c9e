"""A failure as a person or a program reads it: what went wrong, and what to do about it."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Sequence

from rich.text import Text

from trunkline.cli.client import Client, UnreachableError
from trunkline.cli.connection import KEY_VARIABLE, ArgumentsError, key_of
from trunkline.cli.exits import FAILED, UNREACHABLE, USAGE
from trunkline.cli.terminal import printable, stderr
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

Failure = GatewayError | UnreachableError | ArgumentsError
"""Why a command that talks to a gateway does not succeed."""

FAILURES = (GatewayError, UnreachableError, ArgumentsError)
"""The same, to catch."""


def report(error: Failure, hints: Sequence[str], *, as_json: bool) -> int:
    """Write `error` to stderr; the exit status that it means."""
    if as_json:
        sys.stderr.write(json.dumps({"error": _object(error)}, ensure_ascii=False) + "\n")
    else:
        console = stderr()
        console.print(Text.assemble(("error: ", "bold red"), printable(str(error))), soft_wrap=True)
        for hint in hints:
            console.print(Text(printable(hint), style="dim"), soft_wrap=True)
    match error:
        case GatewayError():
            return FAILED
        case UnreachableError():
            return UNREACHABLE
        case ArgumentsError():
            return USAGE


async def hints(error: Failure, args: argparse.Namespace, client: Client | None, model: str = "") -> list[str]:
    """What to do about `error`, a sentence each. `model` is the name that was asked for, where one was."""
    if isinstance(error, UnreachableError):
        return ["`trunkline serve` starts a gateway; --grpc HOST:PORT or --http URL names another."]
    if isinstance(error, ArgumentsError):
        return []
    match error.reason:
        case errors_pb2.ERROR_REASON_UNAUTHENTICATED if key_of(args):
            return ["The gateway does not know the key that was given."]
        case errors_pb2.ERROR_REASON_UNAUTHENTICATED:
            return [f"Give a key of the gateway with --key or in {KEY_VARIABLE}."]
        case errors_pb2.ERROR_REASON_NOT_FOUND if model and client is not None:
            return await _near_misses(client, model, str(error))
        case errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED | errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE:
            return ["`trunkline doctor`, where the gateway runs, tells what is wrong with a provider."]
    if error.retry_after is not None:
        return [f"Try again in {error.retry_after.total_seconds():.0f} s."]
    return []


async def _near_misses(client: Client, model: str, said: str) -> list[str]:
    """The models whose names are near `model`, but for those that the gateway `said` itself."""
    try:
        names = [each.id for each in (await client.models()).models]
    except FAILURES:
        return []
    near = [name for name in difflib.get_close_matches(model, names, n=3, cutoff=0.75) if f"`{name}`" not in said]
    meant = [f"Did you mean {' or '.join(f'`{name}`' for name in near)}?"] if near else []
    return [*meant, "`trunkline models` lists them all."]


def _object(error: Failure) -> dict[str, object]:
    """`error` for a program."""
    if not isinstance(error, GatewayError):
        reason = "UNREACHABLE" if isinstance(error, UnreachableError) else "USAGE"
        return {"reason": reason, "message": str(error)}
    shown: dict[str, object] = {"reason": error.name, "message": error.message}
    if error.param is not None:
        shown["param"] = error.param
    if error.retry_after is not None:
        shown["retryAfter"] = error.retry_after.total_seconds()
    if error.provider is not None:
        shown["provider"] = error.provider
    return shown
