"""The request of `POST /v2/chat` (docs.cohere.com/reference/chat). Cohere refuses fields that it does not know."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from trunkline.call import Loss, LossKind
from trunkline.dialects.anthropic.objects import typed_object
from trunkline.dialects.drawn import shown
from trunkline.dialects.foreign import foreign_losses
from trunkline.dialects.turn import turns_of
from trunkline.dialects.wire import Json, loads, raw, restore
from trunkline.errors import unsupported
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ReasoningConfig, Sampling, Tool
from trunkline.v1.content_pb2 import Media, Message, Part

DIALECT: Final = "cohere"
"""The dialect's name in `extras`."""

PLAN: Final = '{"tool_plan":true}'
"""What marks a reasoning part that Cohere wrote as `tool_plan`."""

_ROLES: Final[dict[int, str]] = {
    content_pb2.ROLE_SYSTEM: "system",
    content_pb2.ROLE_DEVELOPER: "system",
    content_pb2.ROLE_USER: "user",
    content_pb2.ROLE_TOOL: "user",
}

_SAMPLING: Final[dict[str, tuple[str, float, float]]] = {
    "temperature": ("temperature", 0, math.inf),
    "top_p": ("p", 0.01, 0.99),
    "top_k": ("k", 0, 500),
    "frequency_penalty": ("frequency_penalty", 0, 1),
    "presence_penalty": ("presence_penalty", 0, 1),
    "seed": ("seed", 0, math.inf),
}
"""Field of `Sampling` -> Cohere's name, and the least and the most that it takes."""

_MOST_STOPS: Final = 5

_THOUGHTLESS: Final = re.compile(r"command(?:$|-(?:light|nightly|r|a-(?:03|translate|vision)))|aya")
"""The models that do not reason, and refuse to be told to."""


def reasons(model: str) -> bool:
    """Whether `model` can be told to reason: one that nothing is known of can."""
    return _THOUGHTLESS.search(model) is None


def encode_request(request: ChatRequest, losses: list[Loss], *, reasoning: bool = True) -> dict[str, Json]:
    """Write a request to a model that can be told to reason, or cannot; what Cohere cannot take is added to `losses`.

    Raises `GatewayError` (UNSUPPORTED) where leaving it out would change what the conversation says.
    """
    turns = turns_of(request)
    foreign_losses(request, turns, request.tools, DIALECT, losses)
    messages = _encode_messages([turn[0] for turn in shown(turns, losses)], losses)
    wire: dict[str, Json] = {"model": request.model, "messages": messages}
    tools = [one for index, tool in enumerate(request.tools) if (one := _encode_tool(tool, index, losses))]
    if tools:
        wire["tools"] = tools
    _encode_tool_choice(request, wire, losses)
    _encode_response_format(request, wire, losses)
    _encode_sampling(request.sampling, wire, losses)
    if request.HasField("reasoning"):
        _encode_reasoning(request.reasoning, wire, losses, reasoning=reasoning)
    if request.HasField("max_output_tokens"):
        wire["max_tokens"] = request.max_output_tokens
    stops = [word for word in request.stop_sequences if word]
    if len(stops) > _MOST_STOPS:
        losses.append(Loss("stop", LossKind.APPROXIMATED))
    if stops:
        wire["stop_sequences"] = stops[:_MOST_STOPS]
    if request.HasField("top_logprobs"):
        wire["logprobs"] = True
        if request.top_logprobs:
            losses.append(Loss("top_logprobs"))
    if request.HasField("parallel_tool_calls"):
        losses.append(Loss("parallel_tool_calls"))
    losses.extend(Loss(name) for name in ("user", "service_tier") if getattr(request, name))
    restore(wire, request.extras, DIALECT)
    return wire


