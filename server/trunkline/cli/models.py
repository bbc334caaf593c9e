"""`trunkline models`: what a gateway serves."""

from __future__ import annotations

import argparse
import asyncio

from trunkline.cli import connection
from trunkline.cli.client import Client
from trunkline.cli.exits import OK
from trunkline.v1.models_pb2 import ListModelsResponse, Model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `models`."""
    parser.add_argument("--json", action="store_true", help="the `ListModelsResponse` as JSON, on one line")
    connection.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """List the models."""
    return asyncio.run(_list(args))


async def _list(args: argparse.Namespace) -> int:
    from trunkline.cli.failure import FAILURES, hints, report

    client: Client | None = None
    try:
        client = connection.connect(args)
        response = await client.models()
    except FAILURES as error:
        return report(error, await hints(error, args, client), as_json=args.json)
    finally:
        if client is not None:
            await client.close()
    if args.json:
        from google.protobuf.json_format import MessageToJson

        print(MessageToJson(response, indent=None, ensure_ascii=False))
    else:
        _print_table(response)
    return OK


def _print_table(response: ListModelsResponse) -> None:
    from trunkline.cli.terminal import printable, stderr, stdout, table

    if not response.models:
        stderr().print("The gateway serves no model.", style="dim")
        return
    grid = table("MODEL", "PROVIDERS", "CONTEXT", "MAX OUTPUT", "$/M IN", "$/M OUT")
    for model in response.models:
        grid.add_row(
            printable(model.id),
            printable(", ".join(model.providers)),
            f"{model.context_tokens:,}" if model.HasField("context_tokens") else "-",
            f"{model.max_output_tokens:,}" if model.HasField("max_output_tokens") else "-",
            *_prices(model),
        )
    stdout().print(grid)


def _prices(model: Model) -> tuple[str, str]:
    """Dollars for a million tokens read, and written, at the first endpoint that has prices."""
    price = next((endpoint.price for endpoint in model.endpoints if not endpoint.unpriced), None)
    if price is None:
        return "unpriced", "unpriced"
    written = _dollars(price.output_nano_usd) if price.HasField("output_nano_usd") else "-"
    return _dollars(price.input_nano_usd), written


def _dollars(nano: int) -> str:
    return f"{nano / 1e9:.9f}".rstrip("0").rstrip(".")
