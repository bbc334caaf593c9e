"""The legal order of the events of a stream: what breaks it cannot leave the core."""

from __future__ import annotations

from typing import Literal

from trunkline.errors import GatewayError, provider_failed
from trunkline.v1.chat_pb2 import ChatEvent

_APPENDABLE: dict[str | None, Literal["text", "data"]] = {
    "text": "text",
    "refusal": "text",
    "reasoning": "text",
    "tool_call": "text",
    "media": "data",
}
"""The kinds of part that deltas extend, and by what."""


class _Choice:
    """One choice: how many parts were started, which are open and what extends them, and whether it ended."""

    __slots__ = ("ended", "open", "parts")

    def __init__(self) -> None:
        self.parts = 0
        self.open: dict[int, str | None] = {}
        self.ended = False


class Grammar:
    """Checks one stream, event by event. See the comment of `StreamChat` for the rules."""

    def __init__(self) -> None:
        self._started = False
        self._ended = False
        self._choices: dict[int, _Choice] = {}

    def feed(self, event: ChatEvent) -> None:
        """Accept the next event. Raises `GatewayError` (PROVIDER_FAILED) where it is out of order."""
        kind = event.WhichOneof("event")
        if not self._started:
            if kind != "start":
                raise _illegal(f"`{kind}` before `start`")
            self._started = True
            return
        match kind:
            case "part_delta":
                delta = event.part_delta
                extends = self._running(delta.choice).open.get(delta.index, "")
                if extends == "":
                    raise _illegal(f"`part_delta` of part {delta.index}, which is not open")
                given = delta.WhichOneof("delta")
                if given is not None and given != extends:
                    takes = extends or "nothing"
                    raise _illegal(f"`part_delta` with `{given}` for part {delta.index}, which takes {takes}")
            case "part_start":
                start = event.part_start
                choice = self._running(start.choice)
                if start.index != choice.parts:
                    raise _illegal(f"`part_start` of part {start.index} after {choice.parts} parts")
                part_kind = start.part.WhichOneof("kind")
                if part_kind is None:
                    raise _illegal(f"`part_start` of part {start.index} without a kind")
                choice.open[start.index] = _APPENDABLE.get(part_kind)
                choice.parts += 1
            case "part_end":
                end = event.part_end
                choice = self._running(end.choice)
                if end.index not in choice.open:
                    raise _illegal(f"`part_end` of part {end.index}, which is not open")
                del choice.open[end.index]
            case "choice_end":
                choice = self._running(event.choice_end.choice)
                if choice.open:
                    raise _illegal(f"`choice_end` while part {min(choice.open)} is open")
                choice.ended = True
            case "response_end":
                if self._ended or not self._whole():
                    raise _illegal("`response_end` before the last `choice_end`, or a second one")
                self._ended = True
            case "start":
                raise _illegal("a second `start`")
            case "usage" | None:
                pass

    def end(self) -> None:
        """Accept the end of the stream. Raises `GatewayError` (PROVIDER_FAILED) where the answer is not whole."""
        if not self._whole():
            raise provider_failed("The provider's stream ended before the answer was complete.")

    def _whole(self) -> bool:
        return bool(self._choices) and all(choice.ended for choice in self._choices.values())

    def _running(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
        elif choice.ended:
            raise _illegal(f"an event of choice {index} after its `choice_end`")
        return choice


def _illegal(what: str) -> GatewayError:
    return provider_failed(f"The provider's stream is out of order: {what}.")