def _encode_messages(messages: Sequence[Message], losses: list[Loss]) -> list[Json]:
    wires: list[Json] = []
    images: list[Part] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        rest: list[Part] = []
        if message.role == content_pb2.ROLE_ASSISTANT:
            wires.append(_encode_assistant(message, path, losses))
            continue
        for part in message.parts:
            if part.WhichOneof("kind") == "tool_result":
                wires.append(_encode_result(part, path, images, losses))
            else:
                rest.append(part)
        answered = index + 1 == len(messages) or messages[index + 1].role != content_pb2.ROLE_TOOL
        if images and answered:
            # Nothing may stand between the results of one turn.
            wires.append({"role": "user", "content": _encode_content(images, path, losses)})
            losses.append(Loss(f"{path}.tool_result.image", LossKind.APPROXIMATED))
            images = []
        content = _encode_content(rest, path, losses)
        # Cohere refuses a message without a word.
        if content:
            wires.append({"role": _ROLES.get(message.role, "user"), "content": content})
    if wires and wires[-1]["role"] == "system":
        # Cohere answers a user or a tool: instructions that come last are said by the user.
        wires[-1]["role"] = "user"
        losses.append(Loss(f"messages[{len(messages) - 1}].role", LossKind.APPROXIMATED))
    return wires


def _encode_result(part: Part, path: str, images: list[Part], losses: list[Loss]) -> dict[str, Json]:
    """Write the result of a tool; its images, which cannot stand in it, are put to `images`."""
    result = part.tool_result
    if result.failed:
        losses.append(Loss(f"{path}.is_error"))
    images += (inner for inner in result.parts if inner.HasField("media"))
    texts = [inner for inner in result.parts if not inner.HasField("media")]
    return {"role": "tool", "tool_call_id": result.tool_call_id, "content": _encode_content(texts, path, losses)}


def _encode_assistant(message: Message, path: str, losses: list[Loss]) -> dict[str, Json]:
    wire: dict[str, Json] = {"role": "assistant"}
    content: list[Part] = []
    calls: list[Json] = []
    for part in message.parts:
        match part.WhichOneof("kind"):
            case "tool_call":
                function = {"name": part.tool_call.name, "arguments": part.tool_call.arguments_json or "{}"}
                calls.append({"id": part.tool_call.id, "type": "function", "function": function})
            case "reasoning" if part.extras.get(DIALECT) == PLAN:
                wire["tool_plan"] = wire.get("tool_plan", "") + part.reasoning.text
            case "reasoning" if DIALECT not in part.extras:
                # Another provider's: Cohere takes back its own alone.
                pass
            case _:
                content.append(part)
    if content or not calls:
        wire["content"] = _encode_content(content, path, losses)
    if calls:
        wire["tool_calls"] = calls
    return wire


def _encode_content(parts: Iterable[Part], path: str, losses: list[Loss]) -> Json:
    """A bare text where that is all, an array otherwise."""
    wires = [wire for index, part in enumerate(parts) if (wire := _encode_part(part, f"{path}.parts[{index}]", losses))]
    if not wires:
        return ""
    return wires[0]["text"] if len(wires) == 1 and wires[0].keys() == {"type", "text"} else wires


def _encode_part(part: Part, path: str, losses: list[Loss]) -> dict[str, Json] | None:
    kind = part.WhichOneof("kind")
    if part.HasField("cache"):
        losses.append(Loss("cache_control"))
    match kind:
        case "text":
            return {"type": "text", "text": part.text}
        case "refusal":
            return {"type": "text", "text": part.refusal}
        case "reasoning":
            return {"type": "thinking", "thinking": part.reasoning.text}
        case "media":
            return {"type": "image_url", "image_url": {"url": image_address(part.media, path)}}
        case "opaque":
            block = loads(part.opaque.json)
            if part.opaque.dialect == DIALECT and isinstance(block, dict):
                return block
            losses.append(Loss(f"{path}.{part.opaque.dialect}"))
            return None
        case "tool_call" | "tool_result" | None:
            raise unsupported(f"`{path}` cannot stand in this message.", path)
        case _:
            assert_never(kind)


