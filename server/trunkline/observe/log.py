"""The log: one record for each call, and the program's own messages, as JSON lines or as lines for people."""

from __future__ import annotations

import logging
import os
import traceback
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from trunkline.call import Call
from trunkline.observe.human import Human
from trunkline.observe.outcome import Level
from trunkline.observe.outcome import level as call_level
from trunkline.observe.record import CallRecord, call_record
from trunkline.observe.redaction import scrub
from trunkline.observe.writer import LogWriter

Format = Literal["auto", "human", "json"]
"""How records are written; `auto` is `human` on a terminal and `json` elsewhere."""

_LEVELS: Final[dict[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_MESSAGE_LIMIT: Final = 4000
_TRACEBACK_LIMIT: Final = 16000


class MessageRecord(msgspec.Struct, omit_defaults=True, tag_field="event", tag="message"):
    """A message of the program itself."""

    time: datetime
    level: Level
    logger: str
    message: str
    traceback: str = ""


class Log:
    """The one log of the process, and an observer of its calls.

    `fd` is the file descriptor written to. Records below `level` are left out: a call is `info`, or `warning` where a
    provider failed, or `error` where the gateway did.
    """

    def __init__(self, format: Format = "auto", level: Level = "info", *, fd: int = 2, capacity: int = 8192) -> None:  # noqa: A002
        terminal = os.isatty(fd)
        people = terminal if format == "auto" else format == "human"
        self._human = Human(colour=terminal and "NO_COLOR" not in os.environ) if people else None
        self._least = _LEVELS[level]
        self._encode = msgspec.json.Encoder().encode
        self._writer = LogWriter(fd, self._lost, capacity=capacity)
        self._handler = _Handler(self)
        self._handler.setLevel(self._least)
        self._before = logging.getLogger("trunkline").level

    @property
    def dropped(self) -> int:
        """How many records were lost because the log was read too slowly or could not be written."""
        return self._writer.dropped

    def install(self) -> None:
        """Take the messages of `logging`: the program's from the log's level on, libraries' from warnings on."""
        logging.getLogger("trunkline").setLevel(self._least)
        logging.getLogger().addHandler(self._handler)

    def close(self, timeout: float = 5.0) -> None:
        """Undo `install` and write what is queued, waiting at most `timeout` seconds for a slow reader."""
        logging.getLogger().removeHandler(self._handler)
        logging.getLogger("trunkline").setLevel(self._before)
        self._writer.close(timeout)

    def call_started(self, call: Call) -> None:
        """Nothing is known yet that the record at the end would not tell."""

    def call_ended(self, call: Call) -> None:
        """Write the record of the call."""
        if _LEVELS[call_level(call)] < self._least:
            return
        # Encoded here and not by the writer's thread: a waiting `Call` would keep its whole request in memory.
        record: CallRecord = call_record(call)
        self._writer.write(self._encode(record) + b"\n" if self._human is None else self._human.call(record).encode())

    def message(self, record: logging.LogRecord) -> None:
        """Write a message of the program or of a library."""
        told = MessageRecord(
            time=datetime.fromtimestamp(record.created, UTC),
            level=_level(record.levelno),
            logger=record.name,
            message=scrub(record.getMessage(), _MESSAGE_LIMIT),
            traceback=_traceback(record),
        )
        self._writer.write(self._bytes(told))

    def _lost(self, count: int) -> bytes:
        text = f"{count} log records were lost: the log is read too slowly, or cannot be written."
        return self._bytes(MessageRecord(datetime.now(UTC), "error", "trunkline.observe", text))

    def _bytes(self, told: MessageRecord) -> bytes:
        if self._human is None:
            return self._encode(told) + b"\n"
        return self._human.message(told.time, told.level, told.message, told.traceback).encode()


class _Handler(logging.Handler):
    """Hands what `logging` is told to the log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._log.message(record)
        except Exception:  # noqa: BLE001 - a message that cannot be formatted must not fail what it speaks of
            self.handleError(record)


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    text = "".join(traceback.format_exception(record.exc_info[1]))
    # The end of a traceback tells the most.
    return scrub(text[-_TRACEBACK_LIMIT:], _TRACEBACK_LIMIT)
