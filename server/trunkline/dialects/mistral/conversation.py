"""The messages of a request, in the order and with the fields that Mistral takes.

The order is that of its own validator (mistral-common, `MistralRequestValidator`), and of what its API refuses: 400
`invalid_request_message_order` (3230) for a user's message behind the result of a tool, 422 `extra_forbidden` for a
field that it does not know.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final

from trunkline.call import LossKind
from trunkline.dialects.ids import made_id
from trunkline.dialects.mistral.ids import CallIds
from trunkline.dialects.openai.profile import Writing
from trunkline.dialects.wire import Json
from trunkline.errors import unsupported

_KEYS: Final[dict[str, frozenset[str]]] = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "prefix"}),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}
_CALL: Final = frozenset({"id", "type", "function", "index"})

_BRIDGE: Final[dict[str, Json]] = {"role": "assistant", "content": "OK"}
"""What is said between the result of a tool and the user."""


def adapt(messages: list[dict[str, Json]], to: Writing) -> list[Json]:
    """The messages that OpenAI would get, as Mistral takes them; what changes their meaning is named as lost."""
    return _Conversation(messages, to).written()


class _Conversation:
    def __init__(self, messages: list[dict[str, Json]], to: Writing) -> None:
        self._to = to
        self._older: defaultdict[str, deque[str]] = defaultdict(deque)
        self._out: list[dict[str, Json]] = []
        self._attached: list[Json] = []
        for number, message in enumerate(messages):
            self._modernise(message, number)
        self._ids = CallIds(_names(messages))
        for number, message in enumerate(messages):
            self._add(message, f"messages[{number}]")
        self._attach()

    def written(self) -> list[Json]:
        last = self._out[-1] if self._out else {}
        for message in self._out[:-1]:
            message.pop("prefix", None)
        if last.get("role") == "assistant" and not last.get("tool_calls"):
            # Mistral goes on with an assistant's message only where it says that it is to be gone on with.
            last["prefix"] = True
        return list(self._out)

    def _modernise(self, message: dict[str, Json], number: int) -> None:
        """Turn the form that `tool_calls` replaced, in which calls have no ids, into that."""
        call = message.pop("function_call", None)
        if isinstance(call, dict):
            name = made_id("call_", f"{number}/{call.get('name')}")
            self._older[str(call.get("name"))].append(name)
            message.setdefault("tool_calls", []).append({"id": name, "type": "function", "function": call})
        if message["role"] == "function":
            waiting = self._older[str(message.get("name"))]
            message["role"] = "tool"
            message["tool_call_id"] = waiting.popleft() if waiting else made_id("call_", str(message.get("name")))

    def _add(self, message: dict[str, Json], path: str) -> None:
        role = message["role"]
        if role == "assistant":
            self._refusal(message, path)
        self._strip(message, _KEYS[role], path)
        content = message.get("content")
        if isinstance(content, list):
            message["content"] = [_part(part, path) for part in content]
        if role == "tool":
            message["tool_call_id"] = self._ids.of(message["tool_call_id"])
            self._detach(message, path)
            self._out.append(message)
            return
        for place, call in enumerate(message.get("tool_calls") or ()):
            if "function" not in call:
                raise unsupported(f"`{path}.tool_calls[{place}]` calls a tool that is no function.", path)
            self._strip(call, _CALL, f"{path}.tool_calls[{place}]")
            call["id"] = self._ids.of(call.get("id") or "")
        self._attach()
        before = self._out[-1]["role"] if self._out else "user"
        if role == "system" and before in ("assistant", "tool"):
            # Instructions stand behind instructions or the user alone.
            message["role"] = role = "user"
            self._to.lose(f"{path}.role", LossKind.APPROXIMATED)
        if role == "user" and before == "tool":
            self._out.append({**_BRIDGE})
            self._to.lose(path, LossKind.EMULATED)
        self._out.append(message)

    def _refusal(self, message: dict[str, Json], path: str) -> None:
        """Say in words what Mistral has no field for."""
        refusal = message.pop("refusal", None)
        if isinstance(refusal, str) and refusal:
            message["content"] = message.get("content") or refusal
            self._to.lose(f"{path}.refusal", LossKind.APPROXIMATED)

    def _strip(self, wire: dict[str, Json], known: frozenset[str], path: str) -> None:
        for key in [key for key in wire if key not in known]:
            if wire.pop(key) not in (None, [], {}, ""):
                self._to.lose(f"{path}.{key}")

    def _detach(self, message: dict[str, Json], path: str) -> None:
        """Take out of the result of a tool what is no text: the user shows it once all results were told."""
        content = message["content"]
        if not isinstance(content, list):
            return
        shown = [part for part in content if part.get("type") not in ("text", "reference")]
        if shown:
            name = message["tool_call_id"]
            self._attached += [{"type": "text", "text": f"Attachments from tool call {name}:"}, *shown]
            self._to.lose(f"{path}.content", LossKind.APPROXIMATED)
            message["content"] = [part for part in content if part not in shown] or "See the attachments below."

    def _attach(self) -> None:
        if self._attached:
            self._out += [{**_BRIDGE}, {"role": "user", "content": self._attached}]
            self._attached = []


def _names(messages: list[dict[str, Json]]) -> list[str]:
    return [call.get("id") or "" for message in messages for call in message.get("tool_calls") or ()]


def _part(part: dict[str, Json], path: str) -> dict[str, Json]:
    """A part of a content in Mistral's form. Raises `GatewayError` (UNSUPPORTED) where it has none."""
    match part.get("type"):
        case "input_audio" if isinstance(part["input_audio"], dict):
            return {"type": "input_audio", "input_audio": part["input_audio"]["data"]}
        case "file" if isinstance(part.get("file"), dict):
            return _document(part["file"])
        case "refusal":
            return {"type": "text", "text": part["refusal"]}
        case "video_url":
            raise unsupported(f"`{path}` holds a video, which Mistral takes none of.", path)
        case _:
            return part


def _document(file: dict[str, Json]) -> dict[str, Json]:
    if "file_id" in file:
        return {"type": "file", "file_id": file["file_id"]}
    wire: dict[str, Json] = {"type": "document_url", "document_url": file["file_data"]}
    if file.get("filename"):
        wire["document_name"] = file["filename"]
    return wire
