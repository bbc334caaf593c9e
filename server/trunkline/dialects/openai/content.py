"""Messages and their parts."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any, Final, assert_never

import msgspec

from trunkline.dialects.openai.media import decode_media, encode_media
from trunkline.dialects.openai.profile import Writing
from trunkline.dialects.wire import Json, Object, loads, restore, text_of
from trunkline.errors import invalid_request, unsupported
from trunkline.v1 import content_pb2
from trunkline.v1.content_pb2 import CacheBreakpoint, Message, Part, Role, ToolCall

DIALECT = "openai"

_ROLES: Final[dict[str, Role.ValueType]] = {
    "system": content_pb2.ROLE_SYSTEM,
    "developer": content_pb2.ROLE_DEVELOPER,
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
    "tool": content_pb2.ROLE_TOOL,
    "function": content_pb2.ROLE_TOOL,
}

_NAMES: Final[dict[int, str]] = {
    content_pb2.ROLE_SYSTEM: "system",
    content_pb2.ROLE_DEVELOPER: "developer",
    content_pb2.ROLE_USER: "user",
    content_pb2.ROLE_ASSISTANT: "assistant",
    content_pb2.ROLE_TOOL: "tool",
}

_KINDS: Final = frozenset({"text", "image_url", "video_url", "input_audio", "file", "refusal"})
"""The types of part that the contract has a kind for."""

_TTLS: Final = {None: None, "5m": 300, "1h": 3600}
"""Anthropic's `cache_control.ttl`, which OpenRouter and others take in OpenAI's language -> seconds."""


def decode_message(wire: Object, message: Message) -> None:
    """Read one message of a request."""
    word = wire.need_str("role")
    role = _ROLES.get(word)
    if role is None:
        raise invalid_request(
            f"`{wire.at('role')}` must be one of {', '.join(f'`{name}`' for name in _ROLES)}, not `{word[:64]}`.",
            wire.at("role"),
        )
    message.role = role
    message.name = (wire.take_str("name") if word != "function" else None) or ""
    if role == content_pb2.ROLE_TOOL:
        result = message.parts.add().tool_result
        if word == "function":
            result.name = wire.need_str("name")
        else:
            result.tool_call_id = wire.need_str("tool_call_id")
        _decode_content(wire, result.parts)
    elif role == content_pb2.ROLE_ASSISTANT:
        decode_assistant(wire, message)
    else:
        _decode_content(wire, message.parts)
        if not message.parts:
            raise invalid_request(f"`{wire.at('content')}` is required.", wire.at("content"))
    wire.keep(message.extras, DIALECT)


def decode_assistant(wire: Object, message: Message) -> None:
    """Read what an assistant's message holds: reasoning, text, refusal and tool calls, in this order."""
    _decode_reasoning(wire, message)
    _decode_content(wire, message.parts)
    refusal = wire.take_str("refusal")
    if refusal is not None:
        message.parts.add().refusal = refusal
    for call in wire.take_objects("tool_calls"):
        decode_call(call, message.parts.add())
    function = wire.take_object("function_call")
    if function is not None:
        # The form that `tool_calls` replaced: a call without an id.
        decode_function(function, message.parts.add().tool_call)


def decode_call(wire: Object, part: Part) -> None:
    """Read one tool call. A call of another type than `function` is carried verbatim."""
    if wire.fields.get("type") not in (None, "", "function"):
        _decode_opaque(wire, part)
        return
    wire.take("type")
    part.tool_call.id = wire.take_str("id") or ""
    function = wire.take_object("function")
    if function is None:
        raise invalid_request(f"`{wire.at('function')}` is required.", wire.at("function"))
    decode_function(function, part.tool_call)
    wire.take("index")
    _take_foreign(wire, part.extras)
    wire.keep(part.extras, DIALECT)


def decode_function(wire: Object, call: ToolCall) -> None:
    """Read the name and the arguments of a call; some servers write the arguments as an object, or not at all."""
    call.name = wire.need_str("name")
    arguments = wire.take("arguments")
    call.arguments_json = arguments if type(arguments) is str else "" if arguments is None else text_of(arguments)


