"""JSON that a model wrote almost right, mended as it comes; what is right already passes as it is.

Our own, since no library for it works on a stream, and those that there are make up what is missing: a string that is
not closed, a value behind a colon. Here nothing is made up. Where the text cannot be understood, the rest of it passes
as it came.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final, Literal

Fault = Literal[
    "code_fence",
    "comment",
    "control_character",
    "escape",
    "missing_bracket",
    "python_literal",
    "single_quotes",
    "text_around",
    "trailing_comma",
    "unquoted_key",
]
"""What is mended."""

MOST_HELD: Final = 4096
"""The most characters that are held to be understood."""

_MOST_BLANKS: Final = 64
_DEEPEST: Final = 256
"""The deepest nesting, as everywhere here."""

_FENCE: Final = "```"
_BLANK: Final = re.compile(r"[ \t\r\n]+")
_WORD: Final = re.compile(r"[\w$.+\-]+")
_KEY: Final = re.compile(r"[\w$][\w$\-]*")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
LITERALS: Final = {"true": "true", "false": "false", "null": "null", "True": "true", "False": "false", "None": "null"}
_CLOSERS: Final = {"{": "}", "[": "]"}
_SPECIAL: Final = {quote: re.compile(rf"[{quote}\\\x00-\x1f{'' if quote == chr(34) else chr(34)}]") for quote in "\"'"}
"""Quote -> what does not pass as it is in a string that stands in such quotes."""
_ESCAPES: Final = frozenset('"\\/bfnrtu')
_CONTROLS: Final = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_HEX: Final = re.compile(r"[0-9a-fA-F]{2}")


class _LostError(Exception):
    """The text cannot be understood from here on."""


class Mender:
    """Mends one object or array, from its first character on. `faults` counts what was mended.

    `ended` tells that the value has ended, and `rest` what was fed behind it; `lost` that the text could not be
    understood, and passes as it came.
    """

    def __init__(self) -> None:
        self.faults: Counter[Fault] = Counter()
        self.ended = False
        self.lost = False
        self.rest = ""
        self._out: list[str] = []
        self._held = ""
        self._comma: list[str] = []
        """A comma and the blanks behind it, which wait for what follows."""
        self._stack: list[str] = []
        """The brackets that close what is open, the innermost last."""
        self._expected: Literal["value", "key", "colon", "next"] = "value"
        """What comes next; `next` is what stands behind a value."""
        self._empty = False
        """Whether what was opened last holds nothing yet."""
        self._quote = ""
        self._comment = ""
        """What ends the comment that is open."""

    def feed(self, text: str) -> str:
        """What `text` is written as, as far as it is understood."""
        return self._read(text, final=False)

    def end(self, *, whole: bool) -> str:
        """What was held, and where the text is `whole`, the brackets that are missing."""
        out = self._read("", final=True) if whole else ""
        if not self.ended and not self.lost:
            if whole and self._can_close():
                self._close()
            else:
                self._lose(self._held)
        return out + self._taken()

    def _read(self, text: str, *, final: bool) -> str:
        text, self._held = self._held + text, ""
        position = 0
        try:
            while position < len(text) and not self.ended and not self.lost:
                moved = self._next(text, position, final=final)
                if moved is None:
                    if len(text) - position > MOST_HELD:
                        raise _LostError
                    self._held, text = text[position:], text[:position]
                    break
                position = moved
        except _LostError:
            self._lose(text[position:])
        else:
            if self.ended:
                self.rest += text[position:]
            elif self.lost:
                self._out.append(text[position:])
        return self._taken()

    def _taken(self) -> str:
        out = "".join(self._out)
        self._out.clear()
        return out

    def _lose(self, text: str) -> None:
        """From here on everything passes as it came."""
        self._out += self._comma
        self._out.append(text)
        self._comma.clear()
        self._held = ""
        self.lost = True

    def _next(self, text: str, position: int, *, final: bool) -> int | None:
        """Read what stands at `position`. Gives where it ends, or None where more is needed to tell what it is."""
        if self._comment:
            return self._skip(text, position)
        if self._quote:
            return self._string(text, position)
        blank = _BLANK.match(text, position)
        if blank is not None:
            self._blank(blank[0])
            return blank.end()
        char = text[position]
        match char:
            case "/" | "#":
                return self._begin_comment(text, position)
            case "`":
                return self._fence(text, position)
            case "}" | "]":
                self._closer(char)
            case "," if self._expected == "next":
                self._comma.append(",")
                self._expected = "key" if self._stack[-1] == "}" else "value"
            case ":" if self._expected == "colon":
                self._put(":")
                self._expected = "value"
            case "{" | "[" if self._expected == "value":
                self._open(char)
            case '"' | "'" if self._expected in ("value", "key"):
                self._put('"')
                self._quote = char
                if char == "'":
                    self.faults["single_quotes"] += 1
            case _:
                return self._word(text, position, final=final)
        return position + 1

    def _put(self, text: str) -> None:
        """Write a piece of the value, behind the comma that waited for it."""
        self._out += self._comma
        self._out.append(text)
        self._comma.clear()
        self._empty = False

    def _blank(self, text: str) -> None:
        if not self._comma:
            self._out.append(text)
            return
        self._comma.append(text)
        if len(self._comma) > _MOST_BLANKS:
            self._comma[:] = ["".join(self._comma)]
        if sum(map(len, self._comma)) > MOST_HELD:
            self._out += self._comma
            self._comma.clear()
            raise _LostError

    def _open(self, char: str) -> None:
        if len(self._stack) == _DEEPEST:
            raise _LostError
        self._put(char)
        self._stack.append(_CLOSERS[char])
        self._expected, self._empty = "key" if char == "{" else "value", True

    def _can_close(self) -> bool:
        """Whether nothing but brackets may be missing."""
        return not self._quote and (self._expected == "next" or self._empty or bool(self._comma))

    def _closer(self, char: str) -> None:
        if not self._can_close() or char not in self._stack:
            raise _LostError
        self._drop_comma()
        while self._stack[-1] != char:
            self._out.append(self._stack.pop())
            self.faults["missing_bracket"] += 1
        self._out.append(self._stack.pop())
        self._expected, self._empty = "next", False
        self.ended = not self._stack

    def _close(self) -> None:
        """Close all that is open."""
        self._drop_comma()
        self.faults["missing_bracket"] += len(self._stack)
        self._out += reversed(self._stack)
        self._stack.clear()
        self.ended = True

    def _drop_comma(self) -> None:
        if self._comma:
            self.faults["trailing_comma"] += 1
            self._out.append("".join(self._comma).removeprefix(","))
            self._comma.clear()

    def _fence(self, text: str, position: int) -> int | None:
        """The end of a code fence ends the value, too."""
        if not text.startswith(_FENCE, position):
            if _FENCE.startswith(text[position:]):
                return None
            raise _LostError
        if not self._can_close():
            raise _LostError
        self._close()
        return position

    def _begin_comment(self, text: str, position: int) -> int | None:
        if text[position] == "#":
            self._comment = "\n"
        elif position + 1 == len(text):
            return None
        elif text[position + 1] in "/*":
            self._comment = "\n" if text[position + 1] == "/" else "*/"
        else:
            raise _LostError
        self.faults["comment"] += 1
        return position + (1 if text[position] == "#" else 2)

    def _skip(self, text: str, position: int) -> int | None:
        """Leave out more of a comment."""
        end = text.find(self._comment, position)
        if end >= 0:
            # The end of a line is a blank, which stays.
            end += len(self._comment) if self._comment == "*/" else 0
            self._comment = ""
            return end
        if self._comment == "*/" and text.endswith("*"):
            return len(text) - 1 if len(text) - 1 > position else None
        return len(text)

    def _word(self, text: str, position: int, *, final: bool) -> int | None:
        """A number, a literal, or a key without quotes."""
        match = _WORD.match(text, position)
        if match is None or self._expected not in ("value", "key"):
            raise _LostError
        if match.end() == len(text) and not final:
            return None
        word = match[0]
        if self._expected == "key":
            if _KEY.fullmatch(word) is None:
                raise _LostError
            self._put(f'"{word}"')
            self.faults["unquoted_key"] += 1
            self._expected = "colon"
            return match.end()
        literal = word if len(word) <= MOST_HELD and _NUMBER.fullmatch(word) else LITERALS.get(word)
        if literal is None:
            raise _LostError
        if literal != word:
            self.faults["python_literal"] += 1
        self._put(literal)
        self._expected = "next"
        return match.end()

    def _string(self, text: str, position: int) -> int | None:
        """More of the string that is open."""
        special = _SPECIAL[self._quote].search(text, position)
        if special is None or special.start() > position:
            end = len(text) if special is None else special.start()
            self._out.append(text[position:end])
            return end
        char = special[0]
        if char == "\\":
            return self._escape(text, position)
        if char == self._quote:
            self._out.append('"')
            self._quote = ""
            self._expected = "colon" if self._expected == "key" else "next"
        elif char == '"':
            self._out.append('\\"')
        else:
            self.faults["control_character"] += 1
            self._out.append(_CONTROLS.get(char, f"\\u{ord(char):04x}"))
        return position + 1

    def _escape(self, text: str, position: int) -> int | None:
        escaped = text[position + 1 : position + 2]
        if (escaped == "x" and len(text) < position + 4) or not escaped:
            return None
        if escaped in _ESCAPES:
            self._out.append(text[position : position + 2])
            return position + 2
        # Python and JavaScript write these, JSON does not.
        digits = _HEX.match(text, position + 2) if escaped == "x" else None
        if digits is None and escaped != "'":
            raise _LostError
        self.faults["escape"] += 1
        self._out.append("'" if digits is None else f"\\u00{digits[0]}")
        return position + (2 if digits is None else 4)
