"""What the simulated models say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from trunkline.providers.sim.errors import ApiError
from trunkline.providers.sim.ids import Ids
from trunkline.providers.sim.parameters import Parameter, Values
from trunkline.providers.sim.request import ChatRequest, Function, ToolChoice
from trunkline.providers.sim.schema import json_for

_STORY: Final = (
    "one day the old fox ran off and met the shy owl who sat and saw the sun set "
    "for the bay was dim yet the sky was red and the fog was not far "
)
"""Words of three letters, so that each is a token and a delta as well."""

_OTHER_CHOICE: Final = " ({})"
"""What sets a further answer apart from the first, so that a mix-up of answers shows."""


class ToolCall(Struct, frozen=True):
    """A call of a tool."""

    id: str
    name: str
    arguments: str


class Said(Struct, frozen=True):
    """One answer, whole. Its parts are said in the order of the fields."""

    reasoning: str = ""
    text: str = ""
    refusal: str = ""
    calls: Sequence[ToolCall] = ()
    finish: str = "stop"


class Turn(Struct, frozen=True):
    """What a script answers: the request, its bytes, and what rode in the model's name."""

    request: ChatRequest
    body: bytes
    values: Values
    ids: Ids


@dataclass(frozen=True, slots=True)
class Script:
    """A simulated model. `say` writes one of the answers to a turn, by its index; `parameters` are its own."""

    about: str
    say: Callable[[Turn, int], Said]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def story(tokens: int) -> str:
    """A text of `tokens` tokens, each of them a word."""
    letters = 4 * (tokens - 1)
    return (_STORY * (letters // len(_STORY) + 1))[:letters] + "end."


def _echo(turn: Turn, choice: int) -> Said:
    return Said(text=_apart(turn.request.last_user_text(), choice))


def _tool(turn: Turn, choice: int) -> Said:
    return _call(turn, choice, every=False)


def _tools_parallel(turn: Turn, choice: int) -> Said:
    return _call(turn, choice, every=turn.request.parallel_tool_calls is not False)


def _call(turn: Turn, choice: int, *, every: bool) -> Said:
    request = turn.request
    if request.messages[-1].role == "tool":
        return Said(text=_apart(_results(request), choice))
    functions = _callable(request)
    if not functions:
        return Said(text=_apart("There is no tool to call.", choice))
    calls = [
        ToolCall(turn.ids.new("call_"), function.name, _arguments(function))
        for function in (functions if every else functions[:1])
    ]
    return Said(calls=calls, finish="tool_calls")


def _callable(request: ChatRequest) -> list[Function]:
    """The functions that `tool_choice` leaves."""
    functions = request.functions()
    match request.tool_choice:
        case "none":
            return []
        case ToolChoice(function=named) if named is not None:
            functions = [function for function in functions if function.name == named.name]
            if not functions:
                raise ApiError(
                    400, f"`tool_choice` names `{named.name}`, which is not in `tools`.", param="tool_choice"
                )
        case ToolChoice(allowed_tools=allowed) if allowed is not None:
            names = {tool.function.name for tool in allowed.tools if tool.function is not None}
            functions = [function for function in functions if function.name in names]
    return functions


def _arguments(function: Function) -> str:
    if function.parameters is None:
        return "{}"
    return json_for(function.parameters, "tools")


def _results(request: ChatRequest) -> str:
    """What the tools answered at the end of the conversation, with their names."""
    names = {
        call.id: call.function.name
        for message in request.messages
        for call in message.tool_calls or ()
        if call.function is not None
    }
    said = []
    for message in reversed(request.messages):
        if message.role != "tool":
            break
        said.append(f"{names.get(message.tool_call_id or '', 'A tool')} answered: {message.text()}")
    return "\n".join(reversed(said))


def _json(turn: Turn, choice: int) -> Said:
    wanted = turn.request.response_format
    if wanted is not None and wanted.type == "json_schema" and wanted.json_schema is not None:
        schema = wanted.json_schema.schema
        if schema is not None:
            return Said(text=json_for(schema, "response_format"))
    answer = {"answer": _apart(turn.request.last_user_text(), choice)}
    return Said(text=json.dumps(answer, ensure_ascii=False, separators=(",", ":")))


def _reasoning(turn: Turn, choice: int) -> Said:
    return Said(
        reasoning=story(int(turn.values["tokens"])), text=_apart(turn.request.last_user_text() or "So be it.", choice)
    )


def _long(turn: Turn, choice: int) -> Said:
    return Said(text=_apart(story(int(turn.values["tokens"])), choice))


def _refusal(turn: Turn, choice: int) -> Said:
    return Said(refusal=_apart("I am sorry, but I cannot help with that.", choice))


def _request(turn: Turn, choice: int) -> Said:
    return Said(text=turn.body.decode(errors="replace"))


def _apart(text: str, choice: int) -> str:
    return text + _OTHER_CHOICE.format(choice + 1) if choice else text


def _tokens(default: int, most: int) -> Parameter:
    return Parameter("how many tokens to write", default, 1, most, whole=True)


SCRIPTS: Final[Mapping[str, Script]] = {
    "echo": Script("says what the user said last", _echo),
    "tool": Script("calls a tool with arguments made from its schema, then tells what it answered", _tool),
    "tools-parallel": Script("calls every tool at once, then tells what they answered", _tools_parallel),
    "json": Script("writes JSON that satisfies `response_format`", _json),
    "reasoning": Script(
        "reasons first, then says what the user said last", _reasoning, {"tokens": _tokens(24, 100_000)}
    ),
    "long": Script(
        "writes at length, a word at a time",
        _long,
        {
            "tokens": _tokens(100, 1_000_000),
            "delay": Parameter("seconds between the events of a stream", 0.02, 0, 60),
        },
    ),
    "refusal": Script("declines to answer", _refusal),
    "request": Script("says the request that reached it, byte for byte", _request),
}
"""Every script, by the name of its model."""
