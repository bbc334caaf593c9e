"""The turns of a conversation, as Converse wants them: instructions apart, users and assistants in alternation."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from trunkline.call import LossKind
from trunkline.dialects.bedrock.content import (
    cache_block,
    decode_blocks,
    encode_part,
)
from trunkline.dialects.bedrock.dialect import DIALECT
from trunkline.dialects.bedrock.profile import Writing
from trunkline.dialects.ids import made_id
from trunkline.dialects.turn import Kind, Turn
from trunkline.dialects.wire import Json, Object, restore
from trunkline.errors import invalid_request, unsupported
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import Message, Part, Role

ROLES: Final[dict[str, Role.ValueType]] = {
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
    "system": content_pb2.ROLE_SYSTEM,
}

_INSTRUCTIONS: Final = (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER)

_ID: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
"""What the API takes as the id of a tool call."""

_FILLER: Final = "."
"""What stands where the API demands a text and the caller gave none."""


def decode_system(wire: Object, request: ChatRequest) -> None:
    """Read the instructions as the first message."""
    if not wire.fields.get("system"):
        wire.take("system")
        return
    message = request.messages.add(role=content_pb2.ROLE_SYSTEM)
    decode_blocks(wire, "system", message.parts, content_pb2.ROLE_SYSTEM)


def decode_turn(wire: Object, messages: Any) -> None:
    """Read one message into `messages`, a repeated field: two where it holds tool results and more."""
    word = wire.need_str("role")
    role = ROLES.get(word)
    if role is None:
        raise invalid_request(
            f"`{wire.at('role')}` must be one of {', '.join(f'`{name}`' for name in ROLES)}, not `{word[:64]}`.",
            wire.at("role"),
        )
    message = messages.add()
    message.role = role
    if wire.fields.get("content") is None:
        raise invalid_request(f"`{wire.at('content')}` is required.", wire.at("content"))
    decode_blocks(wire, "content", message.parts, role)
    if wire.fields:
        wire.keep(message.extras, DIALECT)
    if role != content_pb2.ROLE_USER:
        return
    parts = message.parts[:]
    rest = [part for part in parts if not part.HasField("tool_result")]
    if len(rest) == len(parts):
        return
    message.role = content_pb2.ROLE_TOOL
    if rest:
        results = [part for part in parts if part.HasField("tool_result")]
        del message.parts[:]
        message.parts.extend(results)
        messages.add(role=content_pb2.ROLE_USER).parts.extend(rest)


class Conversation:
    """Puts the messages of a request into turns.

    Instructions that begin a conversation go to `system`. Later ones stay where they are as far as the model takes
    system messages between turns, which must be behind a user's turn and in front of the assistant's; elsewhere they
    join the first, and that is noted. A model that takes none is told them by the user.
    """

    def __init__(self, to: Writing) -> None:
        self._to = to
        self._system: list[Json] = []
        self._messages: list[dict[str, Json]] = []
        self._results = 0
        """How many results of tools the last of them begins with, the marks behind them included."""
        self._waiting: list[tuple[str, Message, list[Json]]] = []
        self._unnamed: defaultdict[str, deque[str]] = defaultdict(deque)
        self.tools: dict[str, None] = {}
        """The names of the tools that were called, in order."""

    def add(self, turn: Turn, number: int) -> None:
        """Take the next message, the one of this `number`."""
        message, role, parts, kinds, text = turn
        if not text and message.name:
            self._to.lose(f"messages[{number}].name")
        if role in _INSTRUCTIONS:
            path = f"messages[{number}]"
            blocks = self._instructions(turn, path)
            if self._messages or self._waiting:
                self._waiting.append((path, message, blocks))
            else:
                self._system.extend(blocks)
            return
        name = "user"
        if role == content_pb2.ROLE_ASSISTANT:
            name = "assistant"
            if self._waiting:
                self._place()
        if text and not text.isspace():
            self._turn(name)["content"].append({"text": text})
            return
        results, blocks = self._blocks(parts, kinds, f"messages[{number}]")
        if blocks or results:
            wire = self._append(name, results, blocks)
            if message.extras:
                restore(wire, message.extras, DIALECT)

    def write(self, wire: dict[str, Json]) -> None:
        """Write `system` and `messages`."""
        self._place()
        messages = self._messages
        if not messages and self._system:
            # Instructions alone: the API answers a user.
            self._append("user", [], self._system)
            self._system = []
            self._to.lose("messages[0].role", LossKind.APPROXIMATED)
        elif messages and messages[0]["role"] == "assistant":
            # A conversation must begin with the user.
            messages.insert(0, {"role": "user", "content": [{"text": _FILLER}]})
            self._to.lose("messages[0].role", LossKind.APPROXIMATED)
        if self._system and not self._to.profile.system:
            first = messages[0]["content"]
            behind = next((at for at, block in enumerate(first) if not _is_result(block)), len(first))
            first[behind:behind] = [block for block in self._system if type(block) is dict and "text" in block]
            self._system = []
            self._to.lose("messages[0].role", LossKind.APPROXIMATED)
        if self._system:
            wire["system"] = self._system
        for message in messages if self._to.documents else ():
            blocks = message["content"]
            if _has(blocks, "document") and not _has(blocks, "text"):
                # The API takes no document without a text.
                blocks.append({"text": _FILLER})
        if messages and messages[-1]["role"] == "assistant":
            _trim(messages[-1]["content"])
        wire["messages"] = messages

    def _instructions(self, turn: Turn, path: str) -> list[Json]:
        _, _, parts, kinds, _ = turn
        for kind in kinds:
            if kind != "text" and kind != "opaque":
                raise unsupported(f"`{path}` holds more than text, which instructions to this target cannot.", path)
        return self._blocks(parts, kinds, path)[1]

    def _append(self, role: str, results: list[Json], blocks: list[Json]) -> dict[str, Json]:
        """Add to the last message, or to a new one, and give it. Results come first in theirs, whatever stands beside
        them."""
        turn = self._turn(role)
        content = turn["content"]
        content += blocks
        if results:
            content[self._results : self._results] = results
            self._results += len(results)
        return turn

    def _turn(self, role: str) -> dict[str, Json]:
        """The last message where it is of this role, else a new one."""
        messages = self._messages
        if not messages or messages[-1]["role"] != role:
            messages.append({"role": role, "content": []})
            self._results = 0
        return messages[-1]

    def _blocks(self, parts: Sequence[Part], kinds: Sequence[Kind], path: str) -> tuple[list[Json], list[Json]]:
        """The tool results of a message, and its other blocks; each with the mark that stands behind it."""
        results: list[Json] = []
        blocks: list[Json] = []
        for index, part in enumerate(parts):
            kind = kinds[index]
            block = encode_part(part, kind, self._to, path)
            place = results if kind == "tool_result" else blocks
            if block is not None:
                if kind == "tool_result":
                    inner, name = block["toolResult"], part.tool_result.name
                    inner["toolUseId"] = _legal(inner["toolUseId"]) if inner["toolUseId"] else self._result_id(name)
                    if name:
                        self.tools.setdefault(name)
                elif kind == "tool_call":
                    inner = block["toolUse"]
                    given, name = inner["toolUseId"], inner["name"]
                    inner["toolUseId"] = _legal(given) if given else self._call_id(name, path, len(blocks))
                    self.tools.setdefault(name)
                place.append(block)
            mark = cache_block(part, kind, self._to) if kind == "tool_result" or part.HasField("cache") else None
            # What marks a blank text marks what is in front of it.
            if mark is not None and place and (block is not None or place[-1] != mark):
                place.append(mark)
        return results, blocks

    def _call_id(self, name: str, path: str, place: int) -> str:
        """An id for a call that has none."""
        made = made_id("tooluse_", f"{path}/{place}")
        self._unnamed[name].append(made)
        return made

    def _result_id(self, name: str) -> str:
        """The id of the call that a result without one is for."""
        calls = self._unnamed[name]
        return calls.popleft() if calls else made_id("tooluse_", name)

    def _place(self) -> None:
        """Put the instructions that wait behind the last turn, or to the first ones."""
        waiting, self._waiting = self._waiting, []
        if not any(blocks for _, _, blocks in waiting):
            return
        claude = self._to.profile.claude
        if claude is not None and claude.system_turns and self._messages and self._messages[-1]["role"] == "user":
            for _, message, blocks in waiting:
                restore(self._append("system", [], blocks), message.extras, DIALECT)
            return
        for path, _, blocks in waiting:
            self._system.extend(blocks)
            self._to.lose(path, LossKind.APPROXIMATED)


def _legal(name: str) -> str:
    """The id itself where the API takes it, else another that is always the same for it."""
    return name if len(name) <= 64 and _is_legal(name) else made_id("tooluse_", name)


@lru_cache(maxsize=4096)
def _is_legal(name: str) -> bool:
    # Remembered, as each request of a conversation has the ids of the one before.
    return _ID.fullmatch(name) is not None


def _is_result(block: Json) -> bool:
    return type(block) is dict and ("toolResult" in block or "cachePoint" in block)


def _has(blocks: list[Json], kind: str) -> bool:
    return any(type(block) is dict and kind in block for block in blocks)


def _trim(blocks: list[Json]) -> None:
    """Take the white space from the end of an answer that the model is to go on with: the API refuses it."""
    last = blocks[-1]
    if type(last) is dict and "text" in last:
        blocks[-1] = {**last, "text": last["text"].rstrip()}
