"""The interactive conversation: a prompt, the commands that begin with `/`, and Ctrl-C to stop an answer."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import aclosing, suppress
from typing import Final

from rich.text import Text

from trunkline.cli import connection
from trunkline.cli.answer import Answer
from trunkline.cli.client import Client
from trunkline.cli.conversation import Conversation
from trunkline.cli.exits import OK
from trunkline.cli.failure import FAILURES, hints, report
from trunkline.cli.terminal import printable, stderr
from trunkline.core.fold import Fold, unfold

_PROMPT: Final = "> "

_HELP: Final = """\
/model NAME  ask another model; without NAME, tell which is asked
/reset       forget what was said
/exit        leave, as Ctrl-D does
Ctrl-C       stop the answer"""


def converse(conversation: Conversation, args: argparse.Namespace) -> int:
    """Hold `conversation` until the person leaves."""
    with suppress(ImportError):
        import readline  # noqa: F401 - gives `input` its line editing and history
    with asyncio.Runner() as runner:
        try:
            client = runner.run(_connect(args))
        except connection.ArgumentsError as error:
            return report(error, (), as_json=False)
        session = _Session(conversation, client, args)
        try:
            session.hold(runner)
        finally:
            runner.run(client.close())
    return OK


class _Session:
    def __init__(self, conversation: Conversation, client: Client, args: argparse.Namespace) -> None:
        self._conversation = conversation
        self._client = client
        self._args = args
        self._console = stderr()

    def hold(self, runner: asyncio.Runner) -> None:
        self._note(f"{self._conversation.model} at {self._client.where}. /help lists the commands; Ctrl-D leaves.")
        while True:
            try:
                line = _read_line().strip()
            except EOFError:
                self._console.print()
                return
            except KeyboardInterrupt:
                self._console.print()
                self._note("Ctrl-D leaves.")
                continue
            if line == "/exit":
                return
            if line.startswith("/"):
                self._obey(line)
            elif line:
                with suppress(KeyboardInterrupt):
                    runner.run(self._turn(line))

    def _obey(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        match name:
            case "/reset":
                self._conversation.reset()
                self._note("Forgotten.")
            case "/model":
                self._conversation.model = rest.strip() or self._conversation.model
                self._note(f"The model is {self._conversation.model}.")
            case "/help":
                self._note(_HELP)
            case _:
                self._note(f"There is no command {name}.\n{_HELP}")

    async def _turn(self, text: str) -> None:
        """Say `text` and show the answer. What was written until Ctrl-C stays part of the conversation."""
        request = self._conversation.ask(text)
        answer = Answer(None if self._args.quiet else self._console)
        fold = Fold()
        try:
            if self._args.stream:
                async with aclosing(self._client.stream(request)) as events:
                    async for event in events:
                        fold.feed(event)
                        answer.feed(event)
            else:
                for event in unfold(await self._client.chat(request)):
                    fold.feed(event)
                    answer.feed(event)
        except FAILURES as error:
            answer.stop()
            report(error, await hints(error, self._args, self._client, self._conversation.model), as_json=False)
            return
        except asyncio.CancelledError:
            answer.stop()
            self._note("Stopped.")
            self._conversation.answered(text, fold.finish())
            raise
        answer.stop()
        answer.note_cost()
        self._conversation.answered(text, fold.finish())

    def _note(self, text: str) -> None:
        self._console.print(Text(printable(text), style="dim"), soft_wrap=True)


async def _connect(args: argparse.Namespace) -> Client:
    return connection.connect(args)


def _read_line() -> str:
    """The next line that is typed; stdout, where it is no terminal, gets no prompt. Raises `EOFError`."""
    if sys.stdout.isatty():
        return input(_PROMPT)
    sys.stderr.write(_PROMPT)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line
