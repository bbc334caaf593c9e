"""The whole answer."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Final

from trunkline.dialects.ids import call_id, made_id
from trunkline.dialects.responses.carry import is_carrier, pack
from trunkline.dialects.responses.content import encode_output
from trunkline.dialects.responses.errors import decode_failure
from trunkline.dialects.responses.extras import DIALECT, ITEM, keep, own
from trunkline.dialects.responses.finish import decode_finish, encode_finish
from trunkline.dialects.responses.reasoning import encode_reasoning
from trunkline.dialects.responses.request import encode_request
from trunkline.dialects.responses.tools import namespaces, short_name
from trunkline.dialects.responses.turns import CALLS, DRAWN, decode_output
from trunkline.dialects.responses.usage import decode_usage, encode_usage
from trunkline.dialects.tiers import openai_tier
from trunkline.dialects.wire import Json, Object, loads, restore
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse, Choice, Finish
from trunkline.v1.content_pb2 import Media, Message, Part

_ECHOED: Final = (
    "instructions",
    "max_output_tokens",
    "parallel_tool_calls",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
)
"""The keys of a request that its response repeats, as this dialect writes them."""

_DEFAULTS: Final[dict[str, Json]] = {
    "background": False,
    "completed_at": None,
    "error": None,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": None,
    "store": False,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""What a response says where neither the provider nor the request does."""


class Echo:
    """What an answer repeats of its request, and the namespaces of the tools that it may call.

    `decided` is what the gateway itself says of the response, such as whether it is stored: it goes before all else.
    """

    def __init__(self, request: ChatRequest | None = None, decided: Mapping[str, Json] | None = None) -> None:
        self.decided = decided or {}
        self.fields: dict[str, Json] = {}
        self.namespaces: Mapping[str, str] = {}
        if request is None:
            return
        self.namespaces = namespaces(request.tools)
        asked = ChatRequest()
        asked.CopyFrom(request)
        del asked.messages[:]
        wire = encode_request(asked)
        if request.messages:
            first = ChatRequest(messages=[request.messages[0]])
            wire["instructions"] = encode_request(first).get("instructions")
        self.fields = {key: wire[key] for key in (*_ECHOED, *own(request.extras)) if key in wire}
        self.fields.pop("input", None)


def decode_response(wire: Object) -> ChatResponse:
    """Read an answer. `wire` is lenient: what it holds of other shapes than the expected is kept as extras.

    Raises `GatewayError` where the response is one that failed.
    """
    response = ChatResponse()
    decode_head(wire, response)
    status = wire.take_str("status") or "completed"
    if status == "failed":
        raise decode_failure(wire.take("error"))
    choice = response.choices.add()
    choice.message.role = content_pb2.ROLE_ASSISTANT
    parts = choice.message.parts
    adjacent = False
    for item in wire.take_objects("output"):
        is_message = item.fields.get("type") == "message"
        decode_output(item, parts, adjacent=adjacent and is_message)
        adjacent = is_message
    name_calls(parts, response.id)
    choice.finish.CopyFrom(decode_finish(status, wire.take("incomplete_details"), calls=has_calls(parts)))
    usage = wire.take_object("usage")
    if usage is not None:
        response.usage.CopyFrom(decode_usage(usage))
        wire.take("usage")
    keep(wire, response.extras)
    return response


def decode_head(wire: Object, response: ChatResponse) -> None:
    """Read what a response begins with."""
    wire.take_str("object")
    response.id = wire.take_str("id") or ""
    response.model = wire.take_str("model") or ""
    response.service_tier = wire.take_str("service_tier") or ""
    created = wire.take_number("created_at", 0, 253402300799)
    if created is not None:
        response.create_time.seconds = int(created)


def has_calls(parts: Iterable[Part]) -> bool:
    """Whether any of `parts` calls a tool of the caller's."""
    return any(part.WhichOneof("kind") == "tool_call" for part in parts)


def name_calls(parts: Iterable[Part], response_id: str) -> None:
    """Give an id to each tool call that its server gave none."""
    for position, part in enumerate(parts):
        if part.WhichOneof("kind") == "tool_call" and not part.tool_call.id:
            part.tool_call.id = call_id(response_id, 0, position)


