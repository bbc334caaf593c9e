"""Where a conversation was answered last: its prompt cache is warm there."""

from __future__ import annotations

import time
from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Usage

_IDLE: Final = 600.0
"""Seconds after which a conversation is forgotten: providers forget prompts after five to ten minutes."""
_MOST: Final = 50_000
"""The most conversations that are remembered."""
_READ: Final = 4096
"""Bytes of a message by which a conversation is known."""


class Affinity:
    """Remembers targets by conversation. A conversation is known by the session that the caller names, or else by its
    instructions and its first message."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._targets: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def recall(self, conversation: bytes) -> str | None:
        """The id of the target that answered last; None where that is too long ago."""
        found = self._targets.get(conversation)
        if found is None or found[1] < time.monotonic():
            return None
        return found[0]

    def note(self, conversation: bytes, target: str) -> None:
        """`target` answered."""
        self._targets[conversation] = target, time.monotonic() + _IDLE
        self._targets.move_to_end(conversation)
        if len(self._targets) > self._most:
            self._targets.popitem(last=False)


def conversation_of(request: ChatRequest, caller: str) -> bytes:
    """What a conversation of `caller` is known by."""
    session = request.routing.session_id if request.HasField("routing") else ""
    digest = blake2b(f"{caller}\0{request.model}\0{session}\0".encode(), digest_size=16)
    if not session:
        for message in request.messages[:8]:
            digest.update(message.SerializeToString(deterministic=True)[:_READ])
            if message.role not in (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER):
                break
    return digest.digest()


def is_warm(request: ChatRequest, usage: Usage | None) -> bool:
    """Whether the target now has the conversation in its cache, as far as it told."""
    if request.routing.session_id:
        return True
    return usage is not None and (usage.cached_input_tokens > 0 or usage.cache_write_input_tokens > 0)
