"""A conversation with a model: what was said so far, and how the next answer is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse
from trunkline.v1.content_pb2 import ROLE_SYSTEM, ROLE_USER, Message, Part, Role


@dataclass(slots=True)
class Conversation:
    """What was said so far. Unset options are left to the provider."""

    model: str
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    effort: str = ""
    messages: list[Message] = field(default_factory=list)

    def ask(self, text: str) -> ChatRequest:
        """The request that says `text` next; the conversation itself is not changed before `answered`."""
        request = ChatRequest(model=self.model)
        if self.system:
            request.messages.append(_message(ROLE_SYSTEM, self.system))
        request.messages.extend(self.messages)
        request.messages.append(_message(ROLE_USER, text))
        if self.temperature is not None:
            request.sampling.temperature = self.temperature
        if self.max_tokens is not None:
            request.max_output_tokens = self.max_tokens
        if self.effort:
            request.reasoning.effort = self.effort
        return request

    def answered(self, text: str, response: ChatResponse) -> None:
        """`text` was said, and `response` came back, whole or stopped half-way. One that says nothing is forgotten."""
        if not response.choices:
            return
        choice = response.choices[0]
        kept = _WHOLE if choice.HasField("finish") else _STOPPED
        spoken = Message()
        spoken.CopyFrom(choice.message)
        del spoken.parts[:]
        spoken.parts.extend(part for part in choice.message.parts if part.WhichOneof("kind") in kept)
        if spoken.parts:
            self.messages.append(_message(ROLE_USER, text))
            self.messages.append(spoken)

    def reset(self) -> None:
        """Forget what was said; the model and the options stay."""
        self.messages.clear()


_WHOLE = frozenset({"text", "refusal", "reasoning", "media"})
"""The kinds of part of a whole answer that are sent back. A tool call is not: no one here answers it."""

_STOPPED = frozenset({"text"})
"""As `_WHOLE`, of an answer that was stopped: reasoning without its end lacks the signature that it may need."""


def _message(role: Role.ValueType, text: str) -> Message:
    return Message(role=role, parts=[Part(text=text)])
