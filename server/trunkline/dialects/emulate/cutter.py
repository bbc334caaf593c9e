"""The one JSON value in a text that may hold more, such as a greeting or a code fence."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Final

from trunkline.dialects.wire import loads
from trunkline.errors import GatewayError

_BRACES: Final = {"object": "{", "array": "["}
_FOLLOWS: Final = {"{": '"}', "[": '[{"-0123456789tfn]'}
"""What may come behind a brace or a bracket, so that not every one in a sentence is taken for the answer."""
_BLANK: Final = re.compile(r"[ \t\r\n]{0,256}")

_IN_STRING: Final = re.compile(r'["\\]')
_OUTSIDE: Final = re.compile(r'["{}\[\]]')
_FENCED: Final = re.compile(r"```[A-Za-z]*[ \t]*\r?\n(.*?)\r?\n?```", re.DOTALL)


class Cutter:
    """Gives, as the text comes, what stands from the first brace or bracket to the one that closes it.

    `sorts` tells which of the two the value begins with: `object` or `array`.
    """

    def __init__(self, sorts: Set[str]) -> None:
        self.begun = False
        self.ended = False
        braces = "".join(re.escape(brace) for sort, brace in _BRACES.items() if sort in sorts)
        self._begin = re.compile(f"[{braces}]") if braces else None
        self._waiting = ""
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> str:
        """What `text` adds to the value."""
        if self.ended:
            return ""
        if not self.begun:
            text = self._begun(self._waiting + text)
        return text[: self._end(text)]

    def _begun(self, text: str) -> str:
        """What `text` holds from the beginning of the value on; empty where it does not begin yet."""
        self._waiting = ""
        match = None if self._begin is None else self._begin.search(text)
        while match is not None and self._begin is not None:
            blank = _BLANK.match(text, match.end())
            end = match.end() if blank is None else blank.end()
            if end == len(text):
                self._waiting = text[match.start() :]
                return ""
            if text[end] in _FOLLOWS[match[0]]:
                self.begun = True
                return text[match.start() :]
            match = self._begin.search(text, match.end())
        return ""

    def _end(self, text: str) -> int:
        """Where the value ends in `text`; its length where it does not."""
        position = 0
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


def cut_out(text: str, sorts: Set[str]) -> str:
    """The value in a whole `text`: the text itself, what a code fence holds, or the first object or array; `text`
    where there is none."""
    fence = _FENCED.search(text)
    for found in (text.strip(), fence[1].strip() if fence else "", Cutter(sorts).feed(text)):
        if _is_json(found):
            return found
    return text.strip()


def _is_json(text: str) -> bool:
    try:
        loads(text)
    except GatewayError:
        return False
    return True