def _decode_reasoning(wire: Object, message: Message) -> None:
    content = wire.take_str("reasoning_content")
    reasoning = wire.take_str("reasoning")
    text = content if content is not None else reasoning
    details = wire.take_list("reasoning_details")
    if text is None and not details:
        return
    part = message.parts.add()
    part.reasoning.text = text or ""
    if details:
        part.extras[DIALECT] = text_of({"reasoning_details": details})


def _decode_content(wire: Object, parts: Any) -> None:
    content = wire.fields.get("content")
    if type(content) is str:
        del wire.fields["content"]
        parts.add().text = content
        return
    for item in wire.take_objects("content"):
        decode_part(item, parts.add())


def decode_part(wire: Object, part: Part) -> None:
    """Read one part of a message's content. A type that the contract has no kind for is carried verbatim."""
    kind = wire.fields.get("type")
    if kind not in _KINDS:
        if type(kind) is not str:
            wire.need_str("type")
        _decode_opaque(wire, part)
        return
    del wire.fields["type"]
    match kind:
        case "text":
            part.text = wire.need_str("text")
        case "image_url" | "video_url" | "input_audio" | "file":
            decode_media(wire, kind, part.media)
        case "refusal":
            part.refusal = wire.need_str("refusal")
    if "cache_control" in wire.fields:
        take_cache(wire, part.cache)
    _take_foreign(wire, part.extras)
    wire.keep(part.extras, DIALECT)


def _decode_opaque(wire: Object, part: Part) -> None:
    part.opaque.dialect = DIALECT
    part.opaque.json = text_of(wire.fields)


def take_cache(wire: Object, cache: CacheBreakpoint) -> None:
    """Read `cache_control` where it is of the known form; left alone otherwise."""
    mark = wire.fields["cache_control"]
    if isinstance(mark, dict) and mark.get("type") == "ephemeral" and mark.keys() <= {"type", "ttl"}:
        ttl = mark.get("ttl")
        if ttl is None or (isinstance(ttl, str) and ttl in _TTLS):
            del wire.fields["cache_control"]
            cache.SetInParent()
            seconds = _TTLS[ttl]
            if seconds is not None:
                cache.ttl.seconds = seconds


def encode_cache(cache: CacheBreakpoint) -> dict[str, Json]:
    """The mark that `take_cache` reads."""
    if not cache.HasField("ttl"):
        return {"type": "ephemeral"}
    return {"type": "ephemeral", "ttl": "1h" if cache.ttl.seconds > 300 else "5m"}


def _take_foreign(wire: Object, extras: MutableMapping[str, str]) -> None:
    """Read `extra_content`, where the extras of other dialects travel through this one."""
    foreign = wire.fields.get("extra_content")
    if not isinstance(foreign, dict):
        return
    for dialect in [name for name in foreign if name in FOREIGN]:
        extras[dialect] = text_of(foreign.pop(dialect))
    if not foreign:
        del wire.fields["extra_content"]


FOREIGN: Final = frozenset({"anthropic", "gemini", "responses", "bedrock"})
"""The dialects whose extras travel in `extra_content`."""


def encode_message(message: Message, to: Writing, path: str) -> list[dict[str, Json]]:
    """Write one message: several where it holds the results of several tool calls."""
    results = [part for part in message.parts if part.WhichOneof("kind") == "tool_result"]
    if not results:
        return [_encode_turn(message, to, path)]
    wires: list[dict[str, Json]] = []
    for part in results:
        result = part.tool_result
        wire: dict[str, Json] = {"role": "tool", "tool_call_id": result.tool_call_id}
        if not result.tool_call_id and result.name:
            wire = {"role": "function", "name": result.name}
        wire["content"] = _encode_content(result.parts, to, path)
        restore(wire, message.extras, DIALECT)
        wires.append(wire)
    rest = Message(role=content_pb2.ROLE_USER)
    rest.parts.extend(part for part in message.parts if part.WhichOneof("kind") != "tool_result")
    if rest.parts:
        wires.append(_encode_turn(rest, to, path))
    return wires


def _encode_turn(message: Message, to: Writing, path: str) -> dict[str, Json]:
    role = _NAMES.get(message.role, "user")
    if role == "developer" and not to.profile.developer_role:
        role = "system"
    wire: dict[str, Json] = {"role": role}
    if message.name:
        wire["name"] = message.name
    if message.role == content_pb2.ROLE_ASSISTANT:
        encode_assistant(message, wire, to, path)
    else:
        wire["content"] = _encode_content(message.parts, to, path)
    restore(wire, message.extras, DIALECT)
    return wire