def encode_response(
    response: ChatResponse, request: ChatRequest | None = None, decided: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    """Write an answer as OpenAI's own description has it, with every field that it requires.

    Of several choices the first is written. `request` is what it answers, parts of which it repeats; `decided` are
    fields of the response that the gateway itself decides.
    """
    echo = Echo(request, decided)
    choice = response.choices[0] if response.choices else Choice()
    output = encode_parts(choice.message, response.id, echo)
    return whole(response, output, choice.finish, echo)


def encode_parts(message: Message, response_id: str, echo: Echo) -> list[Json]:
    """Write the parts of an answer as items."""
    items: list[Json] = []
    open_message: dict[str, Json] | None = None
    for position, part in enumerate(message.parts):
        seed = f"{response_id}/{position}"
        match part.WhichOneof("kind"):
            case "text" | "refusal":
                if open_message is None or begins_item(part):
                    open_message = encode_item(part, seed, echo)
                    items.append(open_message)
                open_message["content"].append(encode_output(part))
            case "media":
                open_message = None
                items.append(encode_item(part, seed, echo))
            case "tool_result" | None:
                continue
            case "opaque" if part.opaque.dialect == DIALECT:
                open_message = None
                items.append(loads(part.opaque.json))
            case "opaque":
                open_message = None
            case _:
                open_message = None
                items.append(encode_item(part, seed, echo))
        if is_carrier(part):
            open_message = None
            items.append(carrier(part, seed))
    return items


def begins_item(part: Part) -> bool:
    """Whether a text or a refusal begins a message of its own, rather than go on with the one before it."""
    return DIALECT in part.extras and own(part.extras).get(ITEM) is not None


def encode_item(part: Part, seed: str, echo: Echo) -> dict[str, Json]:
    """Write the item that `part` begins: whole for reasoning and calls, still without content for a message."""
    kept = own(part.extras).get(ITEM) if DIALECT in part.extras else None
    item: dict[str, Json] = kept if isinstance(kept, dict) else {}
    match part.WhichOneof("kind"):
        case "tool_call":
            kind = item.get("type")
            if kind not in CALLS:
                kind = "function_call"
            name = part.tool_call.name
            wire: dict[str, Json] = {
                "type": kind,
                "id": made_id("fc_" if kind == "function_call" else "ctc_", seed),
                "status": "completed",
                "call_id": part.tool_call.id,
            }
            if name in echo.namespaces:
                wire["namespace"] = echo.namespaces[name]
                name = short_name(wire["namespace"], name)
            wire |= {"name": name, CALLS[kind]: part.tool_call.arguments_json, **item, "type": kind}
            if part.extras:
                restore(wire, part.extras, DIALECT)
                wire.pop(ITEM, None)
            return wire
        case "media":
            return _encode_media(part.media, seed)
        case "reasoning":
            if DIALECT in part.extras:
                wire = encode_reasoning(part)
            else:
                text = part.reasoning.text
                wire = {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}] if text else []}
            carried = pack(part)
            if carried is not None:
                wire["encrypted_content"] = carried
            return {"id": made_id("rs_", seed), **wire}
        case _:
            return {
                "id": made_id("msg_", seed),
                "role": "assistant",
                "status": "completed",
                **item,
                "type": "message",
                "content": [],
            }


def _encode_media(media: Media, seed: str) -> dict[str, Json]:
    """What the model drew, as an image that was generated; media of other sorts as a message that names them."""
    head, _, data = media.uri.partition(",")
    if media.WhichOneof("source") == "data":
        data = b64encode(media.data).decode("ascii")
    if media.media_type.startswith("image/") and data and (head.endswith(";base64") or not head):
        return {
            "type": DRAWN,
            "id": made_id("ig_", seed),
            "status": "completed",
            "output_format": media.media_type.removeprefix("image/"),
            "result": data,
        }
    text = f"[{media.filename or media.media_type}]({media.uri or media.file_id})"
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {
        "id": made_id("msg_", seed),
        "role": "assistant",
        "status": "completed",
        "type": "message",
        "content": content,
    }


def carrier(part: Part, seed: str) -> dict[str, Json]:
    """An item for what `part` holds for other dialects."""
    return {
        "type": "reasoning",
        "id": made_id("rs_", f"{seed}/carrier"),
        "summary": [],
        "encrypted_content": pack(part),
    }


def whole(response: ChatResponse, output: list[Json], finish: Finish, echo: Echo) -> dict[str, Json]:
    """A response around its items, with every field that OpenAI's description requires."""
    status, details = encode_finish(finish)
    wire = head(response, echo, status)
    wire |= {"output": output, "incomplete_details": details}
    wire["usage"] = encode_usage(response.usage) if response.HasField("usage") else None
    return wire


def head(response: ChatResponse, echo: Echo, status: str) -> dict[str, Json]:
    """A response that holds nothing yet."""
    wire: dict[str, Json] = {
        "id": response.id,
        "object": "response",
        "created_at": response.create_time.seconds,
        "status": status,
        "model": response.model,
        "output": [],
        "incomplete_details": None,
        "usage": None,
    }
    if response.service_tier:
        wire["service_tier"] = openai_tier(response.service_tier)
    if response.extras:
        restore(wire, response.extras, DIALECT)
    for fields in (echo.fields, _DEFAULTS):
        for key, value in fields.items():
            if wire.get(key) is None:
                wire[key] = value
    wire.update(echo.decided)
    return wire
