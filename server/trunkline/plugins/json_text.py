"""The text of an answer that is to be JSON: what stands around the value is left out, and the value is mended."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Set
from typing import Final, Literal

from trunkline.dialects.wire import loads
from trunkline.errors import GatewayError
from trunkline.plugins.mender import LITERALS, MOST_HELD, Fault, Mender

_MOST: Final = 16 * 1024 * 1024
"""The most characters that are held until the value begins, or until the text ends."""

_BRACES: Final = {"object": "{", "array": "["}
_FENCE_BEGIN: Final = re.compile(r"```[\w+\-]{0,32}[ \t]*(?:\r?\n)?")
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_BEGINS: Final = {
    "{": re.compile(r"""\{[ \t\r\n]*(?:["'}]|//|/\*|```|[\w$][\w$\-]*[ \t\r\n]*:)"""),
    "[": re.compile(
        r"""\[[ \t\r\n]*(?:["'{\[\]]|//|/\*|```|-?[0-9]|(?:true|false|null|True|False|None)[ \t\r\n,\]])"""
    ),
}
"""What may follow a bracket, so that not every one in a sentence is taken for the beginning of the value."""
_BEGINS_LAST: Final = re.compile(
    r"(?:\{|\[(?:[ \t\r\n]*(?:true|false|null|True|False|None))?)[ \t\r\n]*\Z|\[[ \t\r\n]*-?[0-9]"
)
"""What may do so where nothing comes any more."""
_MAY_BEGIN: Final = {
    "{": re.compile(r"\{[ \t\r\n]*(?:/?|`{0,2}|[\w$][\w$\-]*[ \t\r\n]*)"),
    "[": re.compile(r"\[[ \t\r\n]*(?:[/\-]?|`{0,2}|[A-Za-z]{1,5})"),
}
"""What more may follow of which."""
_MEMBER: Final = re.compile(r'[ \t\r\n]*"(?:[^"\\]|\\.){0,256}"[ \t\r\n]*:', re.DOTALL)

_State = Literal["start", "search", "hold", "mend", "after", "over", "pass"]
"""Before the value: at the begin of the text or of a fence, within a sentence, or at what is only understood as a
whole. Then within the value, behind it, behind more than it, and where everything passes as it came."""


class JsonText:
    """Takes one text as it comes. `sorts` are the types of JSON that the value may be of.

    What is valid JSON as it stands passes unchanged, whatever its type. `faults` counts what was mended.
    """

    def __init__(self, sorts: Set[str]) -> None:
        self.faults: Counter[Fault] = Counter()
        self._sorts = sorts
        self._braces = "".join(brace for sort, brace in _BRACES.items() if sort in sorts)
        self._brace = re.compile(f"[{re.escape(self._braces)}]" if self._braces else r"(?!)")
        self._state: _State = "start"
        self._mender = Mender()
        self._before: list[str] = []
        """What came before the value, or the whole of what is held."""
        self._size = 0
        self._undecided = ""
        self._after: list[str] = []

    def feed(self, text: str) -> str:
        """What `text` is written as, as far as that can be told."""
        match self._state:
            case "pass":
                return text
            case "mend":
                return self._mend(text)
            case "hold":
                self._hold(text)
                return self._overflow()
            case "start" | "search":
                text, self._undecided = self._undecided + text, ""
                return self._look(text)
            case "after":
                self._behind(text)
        return ""

    def end(self, *, whole: bool) -> str:
        """What is left to tell. Where the text was cut, and so is not `whole`, nothing is completed."""
        state, self._state = self._state, "pass"
        begun = ""
        if whole and _BEGINS_LAST.match(self._undecided):
            begun, state = self._begin() + self._mender.feed(self._undecided), "mend"
        match state:
            case "mend":
                out = self._mender.end(whole=whole)
                self.faults += self._mender.faults
                return begun + out
            case "after":
                return "".join(self._after)
            case "start" | "search" | "hold":
                text = "".join(self._before) + self._undecided
                return self._of_whole(text, searched=state != "hold") if whole else text
        return ""

    def _look(self, text: str) -> str:
        """Look for the beginning of the value."""
        position = 0
        if self._state == "start":
            if self._is_whole(text):
                bare = text.rstrip(" \t\r\n")
                self._state = "after"
                self._behind(text[len(bare) :])
                return bare
            found = self._start(text)
            if found is None:
                self._undecided = text
                return ""
            self._state, position = found
        while self._state == "search" and (brace := self._brace.search(text, position)) is not None:
            position = brace.start()
            begins = _begins(text, position)
            if begins is None:
                self._hold(text[:position])
                self._undecided = text[position:]
                return self._overflow()
            if begins:
                self._state = "mend"
            else:
                position += 1
        if self._state != "mend":
            self._hold(text)
            return self._overflow()
        self._hold(text[:position])
        return self._begin() + self._mend(text[position:])

    def _start(self, text: str) -> tuple[_State, int] | None:
        """How to go on with what the text begins with, and where it stands; None where more is needed to tell."""
        position = _past_blank(text, 0)
        if text.startswith("`", position):
            fence = _FENCE_BEGIN.match(text, position)
            if fence is None and not "```".startswith(text[position:]):
                return "search", 0
            position = len(text) if fence is None else _past_blank(text, fence.end())
        if position > MOST_HELD:
            return "search", 0
        if position == len(text):
            return None
        char = text[position]
        if char == '"' or not self._braces or (char in "{[" and char not in self._braces):
            return "hold", position
        if char not in self._braces:
            return "search", position
        begins = _begins(text, position)
        return None if begins is None else ("mend" if begins else "search", position)

    def _is_whole(self, text: str) -> bool:
        """Whether the text so far is all of a valid value, which most answers are that come at once: the slow way would
        leave it as it is, too."""
        bare = text.strip(" \t\r\n")
        return bare[:1] in self._braces and bare[-1:] in ("}", "]") and _is_json(bare)

    def _begin(self) -> str:
        """Leave out what came before the value, unless it is blank."""
        before = "".join(self._before)
        self._before.clear()
        if not before.strip():
            return before
        fence = _FENCE_BEGIN.search(before)
        if fence is not None:
            self.faults["code_fence"] += 1
        if fence is None or (before[: fence.start()] + before[fence.end() :]).strip():
            self.faults["text_around"] += 1
        return ""

    def _mend(self, text: str) -> str:
        out = self._mender.feed(text)
        if self._mender.lost or self._mender.ended:
            self.faults += self._mender.faults
            self._state = "pass" if self._mender.lost else "after"
            self._behind(self._mender.rest)
        return out

    def _behind(self, text: str) -> None:
        """Leave out what stands behind the value, unless it is blank."""
        self._after.append(text)
        self._size += len(text)
        told = text.lstrip(" \t\r\n")
        if told:
            self.faults["code_fence" if told.startswith("`") else "text_around"] += 1
        if told or self._size > _MOST:
            self._after.clear()
            self._state = "over"

    def _hold(self, text: str) -> None:
        self._before.append(text)
        self._size += len(text)

    def _overflow(self) -> str:
        """Let go of all where it has become too much."""
        if self._size + len(self._undecided) <= _MOST:
            return ""
        self._state = "pass"
        text = "".join(self._before) + self._undecided
        self._before.clear()
        return text

    def _of_whole(self, text: str, *, searched: bool) -> str:
        """What a text is written as that could not be understood before its end."""
        if _is_json(text):
            return text
        bare = text.strip()
        inner = _fenced(text).strip()
        for found in (bare, inner):
            literal = LITERALS.get(found)
            if literal is not None and ("null" if literal == "null" else "boolean") in self._sorts:
                self.faults["python_literal"] += literal != found
                self.faults["code_fence"] += found is inner
                return literal
        if inner and _is_json(inner):
            self.faults["code_fence"] += 1
            return inner
        if self._sorts == {"object"} and _MEMBER.match(text):
            begun = self._mended("{" + text)
            if begun is not None:
                self.faults["missing_bracket"] += 1
                return begun
        if self._braces and not searched:
            within = JsonText(self._sorts)
            within._state = "search"
            out = within.feed(text) + within.end(whole=True)
            if within.faults and not within._mender.lost:
                self.faults += within.faults
                return out
        return text

    def _mended(self, text: str) -> str | None:
        """An object that lacks its first bracket only, mended; None where it is something else."""
        mender = Mender()
        out = mender.feed(text) + mender.end(whole=True)
        if mender.lost or mender.rest.strip():
            return None
        self.faults += mender.faults
        return out


def _begins(text: str, position: int) -> bool | None:
    """Whether the bracket at `position` begins the value; None where more is needed to tell."""
    char, end = text[position], position + MOST_HELD
    if _BEGINS[char].match(text, position, end):
        return True
    return None if end > len(text) and _MAY_BEGIN[char].fullmatch(text, position) else False


def _fenced(text: str) -> str:
    """What stands in the first code fence; empty where there is none."""
    begin = _FENCE_BEGIN.search(text)
    end = -1 if begin is None else text.find("```", begin.end())
    return "" if begin is None or end < 0 else text[begin.end() : end]


def _past_blank(text: str, position: int) -> int:
    """The place of the first character that is no blank."""
    blank = _BLANK.match(text, position)
    return position if blank is None else blank.end()


def _is_json(text: str) -> bool:
    try:
        loads(text)
    except GatewayError:
        return False
    return True
