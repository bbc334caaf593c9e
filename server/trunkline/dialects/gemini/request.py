"""The request of `generateContent`."""

from __future__ import annotations

from typing import Final

from trunkline.call import Loss
from trunkline.dialects.foreign import foreign_losses
from trunkline.dialects.gemini.config import decode_config, encode_config
from trunkline.dialects.gemini.content import (
    Calls,
    decode_content,
    decode_plain_text,
    encode_contents,
    take_parts,
)
from trunkline.dialects.gemini.names import DIALECT, camel
from trunkline.dialects.gemini.plain import CONTENT, decode_plain
from trunkline.dialects.gemini.profile import NATIVE, Profile, Writing
from trunkline.dialects.gemini.tools import TOOLS, decode_choice, encode_choice, encode_tools
from trunkline.dialects.turn import turns_of
from trunkline.dialects.wire import Json, Object, restore
from trunkline.errors import invalid_request
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest

_TIERS: Final = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
"""`ChatRequest.service_tier` -> Google's word. `auto` is what Google does by itself."""


TEXTS: Final = ("contents",)
"""What `decode_request` reads straight from its text, where `known.open_request` left it that."""


def decode_request(wire: Object, model: str = "") -> ChatRequest:
    """Read a request for `model`, whose name the path tells.

    Raises `GatewayError` (INVALID_REQUEST), naming the field.
    """
    camel(wire.fields)
    named = wire.take_str("model") or ""
    request = ChatRequest(model=(model or named).removeprefix("models/"))
    _decode_system(wire, request)
    if wire.fields.get("contents") is None:
        raise invalid_request("`contents` is required.", "contents")
    wire.put_into_array("contents")
    calls = Calls()
    messages = request.messages
    for item in wire.take_shaped("contents", CONTENT, decode_plain, (messages, calls)):
        decode_content(item, messages.add(), item.index or 0, calls)
    TOOLS.read(wire, request)
    decode_choice(wire, request)
    config = wire.take_object("generationConfig")
    if config is not None:
        decode_config(config, request)
    tier = wire.take_str("serviceTier")
    if tier:
        request.service_tier = "default" if tier.lower() == "standard" else tier.lower()
    if not messages:
        raise invalid_request("`contents` must hold at least one content.", "contents")
    wire.keep(request.extras, DIALECT)
    return request


def _decode_system(wire: Object, request: ChatRequest) -> None:
    if isinstance(wire.fields.get("systemInstruction"), str):
        wire.fields["systemInstruction"] = {"parts": [{"text": wire.fields["systemInstruction"]}]}
    system = wire.take_object("systemInstruction")
    if system is None:
        return
    # Google reads no role here, whatever its clients write.
    system.take("role")
    message = request.messages.add(role=content_pb2.ROLE_SYSTEM)
    for item in take_parts(system, decode_plain_text, message.parts):
        part = message.parts.add()
        part.text = item.need_str("text")
        item.keep(part.extras, DIALECT)
    if not message.parts:
        del request.messages[-1]


def encode_request(
    request: ChatRequest, profile: Profile = NATIVE, losses: list[Loss] | None = None
) -> dict[str, Json]:
    """Write a request for a model of `profile`, which the path will name; what it cannot take is added to `losses`.

    Raises `GatewayError`: UNSUPPORTED where leaving it out would change what the conversation says, INVALID_REQUEST
    where a text of the request is not the JSON that it must be.
    """
    to = Writing(profile, [] if losses is None else losses)
    turns, tools = turns_of(request), request.tools[:]
    foreign_losses(request, turns, tools, DIALECT, to.losses)
    system, contents = encode_contents(turns, to)
    wire: dict[str, Json] = {"contents": contents}
    if system:
        wire["systemInstruction"] = {"parts": system}
    if tools:
        written = encode_tools(tools, to)
        if written:
            wire["tools"] = written
    encode_choice(request, tools, wire, to)
    config = encode_config(request, to)
    if config:
        wire["generationConfig"] = config
    if request.user:
        to.lose("user")
    if request.service_tier in _TIERS:
        wire["serviceTier"] = _TIERS[request.service_tier]
    elif request.service_tier not in ("", "auto"):
        to.lose("service_tier")
    restore(wire, request.extras, DIALECT)
    return wire
