"""The conversation whose translation is measured: 20 messages with 10 tools, and the stream of an answer to it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trunkline.v1.chat_pb2 import (
    FINISH_REASON_TOOL_CALLS,
    ChatEvent,
    ChatRequest,
    ChatResponse,
    ChoiceEnd,
    Finish,
    Function,
    PartDelta,
    PartEnd,
    PartStart,
    Sampling,
    Tool,
    ToolChoice,
    Usage,
)
from trunkline.v1.content_pb2 import (
    ROLE_ASSISTANT,
    ROLE_SYSTEM,
    ROLE_TOOL,
    ROLE_USER,
    Message,
    Part,
    Role,
    ToolCall,
    ToolResult,
)

PIECES: Final = 80
"""The pieces of text in the stream; a tool call in `ARGUMENTS` pieces follows them."""
ARGUMENTS: Final = 16

_MODEL: Final = "model-1"
_SYSTEM: Final = (
    "You look after the orders of a shop. Look a thing up before you tell it, and name what you found. " * 12
)
_ASKED: Final = "My order has not come yet, and the second parcel was to be here on Friday. Where is it? " * 3
_SAID: Final = "The first parcel was handed over this morning, and the second waits for its customs papers. " * 4
_FOUND: Final = {
    "order": "8814-22",
    "state": "in transit",
    "parcels": [
        {"carrier": "DHL", "code": f"JJD0000{number}", "place": "Leipzig", "seen": "2025-03-07T06:12:00Z"}
        for number in range(4)
    ],
}


def request() -> ChatRequest:
    """20 messages: instructions, four questions that a tool is called for, one that is answered at once, and a last."""
    messages = [_says(ROLE_SYSTEM, _SYSTEM)]
    for number in range(4):
        messages += _looked_up(number)
    messages += [_says(ROLE_USER, _ASKED), _says(ROLE_ASSISTANT, _SAID), _says(ROLE_USER, _ASKED)]
    return ChatRequest(
        model=_MODEL,
        messages=messages,
        tools=[_tool(number) for number in range(10)],
        tool_choice=ToolChoice(mode=ToolChoice.MODE_AUTO),
        sampling=Sampling(temperature=0.7),
        max_output_tokens=2000,
    )


def events() -> list[ChatEvent]:
    """An answer as it is streamed: a text, and a call of a tool."""
    start = ChatResponse(id="resp_0123456789abcdef", model=_MODEL)
    start.create_time.seconds = 1741569952
    arguments = msgspec.json.encode({"order": "8814-22", "note": "x" * 8 * ARGUMENTS}).decode()
    size = -(-len(arguments) // ARGUMENTS)
    cut = [arguments[at : at + size] for at in range(0, len(arguments), size)]
    call = ToolCall(id="call_0123456789abcdef", name="tool_3")
    return [
        ChatEvent(start=start),
        ChatEvent(part_start=PartStart(part=Part(text=""))),
        *(ChatEvent(part_delta=PartDelta(text=f" token{number:03}")) for number in range(PIECES)),
        ChatEvent(part_end=PartEnd()),
        ChatEvent(part_start=PartStart(index=1, part=Part(tool_call=call))),
        *(ChatEvent(part_delta=PartDelta(index=1, text=piece)) for piece in cut),
        ChatEvent(part_end=PartEnd(index=1)),
        ChatEvent(choice_end=ChoiceEnd(finish=Finish(reason=FINISH_REASON_TOOL_CALLS))),
        ChatEvent(usage=Usage(input_tokens=3210, output_tokens=PIECES + ARGUMENTS)),
    ]


def converse() -> list[bytes]:
    """The same answer as Bedrock's ConverseStream sends it, the data of its events."""
    wire: list[dict[str, Any]] = [{"messageStart": {"role": "assistant"}}]
    for event in events():
        match event.WhichOneof("event"):
            case "part_start" if event.part_start.part.WhichOneof("kind") == "tool_call":
                call = event.part_start.part.tool_call
                start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
                wire.append({"contentBlockStart": {"contentBlockIndex": 1, "start": start}})
            case "part_delta":
                delta, text = event.part_delta, event.part_delta.text
                piece = {"toolUse": {"input": text}} if delta.index else {"text": text}
                wire.append({"contentBlockDelta": {"contentBlockIndex": delta.index, "delta": piece}})
            case "part_end":
                wire.append({"contentBlockStop": {"contentBlockIndex": event.part_end.index}})
            case "choice_end":
                wire.append({"messageStop": {"stopReason": "tool_use"}})
            case "usage":
                used = event.usage
                counts = {"inputTokens": used.input_tokens, "outputTokens": used.output_tokens}
                wire.append({"metadata": {"usage": counts, "metrics": {"latencyMs": 1200}}})
    return [msgspec.json.encode(one) for one in wire]


def _says(role: Role.ValueType, text: str) -> Message:
    return Message(role=role, parts=[Part(text=text)])


def _looked_up(number: int) -> list[Message]:
    """A question, the call of a tool, its result, and the answer."""
    call = ToolCall(id=f"call_{number}_0123456789", name=f"tool_{number}")
    call.arguments_json = '{"order":"8814-22","limit":4,"fields":["state","parcels"]}'
    found = Part(text=msgspec.json.encode(_FOUND).decode())
    return [
        _says(ROLE_USER, _ASKED),
        Message(role=ROLE_ASSISTANT, parts=[Part(text=_SAID), Part(tool_call=call)]),
        Message(role=ROLE_TOOL, parts=[Part(tool_result=ToolResult(tool_call_id=call.id, parts=[found]))]),
        _says(ROLE_ASSISTANT, _SAID),
    ]


def _tool(number: int) -> Tool:
    properties: dict[str, Any] = {
        "order": {"type": "string", "description": "The number of the order, as in `8814-22`."},
        "since": {"type": "string", "description": "The first day that counts, such as 2025-03-01."},
        "limit": {"type": "integer", "description": "The most entries to give.", "minimum": 1, "maximum": 100},
        "fields": {
            "type": "array",
            "items": {"type": "string", "enum": ["state", "parcels", "price", "customer"]},
            "description": "What to tell of each entry.",
        },
    }
    schema = {"type": "object", "properties": properties, "required": ["order"], "additionalProperties": False}
    function = Function(name=f"tool_{number}", description="Looks up the orders of a customer by number and day. " * 3)
    function.parameters_json = msgspec.json.encode(schema).decode()
    return Tool(function=function)