def encode_assistant(message: Message, wire: dict[str, Json], to: Writing, path: str) -> None:
    """Write what an assistant's message holds into `wire`."""
    content: list[Part] = []
    calls: list[Json] = []
    reasoning: list[Part] = []
    refusals: list[str] = []
    for index, part in enumerate(message.parts):
        kind = part.WhichOneof("kind")
        match kind:
            case "text" | "media":
                content.append(part)
            case "tool_call":
                if part.tool_call.id:
                    calls.append(encode_call(part))
                else:
                    wire["function_call"] = {
                        "name": part.tool_call.name,
                        "arguments": part.tool_call.arguments_json,
                    }
            case "reasoning":
                reasoning.append(part)
            case "refusal":
                refusals.append(part.refusal)
            case "opaque":
                _encode_opaque(part, content, calls, f"{path}.parts[{index}]")
            case "tool_result" | None:
                raise unsupported(f"`{path}.parts[{index}]` cannot stand in an assistant's message.", path)
            case _:
                assert_never(kind)
    wire["content"] = _encode_content(content, to, path) if content else None
    if reasoning:
        _encode_reasoning(reasoning, wire, to)
    if refusals:
        wire["refusal"] = "".join(refusals)
    if calls:
        wire["tool_calls"] = calls


def _encode_opaque(part: Part, content: list[Part], calls: list[Json], path: str) -> None:
    if part.opaque.dialect != DIALECT:
        raise unsupported(
            f"`{path}` is a block that only `{part.opaque.dialect}` can read; this target cannot take it.", path
        )
    block = loads(part.opaque.json)
    if isinstance(block, dict) and "id" in block:
        # A call of another type, such as a custom tool's: the parts of a content have no id.
        calls.append(block)
    else:
        content.append(part)


def encode_call(part: Part) -> dict[str, Json]:
    """Write one tool call."""
    call = part.tool_call
    wire: dict[str, Json] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments_json},
    }
    put_foreign(wire, part.extras)
    restore(wire, part.extras, DIALECT)
    return wire


def put_foreign(wire: dict[str, Json], extras: MutableMapping[str, str]) -> None:
    """Write the extras of other dialects into `extra_content`."""
    for dialect, text in extras.items():
        if dialect in FOREIGN:
            wire.setdefault("extra_content", {})[dialect] = msgspec.Raw(text.encode())


def _encode_reasoning(parts: list[Part], wire: dict[str, Json], to: Writing) -> None:
    """Give a server back the reasoning that it takes; which field it is in is the server's own."""
    for part in parts:
        restore(wire, part.extras, DIALECT)
    text = "".join(part.reasoning.text for part in parts)
    if to.profile.reasoning is not None and text:
        wire[to.profile.reasoning] = text


def _encode_content(parts: Iterable[Part], to: Writing, path: str) -> Json:
    """A bare text where that is all, an array otherwise."""
    wires = [_encode_part(part, to, f"{path}.parts[{index}]") for index, part in enumerate(parts)]
    if len(wires) == 1 and wires[0].keys() == {"type", "text"}:
        return wires[0]["text"]
    return wires


def _encode_part(part: Part, to: Writing, path: str) -> dict[str, Json]:
    kind = part.WhichOneof("kind")
    wire: dict[str, Json]
    match kind:
        case "text":
            wire = {"type": "text", "text": part.text}
        case "media":
            wire = encode_media(part.media, path)
        case "refusal":
            wire = {"type": "refusal", "refusal": part.refusal}
        case "opaque":
            if part.opaque.dialect != DIALECT:
                raise unsupported(
                    f"`{path}` is a block that only `{part.opaque.dialect}` can read; this target cannot take it.", path
                )
            block = loads(part.opaque.json)
            if not isinstance(block, dict):
                raise invalid_request(f"`{path}.opaque.json` must be the text of a JSON object.", path)
            wire = block
        case "tool_call" | "tool_result" | "reasoning" | None:
            raise unsupported(f"`{path}` cannot stand in this message.", path)
        case _:
            assert_never(kind)
    if part.HasField("cache"):
        if to.profile.cache_control:
            wire["cache_control"] = encode_cache(part.cache)
        else:
            to.lose("cache_control")
    restore(wire, part.extras, DIALECT)
    return wire
