"""An answer without its reasoning, for callers who do not want to see it."""

from __future__ import annotations

from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, PartDelta, PartEnd, PartStart


class Concealer:
    """Takes the reasoning out of the events of one answer. What is left keeps its order, under places of its own."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, int], int | None] = {}
        self._next: dict[int, int] = {}

    def feed(self, event: ChatEvent) -> ChatEvent | None:
        """`event` without what is concealed; None where nothing is left."""
        match event.WhichOneof("event"):
            case "part_start":
                start = event.part_start
                place = None
                if start.part.WhichOneof("kind") != "reasoning":
                    place = self._next.get(start.choice, 0)
                    self._next[start.choice] = place + 1
                self._places[start.choice, start.index] = place
                return _at(event, event.part_start, place)
            case "part_delta":
                return _at(event, event.part_delta, self._places.get((event.part_delta.choice, event.part_delta.index)))
            case "part_end":
                key = (event.part_end.choice, event.part_end.index)
                return _at(event, event.part_end, self._places.pop(key, None))
            case _:
                return event


def _at(event: ChatEvent, inner: PartStart | PartDelta | PartEnd, place: int | None) -> ChatEvent | None:
    if place is None:
        return None
    inner.index = place
    return event


def conceal(response: ChatResponse) -> ChatResponse:
    """Take the reasoning out of a whole answer, in place."""
    for choice in response.choices:
        for index in range(len(choice.message.parts) - 1, -1, -1):
            if choice.message.parts[index].WhichOneof("kind") == "reasoning":
                del choice.message.parts[index]
    return response
