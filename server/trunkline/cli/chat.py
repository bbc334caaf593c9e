"""`trunkline chat`: a question and its answer, or a conversation."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from contextlib import aclosing
from typing import Final

from trunkline.cli import connection
from trunkline.cli.client import Client
from trunkline.cli.conversation import Conversation
from trunkline.cli.exits import OK

DEFAULT_MODEL: Final = "sim/echo"
"""The model of the embedded provider that repeats what it is told, so that the first call needs no key."""

MODEL_VARIABLE: Final = "TRUNKLINE_MODEL"
"""The environment variable that names the model where `--model` does not."""

_STDIN_BYTES: Final = 16 * 1024 * 1024
"""The longest message that is read from stdin."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `chat`."""
    parser.add_argument(
        "message",
        metavar="MESSAGE",
        nargs="?",
        help="what to say; read from stdin where that is no terminal, or for `-`; without it, a conversation begins",
    )
    asked = parser.add_argument_group("what is asked for")
    asked.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        help=f"which model, as `trunkline models` lists it (default: {MODEL_VARIABLE}, or else {DEFAULT_MODEL})",
    )
    asked.add_argument("--system", metavar="TEXT", default="", help="instructions to the model")
    asked.add_argument("--temperature", metavar="NUMBER", type=float, help="the variance, where 0 is the least")
    asked.add_argument("--max-tokens", metavar="COUNT", type=int, help="the most tokens to write, reasoning included")
    asked.add_argument(
        "--reasoning", metavar="EFFORT", default="", help="how much to reason first, such as low or high"
    )
    shown = parser.add_argument_group("how it is shown")
    shown.add_argument("--no-stream", dest="stream", action="store_false", help="show the answer when it is whole")
    shown.add_argument(
        "--json", action="store_true", help="the events as JSON, one a line; with --no-stream the response"
    )
    shown.add_argument("-q", "--quiet", action="store_true", help="show the answer alone: no reasoning, tokens or time")
    connection.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Say one message, or hold a conversation where there is none and a person is there to type."""
    from trunkline.cli.failure import report

    conversation = Conversation(
        model=args.model or os.environ.get(MODEL_VARIABLE) or DEFAULT_MODEL,
        system=args.system,
        temperature=args.temperature,
        max_tokens=args.max_tokens,
        effort=args.reasoning,
    )
    if args.message is None and sys.stdin.isatty() and not args.json:
        from trunkline.cli.session import converse

        return converse(conversation, args)
    try:
        message = _message(args.message)
    except connection.ArgumentsError as error:
        return report(error, (), as_json=args.json)
    return asyncio.run(_ask(conversation, message, args))


async def _ask(conversation: Conversation, message: str, args: argparse.Namespace) -> int:
    from trunkline.cli.failure import FAILURES, hints, report

    client: Client | None = None
    try:
        client = connection.connect(args)
        if args.json:
            await _print_json(client, conversation, message, stream=args.stream)
        else:
            await _print(client, conversation, message, args)
    except FAILURES as error:
        return report(error, await hints(error, args, client, conversation.model), as_json=args.json)
    finally:
        if client is not None:
            await client.close()
    return OK


async def _print(client: Client, conversation: Conversation, message: str, args: argparse.Namespace) -> None:
    from trunkline.cli.answer import Answer
    from trunkline.cli.client import answers
    from trunkline.cli.terminal import stderr

    answer = Answer(None if args.quiet else stderr())
    try:
        async with aclosing(answers(client, conversation.ask(message), stream=args.stream)) as events:
            async for event in events:
                answer.feed(event)
    finally:
        answer.stop()
    answer.note_cost()


async def _print_json(client: Client, conversation: Conversation, message: str, *, stream: bool) -> None:
    from google.protobuf.json_format import MessageToJson

    request = conversation.ask(message)
    if not stream:
        print(MessageToJson(await client.chat(request), indent=None, ensure_ascii=False), flush=True)
        return
    async with aclosing(client.stream(request)) as events:
        async for event in events:
            print(MessageToJson(event, indent=None, ensure_ascii=False), flush=True)


def _message(given: str | None) -> str:
    """The message of the arguments or of stdin. Raises `ArgumentsError` where there is none."""
    if given is None or given == "-":
        given = _read_stdin()
    if not given.strip():
        raise connection.ArgumentsError("There is no message: give one as an argument or on stdin.")
    return given


def _read_stdin() -> str:
    data = sys.stdin.buffer.read(_STDIN_BYTES + 1)
    if len(data) > _STDIN_BYTES:
        raise connection.ArgumentsError(f"The message on stdin is longer than {_STDIN_BYTES // 1024 // 1024} MiB.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise connection.ArgumentsError(f"The message on stdin is no UTF-8 text (byte {error.start}).") from None
