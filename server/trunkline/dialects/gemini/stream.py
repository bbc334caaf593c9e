"""The chunks of a streamed answer."""

from __future__ import annotations

from trunkline.dialects.event import text_delta
from trunkline.dialects.gemini.citations import decode_citations
from trunkline.dialects.gemini.content import decode_part, take_parts
from trunkline.dialects.gemini.errors import decode_error
from trunkline.dialects.gemini.finish import decode_block, decode_finish, is_finish
from trunkline.dialects.gemini.ids import invent
from trunkline.dialects.gemini.logprobs import decode_logprobs
from trunkline.dialects.gemini.names import DIALECT, camel
from trunkline.dialects.gemini.partial import Patch
from trunkline.dialects.gemini.response import decode_head
from trunkline.dialects.gemini.usage import UsageReader
from trunkline.dialects.wire import Json, Object, dumps, loads, text_of
from trunkline.errors import provider_failed
from trunkline.v1.chat_pb2 import (
    ChatEvent,
    ChatResponse,
    ChoiceEnd,
    PartEnd,
    PartStart,
    ResponseEnd,
    Usage,
)
from trunkline.v1.content_pb2 import Citation, Part, Reasoning, TokenLogprob

_HEAD = ("responseId", "modelVersion", "createTime")


class _Candidate:
    """What is known of one candidate of the stream."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.parts = 0
        self.calls = 0
        self.open: int | None = None
        self.kind = ""
        self.texts: dict[int, list[str]] = {}
        self.citations: list[Citation] = []
        self.cited: set[tuple[int, bytes]] = set()
        self.ended: dict[int, PartEnd] = {}
        self.patch: Patch | None = None
        self.finish: Json = None
        self.message_extras: dict[str, Json] = {}
        self.extras: dict[str, Json] = {}


class StreamDecoder:
    """Reads the chunks of one stream.

    Candidates end at `end`, not at their `finishReason`: Google also writes one before the last chunk. Texts in
    successive chunks are one part, unless a signature comes with one of them, which must go back with that text alone.
    """

    def __init__(self) -> None:
        self._started = False
        self._done = False
        self._id = ""
        self._candidates: dict[int, _Candidate] = {}
        self._usage_reader = UsageReader()
        self._usage = Usage()
        self._sent: dict[str, Json] = {}
        self._extras: dict[str, Json] = {}

    @property
    def done(self) -> bool:
        """Whether the server said that nothing follows. Google's own says so by closing the connection."""
        return self._done

    def feed(self, data: bytes) -> list[ChatEvent]:
        """The events of one chunk. Raises `GatewayError` where it holds an error, or is no chunk."""
        if data.strip() == b"[DONE]":
            self._done = True
            return []
        chunk = loads(data)
        events: list[ChatEvent] = []
        for one in chunk if isinstance(chunk, list) else [chunk]:
            if not isinstance(one, dict):
                raise provider_failed("A chunk of the provider's stream is not a JSON object.")
            if one.get("error"):
                raise decode_error(200, {}, dumps(one))
            self._chunk(Object(one, lenient=True), events)
        return events

    def end(self) -> list[ChatEvent]:
        """The events that the end of the stream means: the end of each candidate that its server ended."""
        events: list[ChatEvent] = []
        if self._started and not self._candidates:
            blocked = decode_block(self._extras.get("promptFeedback"))
            if blocked is not None:
                events.append(ChatEvent(choice_end=ChoiceEnd(finish=blocked)))
        whole = bool(self._candidates or events)
        for candidate in self._candidates.values():
            if candidate.finish is None:
                whole = False
                continue
            _close(candidate, events)
            end = ChoiceEnd(choice=candidate.index, finish=decode_finish(candidate.finish, calls=candidate.calls > 0))
            if candidate.extras:
                end.extras[DIALECT] = text_of(candidate.extras)
            if candidate.message_extras:
                end.message_extras[DIALECT] = text_of(candidate.message_extras)
            events.append(ChatEvent(choice_end=end))
        if whole and self._extras != self._sent:
            events.append(ChatEvent(response_end=ResponseEnd(extras={DIALECT: text_of(self._extras)})))
        return events

    def _chunk(self, wire: Object, events: list[ChatEvent]) -> None:
        camel(wire.fields)
        candidates = list(wire.take_objects("candidates"))
        usage = wire.take_object("usageMetadata")
        tier = usage.take_str("serviceTier") if usage is not None else None
        if self._started:
            for key in _HEAD:
                wire.take(key)
        elif not (candidates or usage or "promptFeedback" in wire.fields or "responseId" in wire.fields):
            return
        else:
            self._start(wire, tier or "", events)
        for position, item in enumerate(candidates):
            self._candidate(item, position, events)
        if usage is not None:
            counted = self._usage_reader.read(usage)
            usage.fields.clear()
            if counted != self._usage:
                self._usage = counted
                events.append(ChatEvent(usage=counted))
        rest = wire.rest()
        if rest:
            self._extras.update(rest)

    def _start(self, wire: Object, tier: str, events: list[ChatEvent]) -> None:
        self._started = True
        start = ChatResponse(service_tier=tier)
        decode_head(wire, start)
        self._id = start.id
        rest = {key: value for key, value in wire.fields.items() if key != "usageMetadata"}
        if rest:
            self._sent = rest
            self._extras.update(rest)
            start.extras[DIALECT] = text_of(rest)
        events.append(ChatEvent(start=start))

    def _candidate(self, wire: Object, position: int, events: list[ChatEvent]) -> None:
        camel(wire.fields)
        index = wire.take_int("index", 0)
        index = position if index is None else index
        candidate = self._candidates.get(index)
        if candidate is None:
            candidate = self._candidates[index] = _Candidate(index)
        candidate.ended.clear()
        logprobs: list[TokenLogprob] = []
        content = wire.take_object("content")
        if content is not None:
            content.take("role")
            result = wire.take_object("logprobsResult")
            if result is not None:
                logprobs = decode_logprobs(result)
            for item in take_parts(content):
                self._part(candidate, item, logprobs, events)
            rest = content.rest()
            if rest:
                _merge(candidate.message_extras, rest)
                rest.clear()
        self._cite(candidate, wire, events)
        if is_finish(wire.fields.get("finishReason")):
            candidate.finish = wire.take("finishReason")
        rest = wire.rest()
        if rest:
            _merge(candidate.extras, rest)

    def _part(self, candidate: _Candidate, wire: Object, logprobs: list[TokenLogprob], events: list[ChatEvent]) -> None:
        fields = wire.fields
        text = fields.get("text")
        if type(text) is str:
            thought = fields.get("thought") is True
            if len(fields) == 1 + thought:
                if text:
                    self._text(candidate, "reasoning" if thought else "text", text, logprobs, events)
                return
        camel(fields)
        if not fields:
            return
        call = fields.get("functionCall")
        if type(call) is dict:
            camel(call)
            if candidate.patch is not None or call.get("willContinue") is True or "partialArgs" in call:
                self._piece(candidate, wire, call, events)
                return
        part = Part()
        decode_part(wire, part)
        self._whole(candidate, part, logprobs, events)

    def _text(
        self, candidate: _Candidate, kind: str, text: str, logprobs: list[TokenLogprob], events: list[ChatEvent]
    ) -> None:
        """More of the open text or thought, or the beginning of one."""
        index = candidate.open
        if index is None or candidate.kind != kind:
            index = _open(candidate, kind, Part(text="") if kind == "text" else _thought(), events)
        event = text_delta(text, index, candidate.index)
        if kind == "text":
            candidate.texts.setdefault(index, []).append(text)
            if logprobs:
                event.part_delta.logprobs.extend(logprobs)
                logprobs.clear()
        events.append(event)

    def _whole(self, candidate: _Candidate, part: Part, logprobs: list[TokenLogprob], events: list[ChatEvent]) -> None:
        """A part that no other chunk goes on with."""
        text = ""
        kind = part.WhichOneof("kind")
        match kind:
            case "text":
                text, part.text = part.text, ""
                part.logprobs.extend(logprobs)
                logprobs.clear()
            case "reasoning":
                text, part.reasoning.text = part.reasoning.text, ""
            case "tool_call":
                text, part.tool_call.arguments_json = part.tool_call.arguments_json, ""
                self._name(candidate, part)
        index = _open(candidate, kind or "", part, events)
        if kind == "text":
            candidate.texts[index] = [text]
        if text:
            events.append(text_delta(text, index, candidate.index))
        _close(candidate, events)

    def _piece(self, candidate: _Candidate, wire: Object, call: dict[str, Json], events: list[ChatEvent]) -> None:
        """A piece of a call whose arguments are streamed. A new name, or no more to come, ends the one before."""
        if candidate.patch is not None and call.get("name"):
            _close(candidate, events)
        goes_on = call.pop("willContinue", None) is True
        pieces = call.pop("partialArgs", None)
        args = call.pop("args", None)
        if candidate.patch is None:
            part = Part()
            decode_part(wire, part)
            part.tool_call.arguments_json = ""
            self._name(candidate, part)
            _open(candidate, "tool_call", part, events)
            candidate.patch = Patch()
        if isinstance(args, dict):
            candidate.patch.args.update(args)
        if isinstance(pieces, list):
            candidate.patch.feed(pieces)
        if not goes_on:
            _close(candidate, events)

    def _name(self, candidate: _Candidate, part: Part) -> None:
        call = part.tool_call
        call.id = call.id or invent(self._id, candidate.index, candidate.calls, call.name)
        candidate.calls += 1

    def _cite(self, candidate: _Candidate, wire: Object, events: list[ChatEvent]) -> None:
        """Give the citations of this chunk to their parts: those that are open, or ended with this very chunk."""
        if not (wire.fields.get("citationMetadata") or wire.fields.get("groundingMetadata")):
            return
        texts = [(index, "".join(pieces)) for index, pieces in candidate.texts.items()]
        for index, citation in decode_citations(wire, texts):
            key = (index, citation.SerializeToString(deterministic=True))
            if key in candidate.cited:
                continue
            candidate.cited.add(key)
            if index == candidate.open:
                candidate.citations.append(citation)
            elif index in candidate.ended:
                candidate.ended[index].part.citations.append(citation)
            else:
                # Its text is gone: the source is told, without the words that rest on it.
                if candidate.kind != "text":
                    _open(candidate, "text", Part(text=""), events)
                citation.ClearField("start_index")
                citation.ClearField("end_index")
                candidate.citations.append(citation)


