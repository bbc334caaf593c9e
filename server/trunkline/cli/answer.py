"""An answer as a person sees it: written as it arrives, with a quiet line about its cost at the end."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from rich.console import Console
from rich.text import Text

from trunkline.cli.terminal import printable
from trunkline.v1 import chat_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, Usage
from trunkline.v1.content_pb2 import Part

_NOTES = {
    chat_pb2.FINISH_REASON_LENGTH: "The answer was cut: the token limit was reached.",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "The provider withheld the rest of the answer.",
}
"""What is said of an answer that did not end by itself."""


class Answer:
    """Writes the first choice of a stream: what the model says to `out`, and the rest to `notes` where given.

    What it says is written unchanged, except to a terminal, which is shown what it would otherwise obey.
    """

    def __init__(self, notes: Console | None, out: TextIO | None = None) -> None:
        self._out = sys.stdout if out is None else out
        self._clean = self._out.isatty()
        self._notes = notes
        self._parts: dict[int, Part] = {}
        self._arguments: dict[int, list[str]] = {}
        self._last_line = ""
        self._noting = False
        self._started = time.monotonic()
        self._first: float | None = None
        self._response = ChatResponse()

    def feed(self, event: ChatEvent) -> None:
        """Write what `event` adds."""
        match event.WhichOneof("event"):
            case "start":
                self._response.CopyFrom(event.start)
            case "part_start" if event.part_start.choice == 0:
                self._parts[event.part_start.index] = event.part_start.part
                self._show(event.part_start.part, _text_of(event.part_start.part))
            case "part_delta" if event.part_delta.choice == 0:
                delta = event.part_delta
                part = self._parts[delta.index]
                if part.WhichOneof("kind") == "tool_call":
                    self._arguments.setdefault(delta.index, []).append(delta.text)
                self._show(part, delta.text)
            case "part_end" if event.part_end.choice == 0:
                index = event.part_end.index
                self._end_part(self._parts.pop(index), "".join(self._arguments.pop(index, ())))
            case "choice_end" if event.choice_end.choice == 0:
                self._end_line()
                note = _NOTES.get(event.choice_end.finish.reason)
                if note is not None:
                    self._note(note, "yellow")
            case "usage":
                self._response.usage.MergeFrom(event.usage)

    def stop(self) -> None:
        """Nothing more comes: end the line that was begun."""
        self._end_line()

    def note_cost(self) -> None:
        """Write who answered, the tokens and the time, in one quiet line."""
        total = time.monotonic() - self._started
        facts = [printable(self._response.model or "?")]
        if self._response.provider:
            facts[0] += f" by {printable(self._response.provider)}"
        tokens = _tokens(self._response.usage)
        if tokens:
            facts.append(f"tokens: {', '.join(tokens)}")
        facts.append(_time(total) if self._first is None else f"first word {_time(self._first)}, all {_time(total)}")
        self._note(" · ".join(facts), "dim")

    def _show(self, part: Part, text: str) -> None:
        if not text:
            return
        if self._first is None:
            self._first = time.monotonic() - self._started
        match part.WhichOneof("kind"):
            case "text" | "refusal":
                self._end_reasoning()
                self._out.write(printable(text) if self._clean else text)
                self._out.flush()
                self._last_line = text[-1]
            case "reasoning":
                if self._notes is not None:
                    self._notes.print(Text(printable(text), style="dim italic"), end="", soft_wrap=True)
                    self._noting = not text.endswith("\n")

    def _end_part(self, part: Part, arguments: str) -> None:
        match part.WhichOneof("kind"):
            case "reasoning":
                self._end_reasoning()
            case "tool_call":
                self._end_line()
                self._note(f"tool call: {part.tool_call.name}({part.tool_call.arguments_json}{arguments})", "cyan")
            case "media":
                self._end_line()
                self._note(f"{part.media.media_type or 'media'}; --json shows it", "cyan")

    def _end_reasoning(self) -> None:
        if self._noting and self._notes is not None:
            self._notes.print()
            self._noting = False

    def _end_line(self) -> None:
        self._end_reasoning()
        if self._last_line not in ("", "\n"):
            self._out.write("\n")
            self._out.flush()
            self._last_line = "\n"

    def _note(self, text: str, style: str) -> None:
        if self._notes is not None:
            self._notes.print(Text(printable(text), style=style), soft_wrap=True)


def _text_of(part: Part) -> str:
    match part.WhichOneof("kind"):
        case "text":
            return part.text
        case "refusal":
            return part.refusal
        case "reasoning":
            return part.reasoning.text
        case _:
            return ""


def _tokens(usage: Usage) -> list[str]:
    facts = []
    if usage.HasField("input_tokens"):
        cached = f" ({usage.cached_input_tokens} cached)" if usage.cached_input_tokens else ""
        facts.append(f"{usage.input_tokens} in{cached}")
    if usage.HasField("output_tokens"):
        reasoned = f" ({usage.reasoning_output_tokens} reasoning)" if usage.reasoning_output_tokens else ""
        facts.append(f"{usage.output_tokens} out{reasoned}")
    return facts


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
