"""Tools that are called with a text rather than with JSON, for targets that know no such tools: each becomes a function
with that text as its only argument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Final

from trunkline.dialects.custom import CHAT, CUSTOM, RESPONSES, Custom, custom_of, mark, marked_by, unmark
from trunkline.dialects.wire import Json, loads, text_of
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, PartDelta
from trunkline.v1.content_pb2 import Part

_INPUT: Final = "input"
_SCHEMA: Final = text_of(
    {
        "type": "object",
        "properties": {_INPUT: {"type": "string", "description": "The whole input of the tool, as it is."}},
        "required": [_INPUT],
        "additionalProperties": False,
    }
)
_FREE: Final = "The input is a text of any form."


@dataclass(frozen=True, slots=True)
class Plain:
    """A request without such tools, to be sent in place of one that has them: their names, each with the dialect in
    whose words it was told, and where they stood."""

    request: ChatRequest
    names: Mapping[str, str]
    places: tuple[int, ...]


def plain_of(request: ChatRequest, taken: Set[str] = frozenset()) -> Plain | None:
    """How `request` is told to a target that knows functions alone; None where it holds nothing else.

    What is told in the words of the dialects that are `taken` stays.
    """
    customs: dict[int, Custom] = {}
    for index, tool in enumerate(request.tools):
        custom = custom_of(tool)
        if custom is not None and custom.dialect not in taken:
            customs[index] = custom
    calls = [
        (number, index)
        for number, message in enumerate(request.messages)
        for index, part in enumerate(message.parts)
        if part.extras and part.WhichOneof("kind") == "tool_call" and marked_by(part) not in (None, *taken)
    ]
    if not customs and not calls:
        return None
    plain = ChatRequest()
    plain.CopyFrom(request)
    for index, custom in customs.items():
        tool = plain.tools[index]
        tool.function.name = custom.name
        tool.function.description = _described(custom.fields)
        tool.function.parameters_json = _SCHEMA
    for number, index in calls:
        part = plain.messages[number].parts[index]
        part.tool_call.arguments_json = text_of({_INPUT: part.tool_call.arguments_json})
        for dialect in (CHAT, RESPONSES):
            unmark(part, dialect)
    _choose(plain, {custom.dialect for custom in customs.values()})
    return Plain(plain, {custom.name: custom.dialect for custom in customs.values()}, tuple(customs))


class CustomReader:
    """Makes the calls of functions what they stand for: calls with a text. Reads the events of one answer."""

    def __init__(self, plain: Plain) -> None:
        self._names = plain.names
        self._texts: dict[tuple[int, int], list[str]] = {}

    def feed(self, event: ChatEvent) -> Iterator[ChatEvent]:
        """`event`, or what it is in place of: the text of a call is told once it is whole."""
        match event.WhichOneof("event"):
            case "part_start":
                start = event.part_start
                if start.part.WhichOneof("kind") == "tool_call" and start.part.tool_call.name in self._names:
                    self._texts[start.choice, start.index] = [start.part.tool_call.arguments_json]
                    start.part.tool_call.arguments_json = ""
                    mark(start.part, self._names[start.part.tool_call.name])
            case "part_delta":
                texts = self._texts.get((event.part_delta.choice, event.part_delta.index))
                if texts is not None:
                    texts.append(event.part_delta.text)
                    return
            case "part_end":
                end = event.part_end
                texts = self._texts.pop((end.choice, end.index), None)
                if texts is not None:
                    text = input_of("".join(texts))
                    yield ChatEvent(part_delta=PartDelta(choice=end.choice, index=end.index, text=text))
        yield event

    def read(self, part: Part) -> None:
        """The same of a whole part."""
        if part.WhichOneof("kind") == "tool_call" and part.tool_call.name in self._names:
            part.tool_call.arguments_json = input_of(part.tool_call.arguments_json)
            mark(part, self._names[part.tool_call.name])


def input_of(arguments: str) -> str:
    """The text that a function is called with; the arguments as they are where they are of another form."""
    try:
        value = loads(arguments)
    except GatewayError:
        return arguments
    text = value.get(_INPUT) if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments


def _described(wire: dict[str, Json]) -> str:
    """What the tool is for, and the form of its input, which a function has no place for."""
    told = [wire["description"]] if isinstance(wire.get("description"), str) and wire["description"] else []
    form = wire.get("format")
    if isinstance(form, dict) and isinstance(form.get("definition"), str):
        told.append(f"The input must match this grammar ({form.get('syntax', 'lark')}):\n{form['definition']}")
    else:
        told.append(_FREE)
    return "\n\n".join(told)


def _choose(request: ChatRequest, dialects: Set[str]) -> None:
    """A choice of such a tool is that of the function."""
    for dialect in dialects & request.extras.keys():
        kept = loads(request.extras[dialect])
        choice = kept.get("tool_choice") if isinstance(kept, dict) else None
        if not isinstance(choice, dict) or choice.get("type") != CUSTOM:
            continue
        named = choice.get(CUSTOM, choice)
        if isinstance(named, dict) and isinstance(named.get("name"), str):
            request.tool_choice.name = named["name"]
            del kept["tool_choice"]
            if kept:
                request.extras[dialect] = text_of(kept)
            else:
                del request.extras[dialect]
