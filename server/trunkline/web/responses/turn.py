"""One turn of a conversation that the gateway keeps: what is asked, what came before, and what is stored of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trunkline.call import Call
from trunkline.dialects import responses
from trunkline.dialects.wire import Json, Object
from trunkline.errors import GatewayError, invalid_request
from trunkline.store.events import News
from trunkline.store.responses import ResponseStore, Stored
from trunkline.store.stores import Said, Stores
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.web.extensions import take_extensions
from trunkline.web.responses.nested import flatten

_PREFIXES: Final = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
}
"""Types of item -> how their ids begin."""


@dataclass(slots=True)
class Turn:
    """What one request for a response asks.

    `request` holds the whole conversation, `items` what this turn adds to it. `own` are the fields of the response that
    the gateway decides, `created_at` is when it began, in seconds since the epoch.
    """

    id: str
    owner: str
    request: ChatRequest
    items: list[dict[str, Json]]
    own: dict[str, Json]
    streamed: bool
    background: bool
    store: bool
    previous_id: str | None
    conversation_id: str | None
    created_at: int = field(default_factory=lambda: int(time.time()))

    async def keep(
        self, body: dict[str, Json], report: dict[str, str], stores: Stores, news: News | None = None
    ) -> None:
        """Store the end of the turn, before anyone is told of it. `body` is the response as its caller sees it, `news`
        are its last events where it is written in the background."""
        said: Said | None = None
        if self.conversation_id is not None and body.get("status") != "failed":
            output = body.get("output")
            items = [item for item in (output if isinstance(output, list) else ()) if isinstance(item, dict)]
            said = Said(self.conversation_id, [*self.items, *items])
        stored = self.stored(body, report) if self.store else None
        if stored is not None or said is not None:
            await stores.end(self.owner, stored, said, running=self.background, news=news)

    def stored(self, body: dict[str, Json], report: dict[str, str]) -> Stored:
        """The turn as it is stored."""
        return Stored(self.id, self.owner, self.previous_id, body, list(self.items), report)


async def begin(body: dict[str, Json], owner: str, stores: Stores, call: Call) -> Turn:
    """Read the request of `call`, and put in front of it what it goes on from.

    Raises `GatewayError`: INVALID_REQUEST, naming the field, NOT_FOUND where what it goes on from is missing.
    """
    flatten(body)
    wire = Object(body)
    asked = take_extensions(wire, call)
    streamed = responses.take_stream(wire)
    store = wire.take_bool("store")
    background = wire.take_bool("background") or False
    if background and store is False:
        raise invalid_request("A response in the background is stored: `store` must not be false.", "store")
    previous_id = wire.take_str("previous_response_id")
    conversation_id = _conversation_id(wire)
    if previous_id is not None and conversation_id is not None:
        raise invalid_request("`previous_response_id` and `conversation` exclude each other.", "previous_response_id")
    items = named(input_items(wire))
    before: list[Json] = []
    if previous_id is not None:
        before = await _before(previous_id, owner, stores.responses)
    elif conversation_id is not None:
        before = await stores.conversations.items(conversation_id, owner)
    told = await _resolved([*before, *items], owner, stores.responses)
    # What the caller gave no id is sent as he wrote it.
    given = wire.fields.get("input")
    fresh = given if isinstance(given, list) else [{"role": "user", "content": given}] if given is not None else []
    if told:
        wire.fields["input"] = [*told[: len(before)], *_as_given(told[len(before) :], fresh)]
    own: dict[str, Json] = {
        "store": store is not False,
        "background": background,
        "previous_response_id": previous_id,
        "metadata": _metadata(wire.take("metadata")),
    }
    if conversation_id is not None:
        own["conversation"] = {"id": conversation_id}
    request = responses.decode_request(wire)
    request.MergeFrom(asked)
    response_id = f"resp_{secrets.token_hex(24)}"
    return Turn(
        response_id,
        owner,
        request,
        items,
        {"id": response_id, **own},
        streamed,
        background,
        store is not False,
        previous_id,
        conversation_id,
    )


def input_items(wire: Object) -> list[dict[str, Json]]:
    """The items of `input`, a text as the message that it stands for. Raises `GatewayError` where one is no object."""
    given = wire.fields.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    if given is None:
        return []
    if not isinstance(given, list):
        raise invalid_request("`input` must be a string or an array of items.", "input")
    for index, item in enumerate(given):
        if not isinstance(item, dict):
            raise invalid_request(f"`input[{index}]` must be an object.", f"input[{index}]")
    return [dict(item) for item in given]


def named(items: list[dict[str, Json]]) -> list[dict[str, Json]]:
    """`items`, each with the type and the id that it is listed by."""
    for item in items:
        if "type" not in item and "role" in item:
            item["type"] = "message"
        if item.get("type") == "message" and isinstance(item.get("content"), str):
            kind = "output_text" if item.get("role") == "assistant" else "input_text"
            item["content"] = [{"type": kind, "text": item["content"]}]
        if item.get("type") != "item_reference":
            item.setdefault("id", f"{_PREFIXES.get(str(item.get('type')), 'item_')}{secrets.token_hex(24)}")
    return items


def _as_given(told: list[Json], given: list[Json]) -> list[Json]:
    """This turn's items as the caller wrote them, but for those that he only named."""
    return [
        one if isinstance(own, dict) and own.get("type") == "item_reference" else own
        for one, own in zip(told, given, strict=True)
    ]


async def _before(previous_id: str, owner: str, store: ResponseStore) -> list[Json]:
    try:
        return await store.conversation(previous_id, owner)
    except GatewayError as error:
        if error.reason != errors_pb2.ERROR_REASON_NOT_FOUND:
            raise
        raise invalid_request(
            f"Previous response with id '{previous_id[:64]}' not found.", "previous_response_id"
        ) from None


async def _resolved(items: list[Json], owner: str, store: ResponseStore) -> list[Json]:
    """`items`, with those that are only named put in their places."""
    names = [item["id"] for item in items if _is_reference(item)]
    if not names:
        return items
    found = {item["id"]: item for item in items if isinstance(item, dict) and not _is_reference(item) and "id" in item}
    missing = [name for name in names if name not in found]
    if missing:
        found |= await store.items(missing, owner)
    resolved: list[Json] = []
    for item in items:
        if _is_reference(item):
            if item["id"] not in found:
                raise invalid_request(f"Item with id '{item['id'][:128]}' not found.", "input")
            item = found[item["id"]]
        resolved.append(item)
    return resolved


def _is_reference(item: Json) -> bool:
    return isinstance(item, dict) and item.get("type") == "item_reference" and isinstance(item.get("id"), str)


def _conversation_id(wire: Object) -> str | None:
    if isinstance(wire.fields.get("conversation"), dict):
        inner = wire.take_object("conversation")
        found = None if inner is None else inner.need_str("id")
        wire.take("conversation")
        return found
    return wire.take_str("conversation")


def _metadata(value: Json) -> Mapping[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise invalid_request("`metadata` must be an object of strings.", "metadata")
    return value
