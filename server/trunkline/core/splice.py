"""One answer of several attempts, where the one that began it broke off."""

from __future__ import annotations

from typing import Final

from trunkline.call import Attempt
from trunkline.core.estimate import estimate_text, estimate_tokens
from trunkline.core.plan import MidStream
from trunkline.core.sums import add_usage
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, PartEnd, PartStart, Usage
from trunkline.v1.content_pb2 import Message, Part

_MOST_KEPT: Final = 4 * 1024 * 1024
"""The most characters of an answer that are kept in case it breaks off."""


class Splice:
    """Holds an answer together. `feed` takes what attempts tell and gives what the caller is shown.

    With RESTART and CONTINUE nothing is shown before a piece of the answer itself, so that another target can begin
    anew. With CONTINUE what was said is kept, so that another can go on with it.
    """

    def __init__(self, request: ChatRequest, mode: MidStream) -> None:
        self._request = self._asked = request
        self._mode = mode
        self._shown = mode is MidStream.FAIL
        self._held: list[ChatEvent] = []
        self._text: list[str] = []
        self._size = 0
        self._open: dict[int, bool] = {}
        """The parts that are open, by their index, and whether each is text."""
        self._parts = 0
        self._ended = False
        self._firm = mode is not MidStream.CONTINUE or (request.choice_count or 1) > 1 or request.HasField("completion")
        """Whether what was shown cannot be gone on with."""
        self._spent: Usage | None = None
        self._used = Usage()
        self._places: dict[int, int] = {}
        """The index of each part of a later attempt in the whole answer."""
        self._joining = False
        self._spaced = False
        """Whether what was shown ends in white space, which the next piece must not repeat."""
        self.seams: list[int] = []
        """Where in the text another attempt goes on, in characters."""

    def feed(self, batch: list[ChatEvent]) -> list[ChatEvent]:
        """What is shown of `batch`. The first attempt's events are passed on as they are."""
        if self.seams:
            batch = [self._note(one) for event in batch for one in self._joined(event)]
        elif not self._firm:
            for event in batch:
                self._note(event)
        if self._shown:
            return batch
        self._held += batch
        if not any(map(_shows, batch)):
            return []
        self._shown = True
        held, self._held = self._held, []
        return held

    def end(self) -> list[ChatEvent]:
        """What is still to be shown of an answer that is whole."""
        held, self._held = self._held, []
        return held

    def continues(self) -> bool:
        """Whether another target can go on with what was shown."""
        return not self._firm and not self._ended and bool(self._text)

    def resume(self, attempt: Attempt) -> ChatRequest:
        """The request for another target to go on with, after `attempt` broke off."""
        text = "".join(self._text)
        if attempt.first_event is not None:
            self._spend(attempt, self._since_seam(text))
        if self.seams[-1:] != [len(text)]:
            self.seams.append(len(text))
        self._used = Usage()
        self._places.clear()
        self._joining = True
        begun = text.rstrip()
        self._spaced = len(begun) < len(text)
        request = self._asked = ChatRequest()
        request.CopyFrom(self._request)
        # Anthropic refuses white space at the end of what is to be gone on with, and goes on with nothing while it
        # reasons (docs.claude.com, "Prefill Claude's response").
        request.messages.append(Message(role=content_pb2.ROLE_ASSISTANT, parts=[Part(text=begun)]))
        if request.HasField("reasoning"):
            request.reasoning.Clear()
            request.reasoning.enabled = False
        return request

    def _spend(self, attempt: Attempt, said: str) -> None:
        """Count what an attempt used that broke off, which few providers tell before their end."""
        if attempt.usage is None:
            attempt.usage = Usage()
        if not attempt.usage.HasField("input_tokens"):
            attempt.usage.input_tokens, attempt.estimated = estimate_tokens(self._asked), True
        if not attempt.usage.HasField("output_tokens"):
            attempt.usage.output_tokens, attempt.estimated = estimate_text(said), True
        self._spent = attempt.usage if self._spent is None else _sum(self._spent, attempt.usage)

    def _note(self, event: ChatEvent) -> ChatEvent:
        """Remember what of an event another target must know to go on after it."""
        match event.WhichOneof("event"):
            case "part_start":
                start = event.part_start
                kind = start.part.WhichOneof("kind")
                if start.choice or kind not in ("text", "reasoning"):
                    self._harden()
                if not start.choice:
                    self._parts = start.index + 1
                    self._open[start.index] = kind == "text"
                    if kind == "text":
                        self._keep(start.part.text)
            case "part_delta":
                delta = event.part_delta
                if not delta.choice and self._open.get(delta.index):
                    self._keep(delta.text)
            case "part_end":
                if not event.part_end.choice:
                    self._open.pop(event.part_end.index, None)
            case "choice_end":
                self._ended = True
        return event

    def _keep(self, text: str) -> None:
        if self._firm:
            return
        self._text.append(text)
        self._size += len(text)
        if self._size > _MOST_KEPT:
            self._harden()

    def _harden(self) -> None:
        self._firm = True
        self._text.clear()

    def _joined(self, event: ChatEvent) -> list[ChatEvent]:
        """An event of a later attempt as one of the whole answer."""
        match event.WhichOneof("event"):
            case "start":
                return []
            case "part_start" if not event.part_start.choice:
                return self._joined_start(event)
            case "part_delta" if not event.part_delta.choice:
                event.part_delta.index = self._places[event.part_delta.index]
                if self._spaced and event.part_delta.WhichOneof("delta") == "text":
                    event.part_delta.text = self._unspaced(event.part_delta.text)
            case "part_end" if not event.part_end.choice:
                event.part_end.index = self._places[event.part_end.index]
            case "choice_end" if not event.choice_end.choice:
                event.choice_end.message_extras["trunkline"] = f'{{"seams":{self.seams}}}'.replace(" ", "")
                return [*self._joint(None), *self._estimated(), event]
            case "usage":
                self._used.MergeFrom(event.usage)
                if self._spent is not None:
                    event.usage.CopyFrom(_sum(self._spent, self._used))
        return [event]

    def _joined_start(self, event: ChatEvent) -> list[ChatEvent]:
        start = event.part_start
        if self._joining and start.part.WhichOneof("kind") == "text":
            open_text = next((index for index in reversed(self._open) if self._open[index]), None)
            if open_text is not None:
                # The text goes on in the part that is open.
                joint = self._joint(open_text)
                self._places[start.index] = open_text
                text = self._unspaced(start.part.text)
                return [*joint, _delta(open_text, text)] if text else joint
        joint = self._joint(None)
        self._places[start.index] = start.index = self._parts
        return [*joint, event]

    def _joint(self, kept: int | None) -> list[ChatEvent]:
        """The ends of the parts that the earlier attempt left open, but for `kept`."""
        if not self._joining:
            return []
        self._joining = False
        left = [index for index in self._open if index != kept]
        for index in left:
            del self._open[index]
        return [ChatEvent(part_end=PartEnd(index=index)) for index in left]

    def _estimated(self) -> list[ChatEvent]:
        """What was used so far, where the later attempt did not tell it yet."""
        if self._spent is None or self._used.HasField("output_tokens"):
            return []
        used = Usage()
        used.CopyFrom(self._used)
        if not used.HasField("input_tokens"):
            used.input_tokens = estimate_tokens(self._asked)
        used.output_tokens = estimate_text(self._since_seam("".join(self._text)))
        return [ChatEvent(usage=_sum(self._spent, used))]

    def _since_seam(self, text: str) -> str:
        return text[self.seams[-1] if self.seams else 0 :]

    def _unspaced(self, text: str) -> str:
        if self._spaced:
            text = text.lstrip()
            self._spaced = not text
        return text


def _shows(event: ChatEvent) -> bool:
    """Whether an event tells a piece of the answer."""
    match event.WhichOneof("event"):
        case "part_start":
            return not _is_empty(event.part_start)
        case "part_delta" | "choice_end":
            return True
    return False


def _is_empty(start: PartStart) -> bool:
    match start.part.WhichOneof("kind"):
        case "text":
            return not start.part.text
        case "reasoning":
            return not start.part.reasoning.text
    return False


def _delta(index: int, text: str) -> ChatEvent:
    event = ChatEvent()
    event.part_delta.index = index
    event.part_delta.text = text
    return event


def _sum(one: Usage, other: Usage) -> Usage:
    """The usage of both; what one of them does not tell counts as nothing."""
    total = Usage()
    total.CopyFrom(other)
    add_usage(total, one)
    return total
