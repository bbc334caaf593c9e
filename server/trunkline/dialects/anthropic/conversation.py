"""The turns of a conversation, as the API wants them: instructions apart, users and assistants in alternation."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from trunkline.call import LossKind
from trunkline.dialects.anthropic.content import decode_blocks, decode_plain_block, encode_part, plain
from trunkline.dialects.anthropic.dialect import DIALECT
from trunkline.dialects.anthropic.profile import Writing
from trunkline.dialects.ids import made_id
from trunkline.dialects.turn import Kind, Turn
from trunkline.dialects.wire import Json, Object, restore
from trunkline.errors import invalid_request, unsupported
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import Message, Part, Role

_ROLES: Final[dict[str, Role.ValueType]] = {
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
    "system": content_pb2.ROLE_SYSTEM,
}

_INSTRUCTIONS: Final = (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER)

_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,256}")
"""What the API takes as the id of a tool call."""


def decode_system(wire: Object, request: ChatRequest) -> None:
    """Read the instructions, a text or blocks of it, as the first message."""
    if not wire.fields.get("system"):
        wire.take("system")
        return
    message = request.messages.add(role=content_pb2.ROLE_SYSTEM)
    decode_blocks(wire, "system", message.parts)


def decode_plain_turn(fields: dict[str, Json], messages: Any) -> bool:
    """Read a message that holds nothing but a text, or blocks that hold nothing uncommon, as most do, into `messages`,
    a repeated field. Tells whether this was one."""
    word, content = fields.get("role"), fields.get("content")
    role = _ROLES.get(word) if type(word) is str else None
    if role is None or len(fields) != 2:
        return False
    if type(content) is str:
        message = messages.add()
        message.role = role
        message.parts.add().text = content
        return True
    if type(content) is not list:
        return False
    message = messages.add()
    parts = message.parts
    results = 0
    for block in content:
        if type(block) is not dict or not decode_plain_block(block, parts):
            del messages[-1]
            return False
        results += block["type"] == "tool_result"
    if results and role == content_pb2.ROLE_USER:
        if results < len(content):
            del messages[-1]
            return False
        role = content_pb2.ROLE_TOOL
    message.role = role
    return True


def decode_turn(wire: Object, messages: Any) -> None:
    """Read one message into `messages`, a repeated field: two where it holds tool results and more."""
    word = wire.need_str("role")
    role = _ROLES.get(word)
    if role is None:
        raise invalid_request(
            f"`{wire.at('role')}` must be one of {', '.join(f'`{name}`' for name in _ROLES)}, not `{word[:64]}`.",
            wire.at("role"),
        )
    message = messages.add()
    message.role = role
    if wire.fields.get("content") is None:
        raise invalid_request(f"`{wire.at('content')}` is required.", wire.at("content"))
    decode_blocks(wire, "content", message.parts)
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
    join the first, and that is noted.
    """

    def __init__(self, to: Writing) -> None:
        self._to = to
        self._system: list[Json] = []
        self._messages: list[dict[str, Json]] = []
        self._results = 0
        """How many results of tools the last of them begins with."""
        self._server_tool_last = False
        """Whether it ends with a tool that the provider runs."""
        self._waiting: list[tuple[str, Message, list[Json]]] = []
        self._unnamed: defaultdict[str, deque[str]] = defaultdict(deque)

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
            self._append(name, [], [{"type": "text", "text": text}])
            self._server_tool_last = False
            return
        results, blocks = self._blocks(parts, kinds, f"messages[{number}]")
        if blocks or results:
            wire = self._append(name, results, blocks)
            self._server_tool_last = name == "assistant" and kinds[-1] == "opaque"
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
        if self._system:
            wire["system"] = plain(self._system)
        for message in messages:
            message["content"] = plain(message["content"])
        if messages and messages[-1]["role"] == "assistant":
            _trim(messages[-1])
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
        last = self._messages[-1] if self._messages else None
        if last is None or last["role"] != role:
            last = {"role": role, "content": results + blocks if results else blocks}
            self._messages.append(last)
            self._results = len(results)
            return last
        content = last["content"]
        content += blocks
        if results:
            content[self._results : self._results] = results
            self._results += len(results)
        return last

    def _blocks(self, parts: Sequence[Part], kinds: Sequence[Kind], path: str) -> tuple[list[Json], list[Json]]:
        """The tool results of a message, and its other blocks."""
        results: list[Json] = []
        blocks: list[Json] = []
        for index, part in enumerate(parts):
            kind = kinds[index]
            block = encode_part(part, kind, self._to, path)
            if block is None:
                continue
            if kind == "tool_result":
                given = block["tool_use_id"]
                block["tool_use_id"] = _legal(given) if given else self._result_id(part)
                results.append(block)
                continue
            if kind == "tool_call":
                given = block["id"]
                block["id"] = _legal(given) if given else self._call_id(part, path, len(blocks))
            blocks.append(block)
        return results, blocks

    def _call_id(self, part: Part, path: str, place: int) -> str:
        """An id for a call that has none."""
        made = made_id("toolu_", f"{path}/{place}")
        self._unnamed[part.tool_call.name].append(made)
        return made

    def _result_id(self, part: Part) -> str:
        """The id of the call that a result without one is for."""
        name = part.tool_result.name
        calls = self._unnamed[name]
        return calls.popleft() if calls else made_id("toolu_", name)

    def _place(self) -> None:
        """Put the instructions that wait behind the last turn, or to the first ones."""
        waiting, self._waiting = self._waiting, []
        if not any(blocks for _, _, blocks in waiting):
            return
        last = self._messages[-1]["role"] if self._messages else None
        legal = last == "user" or (last == "assistant" and self._server_tool_last)
        if legal and self._to.profile.system_turns:
            for _, message, blocks in waiting:
                restore(self._append("system", [], blocks), message.extras, DIALECT)
            return
        for path, _, blocks in waiting:
            self._system.extend(block for block in blocks if type(block) is dict)
            self._to.lose(path, LossKind.APPROXIMATED)


def _legal(name: str) -> str:
    """The id itself where the API takes it, else another that is always the same for it."""
    return name if len(name) <= 256 and _is_legal(name) else made_id("toolu_", name)


@lru_cache(maxsize=4096)
def _is_legal(name: str) -> bool:
    # Remembered, as each request of a conversation has the ids of the one before.
    return _ID.fullmatch(name) is not None


def _trim(message: dict[str, Json]) -> None:
    """Take the white space from the end of an answer that the model is to go on with: the API refuses it."""
    content = message["content"]
    if type(content) is str:
        message["content"] = content.rstrip()
    elif type(content[-1]) is dict and content[-1]["type"] == "text":
        content[-1] = {**content[-1], "text": content[-1]["text"].rstrip()}
