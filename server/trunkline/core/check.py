"""What every request must hold to, whichever surface it came by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.errors import GatewayError, invalid_request
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Sampling, ToolChoice
from trunkline.v1.content_pb2 import Message, Part, Role, ToolResult
from trunkline.v1.embeddings_pb2 import EmbedRequest

_MOST_PROMPTS: Final = 128

_ROLES: Final = frozenset(Role.values()) - {content_pb2.ROLE_UNSPECIFIED}
_SPEAKING: Final = _ROLES - {content_pb2.ROLE_TOOL}
"""The roles of which a text alone is a message."""
_MODES: Final = frozenset(ToolChoice.Mode.values())


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one request may hold."""

    messages: int = 8192
    tools: int = 512
    inputs: int = 4096


class _Calls:
    """The ids of the tool calls so far, and whether a block was among them that only its own dialect can read."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.opaque = False


def check(request: ChatRequest, limits: Limits) -> None:
    """Raise `GatewayError` (INVALID_REQUEST), naming the field, where `request` cannot be answered by any target."""
    if not request.model:
        raise invalid_request("`model` is required.", "model")
    if request.HasField("completion"):
        _check_completion(request)
    elif not request.messages:
        raise invalid_request("`messages` must hold at least one message.", "messages")
    if len(request.messages) > limits.messages:
        raise invalid_request(
            f"`messages` holds {len(request.messages)} messages; at most {limits.messages} are taken.", "messages"
        )
    if len(request.tools) > limits.tools:
        raise invalid_request(f"`tools` holds {len(request.tools)} tools; at most {limits.tools} are taken.", "tools")
    # Slices are lists of Python's own: to walk through them costs less than to walk through the fields.
    for index, tool in enumerate(request.tools[:]):
        match tool.WhichOneof("kind"):
            case "function":
                if not tool.function.name:
                    raise invalid_request(
                        f"`tools[{index}].function.name` is required.", f"tools[{index}].function.name"
                    )
            case None:
                raise invalid_request(f"`tools[{index}]` has no kind, or one that this gateway does not know.", "tools")
    if request.tool_choice.mode not in _MODES:
        raise invalid_request("`tool_choice.mode` is one that this gateway does not know.", "tool_choice.mode")
    if request.HasField("sampling"):
        _check_sampling(request.sampling)
    _check_range("max_output_tokens", request.max_output_tokens, 1, None, request.HasField("max_output_tokens"))
    _check_range("choice_count", request.choice_count, 1, 128, request.HasField("choice_count"))
    _check_range("top_logprobs", request.top_logprobs, 0, None, request.HasField("top_logprobs"))
    calls = _Calls()
    for index, message in enumerate(request.messages[:]):
        _check_message(index, message, calls)


def check_embed(request: EmbedRequest, limits: Limits) -> None:
    """As `check`, for what is to be embedded."""
    if not request.model:
        raise invalid_request("`model` is required.", "model")
    if not request.inputs:
        raise invalid_request("`inputs` must hold at least one input.", "inputs")
    if len(request.inputs) > limits.inputs:
        raise invalid_request(
            f"`inputs` holds {len(request.inputs)} inputs; at most {limits.inputs} are taken.", "inputs"
        )
    _check_range("dimensions", request.dimensions, 1, None, request.HasField("dimensions"))
    for index, item in enumerate(request.inputs):
        if item.WhichOneof("kind") is None:
            path = f"inputs[{index}]"
            raise invalid_request(f"`{path}` has no kind, or one that this gateway does not know.", path)


def _check_completion(request: ChatRequest) -> None:
    if request.messages:
        raise invalid_request("`messages` must be empty beside `completion`.", "messages")
    prompts = request.completion.prompts
    if not 0 < len(prompts) <= _MOST_PROMPTS:
        raise invalid_request(f"`completion.prompts` must hold 1 to {_MOST_PROMPTS} prompts.", "completion.prompts")
    for index, prompt in enumerate(prompts):
        if prompt.WhichOneof("kind") is None:
            path = f"completion.prompts[{index}]"
            raise invalid_request(f"`{path}` has no kind, or one that this gateway does not know.", path)


def _check_sampling(sampling: Sampling) -> None:
    _check_range("sampling.temperature", sampling.temperature, 0, None, sampling.HasField("temperature"))
    _check_range("sampling.top_p", sampling.top_p, 0, 1, sampling.HasField("top_p"))
    _check_range("sampling.top_k", sampling.top_k, -1, None, sampling.HasField("top_k"))
    _check_range(
        "sampling.frequency_penalty", sampling.frequency_penalty, -2, 2, sampling.HasField("frequency_penalty")
    )
    _check_range("sampling.presence_penalty", sampling.presence_penalty, -2, 2, sampling.HasField("presence_penalty"))


def _check_range(name: str, value: float, least: float, most: float | None, present: bool) -> None:
    if present and not (math.isfinite(value) and value >= least and (most is None or value <= most)):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise invalid_request(f"`{name}` must be {bounds}, not {value}.", name)


def _check_message(index: int, message: Message, calls: _Calls) -> None:
    role, parts = message.role, message.parts[:]
    if role not in _ROLES:
        path = f"messages[{index}].role"
        if role == content_pb2.ROLE_UNSPECIFIED:
            raise invalid_request(f"`{path}` is required.", path)
        raise invalid_request(f"`{path}` is one that this gateway does not know.", path)
    if role not in _SPEAKING or len(parts) != 1 or not parts[0].text:
        _check_parts(f"messages[{index}]", role, parts, calls)


def _check_parts(path: str, role: Role.ValueType, parts: Sequence[Part], calls: _Calls) -> None:
    if not parts and role != content_pb2.ROLE_ASSISTANT:
        raise invalid_request(f"`{path}` is empty, which only a turn of the assistant may be.", path)
    results = False
    for part in parts:
        match part.WhichOneof("kind"):
            case "tool_call":
                if role != content_pb2.ROLE_ASSISTANT:
                    raise invalid_request(f"`{path}` calls a tool, which only the assistant may do.", path)
                calls.ids.add(part.tool_call.id)
            case "reasoning":
                if role != content_pb2.ROLE_ASSISTANT:
                    raise invalid_request(f"`{path}` holds reasoning, which only the assistant may do.", path)
            case "opaque":
                # It may be a call that only its own dialect can read: then nothing is known of the calls.
                calls.opaque = True
            case "tool_result":
                results = True
                _check_result(path, part.tool_result, calls)
            case None:
                raise _unknown_kind(path)
    if role == content_pb2.ROLE_TOOL and not results:
        raise invalid_request(f"`{path}` is a turn of the tools without the result of a call.", path)


def _check_result(path: str, result: ToolResult, calls: _Calls) -> None:
    if not calls.opaque and result.tool_call_id not in calls.ids:
        raise invalid_request(
            f"`{path}` answers the tool call `{result.tool_call_id[:256]}`, which no earlier message made.", path
        )
    for part in result.parts[:]:
        match part.WhichOneof("kind"):
            case "tool_call" | "tool_result" | "reasoning":
                raise invalid_request(f"`{path}` has a result that holds more than content.", path)
            case None:
                raise _unknown_kind(path)


def _unknown_kind(path: str) -> GatewayError:
    return invalid_request(f"`{path}` has a part without a kind, or of one that this gateway does not know.", path)
