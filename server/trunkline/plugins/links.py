"""The links in an answer to what was found for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from trunkline.plugins.search_engine import Result
from trunkline.v1.content_pb2 import Citation

_ADDRESS: Final = re.compile(r"https?://[^\s<>\"`]{1,2048}")
_AFTER: Final = frozenset(".,;:!?'*_)]}>|")
"""What may stand right behind an address in a sentence, and in one as well."""
_LABEL: Final = re.compile(r"\[[^\[\]\n]{0,512}\]\(\Z")
_LONGEST_LABEL: Final = 515


def by_address(results: Iterable[Result]) -> dict[str, Result]:
    """The results, each by the form of its address that links are compared in."""
    return {_form(result.uri): result for result in results}


def citations(text: str, results: Mapping[str, Result]) -> list[Citation]:
    """A citation for each link to one of `results`, in order. A markdown link counts with its label."""
    found: list[Citation] = []
    for match in _ADDRESS.finditer(text):
        result, end = _linked(text, match.start(), match.end(), results)
        if result is None:
            continue
        start = match.start()
        label = _LABEL.search(text[max(0, start - _LONGEST_LABEL) : start])
        if label is not None and text[end : end + 1] == ")":
            start, end = start - len(label[0]), end + 1
        found.append(
            Citation(uri=result.uri, title=result.title, cited_text=result.text, start_index=start, end_index=end)
        )
    return found


def _linked(text: str, start: int, end: int, results: Mapping[str, Result]) -> tuple[Result | None, int]:
    """The result that an address leads to, and where the address ends."""
    least = max(start, end - 16)
    while True:
        result = results.get(_form(text[start:end]))
        if result is not None or end <= least or text[end - 1] not in _AFTER:
            break
        end -= 1
    # A label may stand against the next one: `[a](x)[b](y)`.
    if result is None and ")" in text[start:end]:
        cut = text.index(")", start)
        result, end = results.get(_form(text[start:cut])), cut
    return result, end


def _form(address: str) -> str:
    """An address without what does not change where it leads."""
    return address.partition("#")[0].rstrip("/")