def _thought() -> Part:
    return Part(reasoning=Reasoning(), extras={DIALECT: '{"thought":true}'})


def _open(candidate: _Candidate, kind: str, part: Part, events: list[ChatEvent]) -> int:
    """End the open part, if any, and begin another."""
    _close(candidate, events)
    index = candidate.parts
    candidate.open, candidate.kind = index, kind
    candidate.parts += 1
    events.append(ChatEvent(part_start=PartStart(choice=candidate.index, index=index, part=part)))
    return index


def _close(candidate: _Candidate, events: list[ChatEvent]) -> None:
    """End the open part, if any, with what only its end tells."""
    if candidate.open is None:
        return
    index = candidate.open
    if candidate.patch is not None:
        arguments = text_of(candidate.patch.args)
        events.append(text_delta(arguments, index, candidate.index))
        candidate.patch = None
    event = ChatEvent(part_end=PartEnd(choice=candidate.index, index=index))
    if candidate.citations:
        event.part_end.part.citations.extend(candidate.citations)
        candidate.citations.clear()
    candidate.ended[index] = event.part_end
    candidate.open, candidate.kind = None, ""
    events.append(event)


def _merge(into: dict[str, Json], more: dict[str, Json]) -> None:
    """Add what a later chunk tells: it replaces what an earlier one told, unless it is empty."""
    for key, value in more.items():
        present = into.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            _merge(present, value)
        elif value or key not in into:
            into[key] = value
