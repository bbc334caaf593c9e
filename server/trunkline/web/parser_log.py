"""What the log is told of requests that are no HTTP."""

from __future__ import annotations

import logging
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError


class _Unquoted(logging.Filter):
    """Lets through that a request was refused, without the line that could not be read: it may hold a key or a prompt.
    Anyone can send such, so they are no errors."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.args, record.exc_info = "refused what is no HTTP: %s", (type(error).__name__,), None
            record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
        return True


PARSER_LOG: Final = logging.getLogger("trunkline.http")
"""Where aiohttp's servers log."""

PARSER_LOG.addFilter(_Unquoted())
