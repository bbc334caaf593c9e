"""`trunkline owners`: the users, the teams and the organizations that own keys."""

from __future__ import annotations

import argparse
from typing import Any, Final

from google.protobuf.message_factory import GetMessageClass

from trunkline.cli.exits import OK
from trunkline.cli.managed import SERVICE, Asks, add_fields, add_place, fill, limits_text, tell
from trunkline.cli.managed import run as run_in_place

_KINDS: Final = {"organization": "Organization", "team": "Team", "user": "User"}
_ABOVE: Final = {"organization": (), "team": ("organization",), "user": ("organization", "team")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `owners`."""
    kinds = parser.add_subparsers(metavar="KIND", required=True, dest="kind")
    for kind in _KINDS:
        one = kinds.add_parser(kind, help=f"{kind}s", allow_abbrev=False)
        actions = one.add_subparsers(metavar="ACTION", required=True, dest="action")
        create = _action(actions, "create", kind)
        create.add_argument("name", metavar="NAME", help="what people call it")
        for above in _ABOVE[kind]:
            create.add_argument(f"--{above}", metavar="ID", default="", help=f"the {above} that it belongs to")
        listing = _action(actions, "list", kind)
        for above in _ABOVE[kind]:
            listing.add_argument(f"--{above}", metavar="ID", default="", help=f"only those of this {above}")
        update = _action(actions, "update", kind)
        update.add_argument("--name", metavar="NAME", help="what people call it")
        state = update.add_mutually_exclusive_group()
        state.add_argument("--disable", dest="disabled", action="store_true", default=None, help="refuse its keys")
        state.add_argument("--enable", dest="disabled", action="store_false", help="take its keys again")
        for each in (create, update):
            if kind == "user":
                each.add_argument("--plan", metavar="NAME", help="the plan that it is on")
                each.add_argument("--subject", metavar="ISSUER:SUB", help="who it is to an issuer of tokens")
            add_fields(each)
        for each in (_action(actions, "show", kind), update, _action(actions, "delete", kind)):
            each.add_argument("id", metavar="ID", help=f"the {kind}, by its id, as `list` tells it")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    return run_in_place(args, lambda client: _run(args, client))


async def _run(args: argparse.Namespace, client: Asks) -> int:
    kind, name = args.kind, _KINDS[args.kind]
    match args.action:
        case "create":
            request = _request("Create", name)
            owner = getattr(request, kind)
            owner.name = args.name
            for above in _ABOVE[kind]:
                setattr(owner, f"{above}_id", getattr(args, above))
            fill(args, owner)
            found = await _ask(client, "Create", name, request)
        case "list":
            return await _list(args, client)
        case "update":
            request = _request("Update", name)
            owner = getattr(request, kind)
            owner.id = args.id
            paths = fill(args, owner)
            for field in ("name", "disabled"):
                if getattr(args, field) is not None:
                    setattr(owner, field, getattr(args, field))
                    paths.append(field)
            request.update_mask.paths.extend(paths)
            found = await _ask(client, "Update", name, request)
        case "delete":
            await _ask(client, "Delete", name, _request("Delete", name, id=args.id))
            return OK
        case _:
            found = await _ask(client, "Get", name, _request("Get", name, id=args.id))
    return tell(args, found, lambda: _table([found]))


async def _list(args: argparse.Namespace, client: Asks) -> int:
    name = f"{_KINDS[args.kind]}s"
    whole: Any = GetMessageClass(SERVICE.methods_by_name[f"List{name}"].output_type)()
    request = _request("List", name, **{f"{above}_id": getattr(args, above) for above in _ABOVE[args.kind]})
    while True:
        page = await _ask(client, "List", name, request)
        whole.MergeFrom(page)
        request.page_token = whole.next_page_token = page.next_page_token
        if not page.next_page_token:
            return tell(args, whole, lambda: _table(getattr(whole, f"{args.kind}s")))


def _table(owners: Any) -> None:
    from trunkline.cli.terminal import printable, stdout, table

    grid = table("ID", "NAME", "STATE", "MODELS", "LIMITS")
    for owner in owners:
        models = printable(", ".join(owner.models)) or "all"
        state = "disabled" if owner.disabled else "active"
        grid.add_row(owner.id, printable(owner.name), state, models, limits_text(owner.limits))
    stdout().print(grid)


def _request(verb: str, name: str, **fields: str) -> Any:
    return GetMessageClass(SERVICE.methods_by_name[f"{verb}{name}"].input_type)(**fields)


async def _ask(client: Asks, verb: str, name: str, request: Any) -> Any:
    return await client.ask(SERVICE.methods_by_name[f"{verb}{name}"], request)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, kind: str
) -> argparse.ArgumentParser:
    article = "an" if kind.startswith("o") else "a"
    purpose = f"list the {kind}s" if name == "list" else f"{name.replace('create', 'make')} {article} {kind}"
    parser = actions.add_parser(
        name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.", allow_abbrev=False
    )
    add_place(parser)
    return parser
