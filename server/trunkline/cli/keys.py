"""`trunkline keys`: the keys that callers present."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from trunkline.cli.connection import ArgumentsError
from trunkline.cli.exits import OK
from trunkline.cli.managed import (
    SERVICE,
    Asks,
    add_fields,
    add_place,
    day,
    fill,
    limits_text,
    moment,
    span,
    tell,
)
from trunkline.cli.managed import (
    run as run_in_place,
)
from trunkline.v1.keys_pb2 import (
    CreateKeyRequest,
    DeleteKeyRequest,
    DisableKeyRequest,
    EnableKeyRequest,
    GetKeyRequest,
    Key,
    ListKeysRequest,
    ListKeysResponse,
    RotateKeyRequest,
    UpdateKeyRequest,
)

_OWNERS: Final = ("user", "team", "organization")

_ID: Final = re.compile(r"key_[0-9a-f]{25}")
"""What is an id, and not asked for as a name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `keys`."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    create = _action(actions, "create", "make a key, and show its secret once")
    create.add_argument("name", metavar="NAME", help="what people call it")
    for owner in _OWNERS:
        create.add_argument(f"--{owner}", metavar="ID", default="", help=f"the {owner} whose key it is")
    create.add_argument("--admin", action="store_true", help="a key for an admin")
    create.add_argument(
        "--import", dest="given", action="store_true", help="take the secret from stdin, since it is in use elsewhere"
    )
    _fields(create)
    listing = _action(actions, "list", "list the keys")
    for owner in _OWNERS:
        listing.add_argument(f"--{owner}", metavar="ID", default="", help=f"only those of this {owner}")
    show = _action(actions, "show", "show a key")
    update = _action(actions, "update", "change a key")
    update.add_argument("--name", metavar="NAME", help="what people call it")
    _fields(update)
    rotate = _action(actions, "rotate", "give a key another secret, and show it once")
    rotate.add_argument(
        "--grace", metavar="SPAN", type=span, help="how long the old secret is still taken, such as 24h"
    )
    others = [_action(actions, name, f"{name} a key") for name in ("disable", "enable", "delete")]
    for each in (show, update, rotate, *others):
        each.add_argument("id", metavar="ID|NAME", help="the key, by its id, or by its name where no other has that")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    return run_in_place(args, lambda client: _run(args, client))


async def _run(args: argparse.Namespace, client: Asks) -> int:
    match args.action:
        case "create":
            return await _create(args, client)
        case "list":
            return await _list(args, client)
    args.id = await _id_of(args.id, client)
    match args.action:
        case "rotate":
            request = RotateKeyRequest(id=args.id)
            if args.grace is not None:
                request.grace.FromTimedelta(args.grace)
            rotated = await client.ask(SERVICE.methods_by_name["RotateKey"], request)
            return tell(args, rotated, lambda: _show_secret(rotated.key, rotated.secret))
        case "update":
            key = Key(id=args.id)
            paths = fill(args, key)
            if args.name is not None:
                key.name = args.name
                paths.append("name")
            update = UpdateKeyRequest(key=key)
            update.update_mask.paths.extend(paths)
            changed = await client.ask(SERVICE.methods_by_name["UpdateKey"], update)
        case "delete":
            await client.ask(SERVICE.methods_by_name["DeleteKey"], DeleteKeyRequest(id=args.id))
            return OK
        case "disable":
            changed = await client.ask(SERVICE.methods_by_name["DisableKey"], DisableKeyRequest(id=args.id))
        case "enable":
            changed = await client.ask(SERVICE.methods_by_name["EnableKey"], EnableKeyRequest(id=args.id))
        case _:
            changed = await client.ask(SERVICE.methods_by_name["GetKey"], GetKeyRequest(id=args.id))
    return tell(args, changed, lambda: _show(changed))


