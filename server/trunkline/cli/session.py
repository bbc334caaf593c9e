"""The interactive conversation: a prompt, the commands that begin with `/`, and Ctrl-C to stop an answer."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import aclosing, suppress
from typing import Final

from rich.text import Text

from trunkline.cli import connection
from trunkline.cli.answer import Answer
from trunkline.cli.client import Client, answers
from trunkline.cli.conversation import Conversation
from trunkline.cli.exits import OK
from trunkline.cli.failure import FAILURES, hints, report
from trunkline.cli.terminal import printable, stderr
from trunkline.core.fold import Fold

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
        # A handler of our own: that of `asyncio` could break in before the turn is begun.
        before = signal.signal(signal.SIGINT, lambda number, frame: session.interrupt())
        try:
            session.hold(runner)
        finally:
            signal.signal(signal.SIGINT, before)
            runner.run(client.close())
    return OK


class _Session:
    def __init__(self, conversation: Conversation, client: Client, args: argparse.Namespace) -> None:
        self._conversation = conversation
        self._client = client
        self._args = args
        self._console = stderr()
        self._typing = False
        self._interrupted = False
        self._turn_task: asyncio.Task[None] | None = None

    def interrupt(self) -> None:
        """Ctrl-C: give up the line that is typed, or the answer that runs."""
        if self._typing:
            raise KeyboardInterrupt
        self._interrupted = True
        if self._turn_task is not None:
            self._turn_task.get_loop().call_soon_threadsafe(self._turn_task.cancel)

    def hold(self, runner: asyncio.Runner) -> None:
        self._note(f"{self._conversation.model} at {self._client.where}. /help lists the commands; Ctrl-D leaves.")
        while True:
            line = self._next_line()
            if line is None or line == "/exit":
                return
            if line.startswith("/"):
                self._obey(line)
            elif line:
                runner.run(self._turn(line))

    def _next_line(self) -> str | None:
        """The next line that is typed, None for Ctrl-D."""
        try:
            self._typing = True
            line = _read_line()
            self._interrupted = self._typing = False
            return line.strip()
        except EOFError:
            self._console.print()
            return None
        except KeyboardInterrupt:
            self._console.print()
            self._note("Ctrl-D leaves.")
            return ""
        finally:
            self._typing = False

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
        answer = Answer(None if self._args.quiet else self._console)
        fold = Fold()
        self._turn_task = asyncio.current_task()
        try:
            if self._interrupted:
                raise asyncio.CancelledError
            await self._answer(text, answer, fold)
        except asyncio.CancelledError:
            # Nobody but `interrupt` cancels a turn; the session goes on.
            answer.stop()
            self._note("Stopped.")
        finally:
            self._turn_task = None
        self._conversation.answered(text, fold.finish())

    async def _answer(self, text: str, answer: Answer, fold: Fold) -> None:
        request = self._conversation.ask(text)
        try:
            async with aclosing(answers(self._client, request, stream=self._args.stream)) as events:
                async for event in events:
                    fold.feed(event)
                    answer.feed(event)
        except FAILURES as error:
            answer.stop()
            report(error, await hints(error, self._args, self._client, request.model), as_json=False)
        else:
            answer.stop()
            answer.note_cost()

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
