"""Frames of `application/vnd.amazon.eventstream`, written."""

from __future__ import annotations

import json
import struct
from typing import Any
from zlib import crc32


def frame(kind: str, event: Any, *, exception: bool = False, headers: dict[str, str] | None = None) -> bytes:
    """One frame with an event, or an exception, of the type `kind`; `headers` stand for the usual ones."""
    if headers is None:
        name = "exception" if exception else "event"
        headers = {f":{name}-type": kind, ":content-type": "application/json", ":message-type": name}
    payload = b"" if event is None else json.dumps(event).encode()
    head = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    body = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return body + struct.pack(">I", crc32(body))
