"""The one JSON value in a text that may hold more, such as a greeting or a code fence, cut out as the text comes."""

from __future__ import annotations

import re
from typing import Final

_BEGIN: Final = re.compile(r"[{\[]")
_IN_STRING: Final = re.compile(r'["\\]')
_OUTSIDE: Final = re.compile(r'["{}\[\]]')


class Cutter:
    """Gives the text from the first brace or bracket to the one that closes it."""

    def __init__(self) -> None:
        self.begun = False
        self.ended = False
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> str:
        """What `text` holds of the value."""
        if self.ended:
            return ""
        begin = 0
        if not self.begun:
            match = _BEGIN.search(text)
            if match is None:
                return ""
            self.begun, begin = True, match.start()
        end = self._end(text, begin)
        return text[begin:end]

    def _end(self, text: str, position: int) -> int:
        """Where the value ends in `text`; its length where it does not."""
        while position < len(text):
            if self._escaped:
                self._escaped = False
                position += 1
                continue
            match = (_IN_STRING if self._in_string else _OUTSIDE).search(text, position)
            if match is None:
                break
            position = match.end()
            match match[0]:
                case '"':
                    self._in_string = not self._in_string
                case "\\":
                    self._escaped = True
                case "{" | "[":
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if not self._depth:
                        self.ended = True
                        return position
        return len(text)
