"""A response as TokenRouter streams it: six events of its own.

https://docs.tokenrouter.io/responses-api/streaming has them; a call of a tool, of which it says nothing there, is told
as the part of the content that it is in a whole response.
"""

from __future__ import annotations

from typing import Final

from trunkline.call import Call
from trunkline.dialects.wire import Json, dumps
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent
from trunkline.web.responses.frames import Frames
from trunkline.web.responses.turn import Turn
from trunkline.web.skins.table import skin_of

_TEXTS: Final = frozenset({"text", "refusal"})
_COUNTS: Final = ("input_tokens", "output_tokens", "total_tokens")

_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
"""Items that call a tool, and what of them is its arguments."""

_BETA: Final = "openai-beta"
_OPENAI: Final = "responses=v1"
"""By which a client of OpenAI's asks for the events that it knows (https://tokenrouter.io/docs)."""


def has_own_events(call: Call) -> bool:
    """Whether the call is streamed as TokenRouter does it."""
    return skin_of(call).name == "tokenrouter" and _OPENAI not in call.headers.get(_BETA, "")


class RouterFrames(Frames):
    """Writes `metadata`, `message.start`, `content.delta`..., `usage`, `message.end` and `done`. Of several choices the
    first is told."""

    def __init__(self, turn: Turn, call: Call) -> None:
        super().__init__(turn, call)
        self._id = turn.id
        self._begun = False
        self._texts: set[int] = set()

    def feed(self, event: ChatEvent) -> bytes:
        """See `Writer.feed`."""
        super().feed(event)
        told = self._begin()
        match event.WhichOneof("event"):
            case "part_start" if not event.part_start.choice:
                start = event.part_start
                if start.part.WhichOneof("kind") in _TEXTS:
                    self._texts.add(start.index)
                    told += _text(start.part.text or start.part.refusal)
            case "part_delta" if not event.part_delta.choice and event.part_delta.index in self._texts:
                told += _text(event.part_delta.text)
        return told

    def end(self) -> bytes:
        """See `Writer.end`."""
        super().end()
        body = self.body
        told = [self._begin()]
        told += [_framed("content.delta", {"delta": call}) for call in _calls(body)]
        usage = body.get("usage")
        if usage:
            told.append(_framed("usage", {name: usage[name] for name in _COUNTS}))
        ended: dict[str, Json] = {"type": "message_end"}
        if body["status"] != "completed":
            # Without it an answer that was cut at its limit would look whole.
            ended |= {"status": body["status"], "incomplete_details": body.get("incomplete_details")}
        return b"".join([*told, _framed("message.end", ended), _framed("done", None)])

    def error(self, error: GatewayError) -> bytes:
        """See `Writer.error`."""
        super().error(error)
        return b"event: error\n%b" % (skin_of(self.call).broken(error, self.call, {}) or b"")

    def _begin(self) -> bytes:
        """The first two events, unless they were written."""
        if self._begun:
            return b""
        self._begun = True
        call = self.call
        metadata: dict[str, Json] = {
            "provider": call.provider,
            "model": self.so_far("in_progress")["model"],
            "routing_mode": call.routing_mode or "direct",
            "id": self._id,
            "request_id": call.id,
        }
        return _framed("metadata", metadata) + _framed("message.start", {"type": "message", "role": "assistant"})


def _calls(body: dict[str, Json]) -> list[dict[str, Json]]:
    """The calls of tools of a whole response."""
    return [
        {
            "type": "tool_call",
            "id": item["call_id"],
            "function": {"name": item["name"], "arguments": item[_CALLS[item["type"]]]},
        }
        for item in body["output"]
        if item["type"] in _CALLS
    ]


def _text(text: str) -> bytes:
    return _framed("content.delta", {"delta": {"text": text}}) if text else b""


def _framed(kind: str, data: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), dumps(data))
