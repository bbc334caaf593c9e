"""Writes finished records to a file descriptor from a thread of its own, so that no slow reader stops a call."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable

Notice = Callable[[int], bytes]
"""A number of lost records -> the record that says so."""

# Each write waits up to five milliseconds for a busy event loop to let go of the interpreter, so writes are few.
_WRITE = 256 * 1024
"""The bytes of one write, unless a single record is longer."""


class LogWriter:
    """A bounded queue of records and the thread that empties it.

    `capacity` is the most records waiting. `linger` is how many seconds the thread lets records gather, which spares
    the event loop a thread switch for each of them. Records that find no room, or that the descriptor refuses, are
    counted, and `notice` says how many as soon as something can be written again.
    """

    def __init__(self, fd: int, notice: Notice, *, capacity: int = 8192, linger: float = 0.05) -> None:
        self._fd = fd
        self._notice = notice
        self._capacity = capacity
        self._linger = linger
        self._queue: deque[bytes] = deque()
        self._dropped = 0
        self._told = 0
        self._counting = threading.Lock()
        self._waiting = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trunkline-log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many records were lost so far."""
        return self._dropped

    def write(self, record: bytes) -> None:
        """Queue one record, its line end included. Never blocks; may be called from any thread."""
        if self._closing.is_set() or len(self._queue) >= self._capacity:
            self._drop(1)
            return
        self._queue.append(record)
        if not self._waiting.is_set():
            self._waiting.set()

    def close(self, timeout: float = 5.0) -> None:
        """Write what is queued, waiting at most `timeout` seconds for a slow reader. Later records are lost."""
        self._closing.set()
        self._waiting.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._waiting.wait()
            self._closing.wait(self._linger)
            # Cleared before the queue is read: a record that comes in between wakes the thread once more.
            self._waiting.clear()
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._queue:
            records = [self._queue.popleft()]
            size = len(records[0])
            while self._queue and size + len(self._queue[0]) <= _WRITE:
                records.append(self._queue.popleft())
                size += len(records[-1])
            if not self._put(b"".join(records)):
                self._drop(len(records))
        lost = self._dropped - self._told
        if lost and self._put(self._notice(lost)):
            self._told += lost

    def _put(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                # Another program may have made a shared terminal or pipe non-blocking.
                waiter = select.poll()
                waiter.register(self._fd, select.POLLOUT)
                waiter.poll(1000)
            except OSError:
                # A full disk or a reader that left: there is no better place to say so, hence the count.
                return False
        return True

    def _drop(self, count: int) -> None:
        with self._counting:
            self._dropped += count
