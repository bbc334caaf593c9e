"""The text of PDFs, each read by a process of its own."""

from __future__ import annotations

import asyncio
import math
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from typing import Final

from trunkline.config.plugins import FilesConfig
from trunkline.dialects.wire import Object, loads
from trunkline.errors import GatewayError, invalid_request
from trunkline.v1 import errors_pb2

_WORKER: Final = "trunkline.plugins.pdf_worker"

_REASONS: Final = {
    "encrypted": "it is protected by a password",
    "too_large": "it takes too much memory",
    "unreadable": "it is no PDF, or a broken one",
}


@dataclass(frozen=True, slots=True)
class PdfText:
    """The text of a PDF, how many pages it has, and how many of them were read."""

    text: str
    pages: int
    read: int


class PdfReader:
    """Reads PDFs, a few at a time."""

    def __init__(self, config: FilesConfig) -> None:
        self._config = config
        self._gate = asyncio.Semaphore(config.at_once)

    async def read(self, data: bytes, path: str, within: float | None) -> PdfText:
        """The text of `data`. `path` names it to the caller, who still waits `within` seconds.

        Raises `GatewayError`: INVALID_REQUEST where it cannot be read, or not in time; PROVIDER_TIMEOUT where the
        caller's own time is over before that.
        """
        config = self._config
        late = within is not None and within < config.timeout
        try:
            async with asyncio.timeout(within if late else config.timeout), self._gate:
                told = await self._run(data)
        except TimeoutError:
            if late:
                message = f"The file of `{path}` was not read before the caller's deadline."
                raise GatewayError(errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT, message, param=path) from None
            raise _unread(path, f"that took longer than {config.timeout:g} seconds") from None
        answer = _object(told)
        if "text" not in answer.fields:
            # A process that was stopped by its bounds says nothing.
            reason = answer.take_str("error") or "too_large"
            raise _unread(path, _REASONS.get(reason, _REASONS["unreadable"]))
        text = answer.take_str("text") or ""
        return PdfText(text, answer.take_int("pages") or 0, answer.take_int("read") or 0)

    async def _run(self, data: bytes) -> bytes:
        config = self._config
        bounds = (config.max_pages, config.max_characters, config.max_memory_bytes, math.ceil(config.timeout) + 1)
        # Its environment is empty: it holds secrets that a file must not come near.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-m", _WORKER, *map(str, bounds), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={}
        )
        try:
            told, _ = await process.communicate(data)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return told


def _object(told: bytes) -> Object:
    try:
        value = loads(told)
    except GatewayError:
        value = None
    return Object(value if isinstance(value, dict) else {}, lenient=True)


def _unread(path: str, why: str) -> GatewayError:
    return invalid_request(f"The file of `{path}` cannot be read: {why}.", path)
