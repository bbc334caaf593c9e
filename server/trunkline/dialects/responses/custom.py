"""Tools that are called with a text rather than with JSON, for targets that know no such tools: each becomes a function
with that text as its only argument."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trunkline.dialects.responses.extras import DIALECT, ITEM, own
from trunkline.dialects.wire import Json, loads, text_of
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, PartDelta, Tool
from trunkline.v1.content_pb2 import Part

_CALL: Final = "custom_tool_call"
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
    """A request without such tools, to be sent in place of one that has them: their names, and where they stood."""

    request: ChatRequest
    names: frozenset[str]
    places: tuple[int, ...]


def plain_of(request: ChatRequest) -> Plain | None:
    """How `request` is told to a target that knows functions alone; None where it holds nothing else."""
    customs: dict[int, dict[str, Json]] = {}
    for index, tool in enumerate(request.tools):
        wire = _custom(tool)
        if wire is not None:
            customs[index] = wire
    calls = [
        (number, index)
        for number, message in enumerate(request.messages)
        for index, part in enumerate(message.parts)
        if _is_call(part)
    ]
    if not customs and not calls:
        return None
    plain = ChatRequest()
    plain.CopyFrom(request)
    for index, wire in customs.items():
        tool = plain.tools[index]
        tool.function.name = str(wire["name"])
        tool.function.description = _described(wire)
        tool.function.parameters_json = _SCHEMA
    for number, index in calls:
        call = plain.messages[number].parts[index].tool_call
        call.arguments_json = text_of({_INPUT: call.arguments_json})
    _choose(plain)
    return Plain(plain, frozenset(str(wire["name"]) for wire in customs.values()), tuple(customs))


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
                    _mark(start.part)
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
            _mark(part)


def input_of(arguments: str) -> str:
    """The text that a function is called with; the arguments as they are where they are of another form."""
    try:
        value = loads(arguments)
    except GatewayError:
        return arguments
    text = value.get(_INPUT) if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments


def _custom(tool: Tool) -> dict[str, Json] | None:
    if tool.WhichOneof("kind") != "native" or tool.native.dialect != DIALECT:
        return None
    wire = loads(tool.native.json)
    known = isinstance(wire, dict) and wire.get("type") == "custom" and isinstance(wire.get("name"), str)
    return wire if known and wire["name"] else None


def _described(wire: dict[str, Json]) -> str:
    """What the tool is for, and the form of its input, which a function has no place for."""
    told = [wire["description"]] if isinstance(wire.get("description"), str) and wire["description"] else []
    form = wire.get("format")
    if isinstance(form, dict) and isinstance(form.get("definition"), str):
        told.append(f"The input must match this grammar ({form.get('syntax', 'lark')}):\n{form['definition']}")
    else:
        told.append(_FREE)
    return "\n\n".join(told)


def _is_call(part: Part) -> bool:
    if part.WhichOneof("kind") != "tool_call" or DIALECT not in part.extras:
        return False
    item = own(part.extras).get(ITEM)
    return isinstance(item, dict) and item.get("type") == _CALL


def _mark(part: Part) -> None:
    part.extras[DIALECT] = text_of({ITEM: {"type": _CALL}})


def _choose(request: ChatRequest) -> None:
    """A choice of such a tool is that of the function."""
    kept = own(request.extras)
    choice = kept.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "custom" and isinstance(choice.get("name"), str):
        request.tool_choice.name = choice["name"]
        del kept["tool_choice"]
        if kept:
            request.extras[DIALECT] = text_of(kept)
        else:
            del request.extras[DIALECT]
