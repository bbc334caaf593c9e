"""The events of a streamed answer of `POST /v2/chat`."""

from __future__ import annotations

from trunkline.dialects.cohere.errors import decode_error
from trunkline.dialects.cohere.request import DIALECT
from trunkline.dialects.cohere.response import decode_block, decode_citation, decode_finish, decode_usage, plan_part
from trunkline.dialects.event import text_delta
from trunkline.dialects.ids import call_id
from trunkline.dialects.wire import Json, Object, dumps, loads, text_of
from trunkline.errors import provider_failed
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, ChoiceEnd, PartEnd, PartStart
from trunkline.v1.content_pb2 import Citation, Part


class StreamDecoder:
    """Reads the data of the events of one stream. It is whole only at `message-end`.

    A text part ends at `message-end`, not at `content-end`: its citations come later.
    """

    def __init__(self) -> None:
        self._id = ""
        self._parts = 0
        self._plan: int | None = None
        self._content: dict[int, int] = {}
        self._calls: dict[int, int] = {}
        self._texts: list[int] = []
        self._open: set[int] = set()
        self._citations: list[Citation] = []
        self._done = False

    @property
    def done(self) -> bool:
        """Whether `message-end` came."""
        return self._done

    def feed(self, data: bytes) -> list[ChatEvent]:
        """The events of one event. Raises `GatewayError` where it tells of an error, or is no event."""
        if data.strip() == b"[DONE]":
            return []
        wire = loads(data)
        if not isinstance(wire, dict):
            raise provider_failed("An event of the provider's stream is not a JSON object.")
        index = wire.get("index")
        place = index if isinstance(index, int) else 0
        delta = _object(wire, "delta")
        message = _object(delta, "message")
        events: list[ChatEvent] = []
        match wire.get("type"):
            case "message-start":
                ident = wire.get("id")
                self._id = ident if isinstance(ident, str) else ""
                events.append(ChatEvent(start=ChatResponse(id=self._id)))
            case "content-start":
                self._end_plan(events)
                part = Part()
                decode_block(_object(message, "content"), part)
                self._content[place] = self._start(part, events)
            case "content-delta":
                content = _object(message, "content")
                text = content.get("text") or content.get("thinking")
                if isinstance(text, str) and place in self._content:
                    events.append(_delta(self._content[place], text))
            case "tool-plan-delta":
                text = message.get("tool_plan")
                if isinstance(text, str) and text:
                    if self._plan is None:
                        self._plan = self._start(plan_part(""), events)
                    events.append(_delta(self._plan, text))
            case "tool-call-start":
                self._end_plan(events)
                self._call(place, _object(message, "tool_calls"), events)
            case "tool-call-delta":
                text = _object(_object(message, "tool_calls"), "function").get("arguments")
                if isinstance(text, str) and text and place in self._calls:
                    events.append(_delta(self._calls[place], text))
            case "tool-call-end":
                if place in self._calls:
                    self._end(self._calls[place], events)
            case "citation-start":
                self._citations.append(decode_citation(Object(_object(message, "citations"), lenient=True)))
            case "message-end":
                self._finish(delta, events)
            case None:
                raise decode_error(200, {}, data)
            case _:
                # `content-end`, `citation-end`, `debug` and what is newer say nothing that is needed.
                pass
        return events

    def end(self) -> list[ChatEvent]:
        """Nothing: what the end of the stream means was told by `message-end`, or not at all."""
        return []

    def _call(self, place: int, wire: dict[str, Json], events: list[ChatEvent]) -> None:
        function = _object(wire, "function")
        part = Part()
        ident, name, arguments = wire.get("id"), function.get("name"), function.get("arguments")
        part.tool_call.id = ident if isinstance(ident, str) and ident else call_id(self._id, 0, self._parts)
        part.tool_call.name = name if isinstance(name, str) else ""
        part.tool_call.arguments_json = arguments if isinstance(arguments, str) else ""
        self._calls[place] = self._start(part, events)

    def _finish(self, delta: dict[str, Json], events: list[ChatEvent]) -> None:
        error, word = delta.get("error"), delta.get("finish_reason")
        if error or word == "ERROR":
            # The error comes as text, or as an object.
            raise decode_error(200, {}, dumps(error if isinstance(error, dict) else {"message": error or ""}))
        self._done = True
        self._end_plan(events)
        for part in sorted(self._open):
            self._end(part, events)
        usage = delta.pop("usage", None)
        if isinstance(usage, dict):
            events.append(ChatEvent(usage=decode_usage(Object(usage, lenient=True))))
        end = ChoiceEnd(finish=decode_finish(word if isinstance(word, str) else ""))
        rest = {key: value for key, value in delta.items() if key != "finish_reason"}
        if rest:
            end.extras[DIALECT] = text_of(rest)
        events.append(ChatEvent(choice_end=end))

    def _start(self, part: Part, events: list[ChatEvent]) -> int:
        index = self._parts
        self._parts += 1
        self._open.add(index)
        if part.WhichOneof("kind") == "text":
            self._texts.append(index)
        events.append(ChatEvent(part_start=PartStart(index=index, part=part)))
        return index

    def _end(self, index: int, events: list[ChatEvent]) -> None:
        if index not in self._open:
            return
        self._open.discard(index)
        end = PartEnd(index=index)
        if self._citations and self._texts[:1] == [index]:
            end.part.citations.extend(self._citations)
        events.append(ChatEvent(part_end=end))

    def _end_plan(self, events: list[ChatEvent]) -> None:
        if self._plan is not None:
            self._end(self._plan, events)


def _object(wire: dict[str, Json], key: str) -> dict[str, Json]:
    value = wire.get(key)
    return value if isinstance(value, dict) else {}


def _delta(index: int, text: str) -> ChatEvent:
    return text_delta(text, index)
