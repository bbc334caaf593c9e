"""The links in an answer to what was found for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from trunkline.plugins.search_engine import Result
from trunkline.v1.content_pb2 import Citation

_ADDRESS: Final = re.compile(r"https?://[^\s<>\"`]{1,2048}")
_AFTER: Final = ".,;:!?'*_]}>|"
"""What may stand right behind an address in a sentence."""
_MOST_LINKS: Final = 10_000
"""The most addresses that are looked at."""
_LABEL: Final = re.compile(r"\[[^\[\]\n]{0,512}\]\(\Z")
_LONGEST_LABEL: Final = 515


def by_address(results: Iterable[Result]) -> dict[str, Result]:
    """The results, each by the form of its address that links are compared in."""
    return {_form(result.uri): result for result in results}


def citations(text: str, results: Mapping[str, Result]) -> list[Citation]:
    """A citation for each link to one of `results`, in order. A markdown link counts with its label."""
    found: list[Citation] = []
    position = 0
    for _ in range(_MOST_LINKS):
        match = _ADDRESS.search(text, position)
        if match is None:
            break
        start = match.start()
        position = end = start + _length(match[0])
        result = results.get(_form(text[start:end]))
        if result is None:
            continue
        label = _LABEL.search(text[max(0, start - _LONGEST_LABEL) : start])
        if label is not None and text[end : end + 1] == ")":
            start, end = start - len(label[0]), end + 1
        found.append(
            Citation(uri=result.uri, title=result.title, cited_text=result.text, start_index=start, end_index=end)
        )
    return found


def _length(address: str) -> int:
    """How much of what looks like an address is one: it ends before a bracket that it did not open, and before what
    ends a sentence."""
    depth = 0
    for place, char in enumerate(address):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth < 0:
                address = address[:place]
                break
    return len(address.rstrip(_AFTER))


def _form(address: str) -> str:
    """An address without what does not change where it leads."""
    return address.partition("#")[0].rstrip("/")
