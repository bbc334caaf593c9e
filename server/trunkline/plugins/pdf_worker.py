"""Reads the text of one PDF, in a process of its own: what it is fed may be made to break or to stall whoever reads it.

`python -m trunkline.plugins.pdf_worker PAGES CHARACTERS MEMORY SECONDS` reads the file from its standard input, and
writes one JSON object: `text`, `pages` and `read`, how many of them are in the text; or `error`, why there is none.
"""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import Any

from pypdf import PasswordType, PdfReader


def read(data: bytes, most_pages: int, most_characters: int) -> dict[str, Any]:
    """The text of a PDF, as far as the bounds allow."""
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
            return {"error": "encrypted"}
        count = len(reader.pages)
        texts: list[str] = []
        left = most_characters
        for page in reader.pages[:most_pages]:
            if left <= 0:
                break
            text = page.extract_text().strip()[:left]
            left -= len(text) + 2
            texts.append(text)
    except MemoryError:
        return {"error": "too_large"}
    except Exception:  # noqa: BLE001 - a hostile file can make the library raise anything
        return {"error": "unreadable"}
    return {"text": "\n\n".join(text for text in texts if text), "pages": count, "read": len(texts)}


def _confine(memory: int, seconds: int) -> None:
    """Take from this process what it does not need, so that a file cannot make it use more."""
    if sys.platform == "win32":
        return
    import resource

    bounds = [(resource.RLIMIT_CPU, seconds), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)]
    if sys.platform == "linux":  # elsewhere it is refused, or means something else
        bounds.append((resource.RLIMIT_AS, memory))
    for what, most in bounds:
        _, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(what, (most, most))


def main() -> None:
    """Read one file."""
    pages, characters, memory, seconds = map(int, sys.argv[1:5])
    logging.disable()
    _confine(memory, seconds)
    told = read(sys.stdin.buffer.read(), pages, characters)
    sys.stdout.buffer.write(json.dumps(told, ensure_ascii=False).encode("utf-8", "replace"))


if __name__ == "__main__":
    main()
