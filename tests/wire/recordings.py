"""The recorded exchanges, as the tests read them."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

_ROOT = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Recording:
    """One exchange. `request` is the text of its body in JSON, None where only the answer was kept; `path` is where it
    went."""

    id: str
    tags: frozenset[str]
    request: bytes | None
    status: int
    headers: dict[str, str]
    body: bytes
    """The answer's body: a stream as it was framed, everything else as it is."""
    is_stream: bool
    path: str = ""

    @property
    def is_answer(self) -> bool:
        """Whether it is a whole answer, neither a stream nor an error."""
        return self.status == 200 and not self.is_stream and b'"choices"' in self.body

    @property
    def is_error(self) -> bool:
        """Whether the call failed as a whole."""
        return self.status != 200


@cache
def recordings() -> tuple[Recording, ...]:
    """Every recording, in order of id."""
    return tuple(_read(path) for path in sorted(_ROOT.glob("*/*/*.json")))


def recording(case: str) -> Recording:
    """One recording, by its id such as `openai/chat/name`."""
    return _read(_ROOT / f"{case}.json")


@cache
def chats() -> tuple[Recording, ...]:
    """Those of OpenAI's Chat Completions, by whichever provider."""
    return tuple(one for one in recordings() if one.id.split("/")[1] in ("chat", "openai-chat"))


def each_chat(wanted: Callable[[Recording], Any]) -> pytest.MarkDecorator:
    """Run a test, which takes `recording`, once for each of the `chats` that is `wanted`."""
    chosen = [pytest.param(one, id=one.id) for one in chats() if wanted(one)]
    return pytest.mark.parametrize("recording", chosen)


def _read(path: Path) -> Recording:
    case = msgspec.json.decode(path.read_bytes())
    request, response = case["request"], case["response"]
    body = response.get("sse", response.get("text"))
    return Recording(
        id=str(path.relative_to(_ROOT).with_suffix("")),
        tags=frozenset(case["tags"]),
        request=None if request is None or request.get("body") is None else msgspec.json.encode(request["body"]),
        status=response["status"],
        headers=response.get("headers") or {},
        body=_body(response) if body is None else body.encode(),
        is_stream="sse" in response or "eventstream_base64" in response,
        path="" if request is None else request.get("path", ""),
    )


def _body(response: dict[str, Any]) -> bytes:
    frames = response.get("eventstream_base64")
    return msgspec.json.encode(response["body"]) if frames is None else b64decode(frames)
