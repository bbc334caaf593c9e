"""The one law of streams: folding the events of `StreamChat` gives the response of `Chat`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, Choice, ChoiceEnd, PartDelta, PartEnd, PartStart
from trunkline.v1.content_pb2 import ROLE_ASSISTANT, Part


class Fold:
    """Builds the response of a stream, event by event. The events must be in legal order (`core.grammar`)."""

    def __init__(self) -> None:
        self.response = ChatResponse()
        self._choices: dict[int, Choice] = {}
        self._texts: dict[tuple[int, int], list[str]] = {}

    def feed(self, event: ChatEvent) -> None:
        """Take the next event into `response`, whose long texts are whole only after `finish`."""
        match event.WhichOneof("event"):
            case "part_delta":
                delta = event.part_delta
                if delta.text:
                    self._texts.setdefault((delta.choice, delta.index), []).append(delta.text)
                if delta.data or delta.logprobs:
                    part = self._choice(delta.choice).message.parts[delta.index]
                    part.logprobs.extend(delta.logprobs)
                    if delta.data:
                        part.media.data += delta.data
            case "part_start":
                self._choice(event.part_start.choice).message.parts.append(event.part_start.part)
            case "part_end":
                end = event.part_end
                self._choice(end.choice).message.parts[end.index].MergeFrom(end.part)
            case "choice_end":
                choice = self._choice(event.choice_end.choice)
                if event.choice_end.HasField("finish"):
                    choice.finish.CopyFrom(event.choice_end.finish)
                choice.message.extras.MergeFrom(event.choice_end.message_extras)
                choice.extras.MergeFrom(event.choice_end.extras)
            case "usage":
                self.response.usage.MergeFrom(event.usage)
            case "response_end":
                self.response.extras.MergeFrom(event.response_end.extras)
            case "start":
                self.response.CopyFrom(event.start)
            case None:
                pass

    def finish(self) -> ChatResponse:
        """The response, with its choices in order."""
        for (choice, index), texts in self._texts.items():
            _append(self._choices[choice].message.parts[index], "".join(texts))
        self._texts.clear()
        for index in sorted(self._choices):
            self.response.choices.append(self._choices[index])
        self._choices.clear()
        return self.response

    def _choice(self, index: int) -> Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = Choice(index=index)
            choice.message.role = ROLE_ASSISTANT
        return choice


def _append(part: Part, text: str) -> None:
    match part.WhichOneof("kind"):
        case "text":
            part.text += text
        case "refusal":
            part.refusal += text
        case "reasoning":
            part.reasoning.text += text
        case "tool_call":
            part.tool_call.arguments_json += text
        case _:
            raise ValueError(f"no text can be appended to a part of kind {part.WhichOneof('kind')}")


def fold(events: Iterable[ChatEvent]) -> ChatResponse:
    """The response that `events` build."""
    state = Fold()
    for event in events:
        state.feed(event)
    return state.finish()


def unfold(response: ChatResponse) -> Iterator[ChatEvent]:
    """Events that build `response`: one delta a part. The inverse of `fold`."""
    start = ChatResponse()
    start.CopyFrom(response)
    start.ClearField("choices")
    start.ClearField("usage")
    yield ChatEvent(start=start)
    for choice in response.choices:
        for index, part in enumerate(choice.message.parts):
            yield from _unfold_part(choice.index, index, part)
        end = ChoiceEnd(choice=choice.index, extras=choice.extras, message_extras=choice.message.extras)
        if choice.HasField("finish"):
            end.finish.CopyFrom(choice.finish)
        yield ChatEvent(choice_end=end)
    if response.HasField("usage"):
        yield ChatEvent(usage=response.usage)


def _unfold_part(choice: int, index: int, part: Part) -> Iterator[ChatEvent]:
    head = Part()
    head.CopyFrom(part)
    text = ""
    match part.WhichOneof("kind"):
        case "text":
            text, head.text = part.text, ""
        case "refusal":
            text, head.refusal = part.refusal, ""
        case "reasoning":
            text, head.reasoning.text = part.reasoning.text, ""
        case "tool_call":
            text, head.tool_call.arguments_json = part.tool_call.arguments_json, ""
    head.ClearField("logprobs")
    yield ChatEvent(part_start=PartStart(choice=choice, index=index, part=head))
    if text or part.logprobs:
        delta = PartDelta(choice=choice, index=index, text=text, logprobs=part.logprobs)
        yield ChatEvent(part_delta=delta)
    yield ChatEvent(part_end=PartEnd(choice=choice, index=index))