async def _create(args: argparse.Namespace, client: Asks) -> int:
    key = Key(name=args.name, user_id=args.user, team_id=args.team, organization_id=args.organization, admin=args.admin)
    fill(args, key)
    secret = sys.stdin.readline().strip() if args.given else ""
    made = await client.ask(SERVICE.methods_by_name["CreateKey"], CreateKeyRequest(key=key, secret=secret))
    return tell(args, made, lambda: _show_secret(made.key, made.secret))


async def _list(args: argparse.Namespace, client: Asks) -> int:
    whole = ListKeysResponse()
    request = ListKeysRequest(user_id=args.user, team_id=args.team, organization_id=args.organization)
    async with aclosing(_pages(request, client)) as pages:
        async for keys in pages:
            whole.keys.extend(keys)
    return tell(args, whole, lambda: _table(whole))


async def _id_of(named: str, client: Asks) -> str:
    """The id of the key that goes by `named`: an id, or the name of one key alone. Raises `ArgumentsError`."""
    if _ID.fullmatch(named):
        return named
    found = []
    async with aclosing(_pages(ListKeysRequest(page_size=1000), client)) as pages:
        async for keys in pages:
            found += [key.id for key in keys if key.name == named]
    if len(found) > 1:
        raise ArgumentsError(f"{len(found)} keys are called `{named}`: give the id of one, {' or '.join(found[:5])}.")
    return found[0] if found else named


async def _pages(request: ListKeysRequest, client: Asks) -> AsyncGenerator[Sequence[Key], None]:
    while True:
        page = await client.ask(SERVICE.methods_by_name["ListKeys"], request)
        yield page.keys
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return


def _table(whole: ListKeysResponse) -> None:
    from trunkline.cli.terminal import printable, stdout, table

    grid = table("ID", "NAME", "SECRET", "STATE", "LIMITS", "LAST USED")
    for key in whole.keys:
        grid.add_row(
            key.id,
            printable(key.name),
            printable(f"{key.prefix}..."),
            _state(key),
            limits_text(key.limits),
            day(key.last_use_time),
        )
    stdout().print(grid)


def _show(key: Key) -> None:
    from trunkline.cli.terminal import printable, stdout, table

    grid = table()
    grid.show_header = False
    grid.add_column(style="dim")
    grid.add_column()
    for name, value in (
        ("id", key.id),
        ("name", key.name),
        ("secret", f"{key.prefix}..."),
        ("state", _state(key)),
        ("user", key.user_id),
        ("team", key.team_id),
        ("organization", key.organization_id),
        ("plan", key.plan),
        ("models", ", ".join(key.models)),
        ("providers", ", ".join(key.providers)),
        ("surfaces", ", ".join(key.surfaces)),
        ("tags", ", ".join(key.tags)),
        ("limits", limits_text(key.limits)),
        ("expires", day(key.expire_time)),
        ("last used", day(key.last_use_time)),
    ):
        if value not in ("", "-"):
            grid.add_row(name, printable(value))
    stdout().print(grid)


def _show_secret(key: Key, secret: str) -> None:
    """The secret alone goes to stdout, so that a script can keep it."""
    from trunkline.cli.terminal import printable, stderr

    if secret:
        print(secret)
        stderr().print(f"The secret of `{printable(key.name)}` ({key.id}), shown this once.", style="dim")
    else:
        print(key.id)


def _state(key: Key) -> str:
    if key.disabled:
        return "disabled"
    return "admin" if key.admin else "active"


def _fields(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plan", metavar="NAME", help="the plan that it is on")
    parser.add_argument("--expires", metavar="TIME", type=moment, help="when it ends: a time, or a span such as 30d")
    parser.add_argument(
        "--surface", dest="surfaces", action="append", metavar="NAME", help="a surface that it is for, such as openai"
    )
    parser.add_argument("--dialect", metavar="NAME", help="the dialect in which its errors are told")
    add_fields(parser)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, purpose: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.", allow_abbrev=False
    )
    add_place(parser)
    return parser