def image_address(media: Media, path: str) -> str:
    """The address of an image, which may hold its data. Raises `GatewayError` (UNSUPPORTED) where it has none."""
    if not media.media_type.startswith("image/"):
        raise unsupported(f"`{path}` is of type `{media.media_type}`; Cohere takes texts and images alone.", path)
    match media.WhichOneof("source"):
        case "uri":
            return media.uri
        case "data":
            return f"data:{media.media_type};base64,{base64.b64encode(media.data).decode()}"
        case _:
            raise unsupported(f"`{path}` names an uploaded file, which Cohere does not have.", path)


def _encode_tool(tool: Tool, index: int, losses: list[Loss]) -> Json:
    if tool.WhichOneof("kind") == "native":
        losses.append(Loss(f"tools[{index}]"))
        return None
    if tool.HasField("cache"):
        losses.append(Loss("cache_control"))
    function: dict[str, Json] = {"name": tool.function.name}
    if tool.function.description:
        function["description"] = tool.function.description
    schema = tool.function.parameters_json or '{"type":"object","properties":{}}'
    path = f"tools[{index}].function.parameters_json"
    function["parameters"] = raw(schema, path)
    if typed_object(schema) is None and isinstance(parameters := loads(schema), dict):
        function["parameters"] = {"type": "object", **parameters}
    return {"type": "function", "function": function}


def _encode_tool_choice(request: ChatRequest, wire: dict[str, Json], losses: list[Loss]) -> None:
    if any(tool.function.strict for tool in request.tools):
        wire["strict_tools"] = True
    choice = request.tool_choice
    if not wire.get("tools"):
        if choice.name or choice.mode == chat_pb2.ToolChoice.MODE_REQUIRED:
            losses.append(Loss("tool_choice"))
    elif choice.WhichOneof("choice") == "name":
        # Cohere knows no choice of one tool: it gets that tool alone, and must call one.
        named = [tool for tool in wire["tools"] if tool["function"]["name"] == choice.name]
        wire["tools"] = named or wire["tools"]
        wire["tool_choice"] = "REQUIRED"
        if len(named) < len(request.tools):
            losses.append(Loss("tool_choice", LossKind.APPROXIMATED))
    elif choice.mode == chat_pb2.ToolChoice.MODE_REQUIRED:
        wire["tool_choice"] = "REQUIRED"
    elif choice.mode == chat_pb2.ToolChoice.MODE_NONE:
        wire["tool_choice"] = "NONE"


def _encode_response_format(request: ChatRequest, wire: dict[str, Json], losses: list[Loss]) -> None:
    if request.response_format.WhichOneof("kind") is None:
        return
    if "tools" in wire:
        # Cohere refuses the two together.
        losses.append(Loss("response_format"))
        return
    form: dict[str, Json] = {"type": "json_object"}
    schema = request.response_format.json_schema.schema_json
    if schema:
        form["json_schema"] = raw(schema, "response_format.json_schema.schema_json")
    wire["response_format"] = form
    if request.response_format.json_schema.description:
        losses.append(Loss("response_format.json_schema.description"))


def _encode_sampling(sampling: Sampling, wire: dict[str, Json], losses: list[Loss]) -> None:
    for field, (name, least, most) in _SAMPLING.items():
        if sampling.HasField(field):  # type: ignore[arg-type]  # the keys of the table are fields
            value = getattr(sampling, field)
            wire[name] = min(max(value, least), most)
            if wire[name] != value:
                losses.append(Loss(field, LossKind.APPROXIMATED))


def _encode_reasoning(config: ReasoningConfig, wire: dict[str, Json], losses: list[Loss], *, reasoning: bool) -> None:
    off = config.effort == "none" or (config.HasField("enabled") and not config.enabled)
    if not reasoning:
        if not off:
            losses.append(Loss("reasoning_effort" if config.effort else "reasoning"))
        return
    thinking: dict[str, Json] = {"type": "disabled" if off else "enabled"}
    if config.HasField("budget_tokens") and not off:
        thinking["token_budget"] = max(config.budget_tokens, 1)
    elif config.effort and not off:
        losses.append(Loss("reasoning_effort", LossKind.APPROXIMATED))
    if config.summary:
        losses.append(Loss("reasoning.summary"))
    wire["thinking"] = thinking
