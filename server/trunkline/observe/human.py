"""Records as lines that people read."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from trunkline.observe.record import AttemptRecord, CallRecord

_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31"}
_DIM: Final = "2"


class Human:
    """Writes lines; with `colour`, marked by the escape codes of a terminal."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def call(self, record: CallRecord) -> str:
        """One aligned line: when, what came of it, how long it took, what it used, who served it, who asked."""
        level = "info" if record.outcome == "ok" else "warning" if record.level == "info" else record.level
        first = "" if record.first_token_seconds is None else f"first {_seconds(record.first_token_seconds)}"
        words = [
            self._paint(_clock(record.time), _DIM),
            self._paint(f"{record.outcome:<20}", _COLOURS[level]),
            f"{record.operation or '-':<11}",
            f"{_seconds(record.seconds):>7}",
            f"{first:<13}",
            f"{_tokens(record):>13}",
            f"{_served(record):<36}",
            f"{record.surface:<6}",
            f"{printable(record.caller) or '-':<10}",
            self._paint(record.id, _DIM),
        ]
        words += [f"| after {_attempt(attempt)}" for attempt in record.attempts[:-1]]
        if record.error is not None:
            param = f" ({printable(record.error.param)})" if record.error.param else ""
            words.append(f"| {printable(record.error.message)}{param}")
        if record.losses:
            more = f" and {record.losses_omitted} more" if record.losses_omitted else ""
            words.append("| lost " + ", ".join(printable(loss.field) for loss in record.losses) + more)
        return " ".join(words) + "\n"

    def message(self, time: datetime, level: str, text: str, traceback: str) -> str:
        """A message of the program itself; its traceback follows on lines of its own."""
        head = f"{self._paint(_clock(time), _DIM)} {self._paint(f'{level:<7}', _COLOURS[level])} {printable(text)}\n"
        return head + "".join(f"    {printable(line)}\n" for line in traceback.splitlines())

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour else text


def printable(text: str) -> str:
    """`text` on one line, with control characters escaped, so that no caller can forge lines or drive a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _clock(time: datetime) -> str:
    return time.astimezone().strftime("%H:%M:%S.%f")[:-3]


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.2f}s"


def _tokens(record: CallRecord) -> str:
    if record.input_tokens is None and record.output_tokens is None:
        return ""
    return f"{_count(record.input_tokens)} > {_count(record.output_tokens)}"


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


def _served(record: CallRecord) -> str:
    asked = printable(record.model) or "-"
    if not record.attempts:
        return asked
    target = f"{record.provider}/{printable(record.attempts[-1].model)}"
    return target if asked in {target, target.replace("/", ":", 1)} else f"{asked} -> {target}"


def _attempt(attempt: AttemptRecord) -> str:
    status = "" if attempt.status is None else f" {attempt.status}"
    return f"{attempt.provider}/{printable(attempt.model)} {attempt.outcome}{status} {_seconds(attempt.seconds)}"
