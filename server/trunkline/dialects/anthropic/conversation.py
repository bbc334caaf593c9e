"""The turns of a conversation, as the API wants them: instructions apart, users and assistants in alternation."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

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


class _Turn(msgspec.Struct, eq=False):
    """A message of the API that is being put together, from one or several of the contract's."""

    role: str
    message: dict[str, Json]
    blocks: list[Json]
    results: list[Json] | None = None
    server_tool_last: bool = False


class Conversation:
    """Puts the messages of a request into turns.

    Instructions that begin a conversation go to `system`. Later ones stay where they are as far as the model takes
    system messages between turns, which must be behind a user's turn and in front of the assistant's; elsewhere they
    join the first, and that is noted.
    """

    def __init__(self, to: Writing) -> None:
        self._to = to
        self._system: list[Json] = []
        self._turns: list[_Turn] = []
        self._waiting: list[tuple[str, Message, list[Json]]] = []
        self._unnamed: defaultdict[str, deque[str]] = defaultdict(deque)

    def add(self, turn: Turn, number: int) -> None:
        """Take the next message, the one of this `number`."""
        message, role, _, _, text = turn
        if not text and message.name:
            self._to.lose(f"messages[{number}].name")
        if role == content_pb2.ROLE_ASSISTANT:
            if self._waiting:
                self._place()
            self._append("assistant", turn, number)
        elif role in _INSTRUCTIONS:
            path = f"messages[{number}]"
            blocks = self._instructions(turn, path)
            if self._turns or self._waiting:
                self._waiting.append((path, message, blocks))
            else:
                self._system.extend(blocks)
        else:
            self._append("user", turn, number)

    def write(self, wire: dict[str, Json]) -> None:
        """Write `system` and `messages`."""
        self._place()
        if not self._turns and self._system:
            # Instructions alone: the API answers a user.
            self._extend("user", self._system)
            self._system = []
            self._to.lose("messages[0].role", LossKind.APPROXIMATED)
        if self._system:
            wire["system"] = plain(self._system)
        messages: list[Json] = []
        for turn in self._turns:
            turn.message["content"] = plain(turn.blocks if turn.results is None else turn.results + turn.blocks)
            messages.append(turn.message)
        if messages and self._turns[-1].role == "assistant":
            _trim(messages)
        wire["messages"] = messages

    def _instructions(self, turn: Turn, path: str) -> list[Json]:
        _, _, parts, kinds, _ = turn
        for kind in kinds:
            if kind != "text" and kind != "opaque":
                raise unsupported(f"`{path}` holds more than text, which instructions to this target cannot.", path)
        return self._blocks(parts, kinds, path)[1]

    def _append(self, role: str, said: Turn, number: int) -> None:
        message, _, parts, kinds, text = said
        if text and not text.isspace() and not parts[0].citations:
            self._extend(role, [{"type": "text", "text": text}]).server_tool_last = False
            return
        results, blocks = self._blocks(parts, kinds, f"messages[{number}]")
        if not blocks and not results:
            return
        turn = self._extend(role, blocks)
        if results:
            # They come first in their turn, whatever stands beside them.
            turn.results = results if turn.results is None else turn.results + results
        turn.server_tool_last = role == "assistant" and kinds[-1] == "opaque"
        if message.extras:
            restore(turn.message, message.extras, DIALECT)

    def _extend(self, role: str, blocks: list[Json]) -> _Turn:
        """Add `blocks` to the last turn, or to a new one."""
        last = self._turns[-1] if self._turns else None
        if last is not None and last.role == role:
            last.blocks += blocks
            return last
        turn = _Turn(role, {"role": role, "content": None}, blocks)
        self._turns.append(turn)
        return turn

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
        last = self._turns[-1] if self._turns else None
        legal = last is not None and (last.role == "user" or (last.role == "assistant" and last.server_tool_last))
        if legal and self._to.profile.system_turns:
            turn = self._extend("system", [])
            for _, message, blocks in waiting:
                turn.blocks.extend(blocks)
                restore(turn.message, message.extras, DIALECT)
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


def _trim(messages: list[Json]) -> None:
    """Take the white space from the end of an answer that the model is to go on with: the API refuses it."""
    message = messages[-1]
    content = message["content"]
    if type(content) is str:
        message["content"] = content.rstrip()
    elif type(content[-1]) is dict and content[-1]["type"] == "text":
        content[-1] = {**content[-1], "text": content[-1]["text"].rstrip()}
