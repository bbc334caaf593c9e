"""The reasoning of an assistant's message: a text, and what goes with it in `reasoning_details`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from trunkline.dialects.openai.content import DIALECT
from trunkline.dialects.openai.extra_content import FOREIGN
from trunkline.dialects.openai.profile import Writing
from trunkline.dialects.wire import Json, Object, loads, text_of
from trunkline.errors import GatewayError
from trunkline.v1.content_pb2 import Message, Part

_DETAILS: Final = "reasoning_details"
_FIELDS: Final = frozenset({"reasoning_content", "reasoning", _DETAILS})
_CARRIED: Final = FOREIGN | {DIALECT}


def decode_reasoning(wire: Object, message: Message) -> None:
    """Read the text, whichever name it has, and its details.

    An item that this gateway wrote itself makes a part of its own: its `length` tells how much of the text is its.
    """
    if _FIELDS.isdisjoint(wire.fields):
        return
    text = wire.take_str("reasoning_content")
    other = wire.take_str("reasoning")
    if not text and other is not None:
        text = other
    elif other is not None and other != text:
        wire.fields["reasoning"] = other
    details = wire.take_list(_DETAILS) or []
    rest = text or ""
    carried = [item for item in details if is_carried(item)]
    if sum(item["length"] for item in carried) <= len(rest):
        details = [item for item in details if not is_carried(item)]
    else:
        # A client changed the text: what signs it does not hold any more.
        carried = []
    for item in carried:
        part = message.parts.add()
        part.reasoning.text, rest = rest[: item["length"]], rest[item["length"] :]
        put_carried(part, item)
    if rest or details or (text is not None and not carried):
        part = message.parts.add()
        part.reasoning.text = rest
        if details:
            part.extras[DIALECT] = text_of({_DETAILS: details})


def told_in_details(details: Json) -> str:
    """The text of reasoning that is told in its details alone, as Snowflake and OpenRouter may do."""
    return "".join(
        item[key]
        for item in (details if isinstance(details, list) else ())
        if isinstance(item, dict)
        for key in ("text", "summary")
        if isinstance(item.get(key), str)
    )


def is_carried(item: Json) -> bool:
    """Whether an item is one that `encode_details` wrote to carry the extras of a part."""
    if not isinstance(item, dict) or type(item.get("format")) is not str or item["format"] not in _CARRIED:
        return False
    length, data = item.get("length"), item.get("data")
    if type(length) is not int or length < 0 or type(data) is not str:
        return False
    try:
        return isinstance(loads(data), dict)
    except GatewayError:
        return False


def put_carried(part: Part, item: dict[str, Json]) -> None:
    """Give `part` the extras that `item` carries."""
    part.extras[item["format"]] = item["data"]
    part.reasoning.redacted = item.get("type") == "reasoning.encrypted"


def encode_details(part: Part, length: int, wire: dict[str, Json], place: Callable[[], int] | None = None) -> None:
    """Write for a client what a part of `length` characters holds beside its text, so that one that sends the message
    back loses nothing.

    `place` tells the place of each item that is written, by which clients put the chunks of a stream together; it is
    that in `wire` where it is not given. Items of the server's own have theirs.
    """
    items: list[Json] = []
    for dialect, text in part.extras.items():
        if dialect == DIALECT:
            own = loads(text)
            items.extend(own.pop(_DETAILS, ()))
            if not own:
                continue
            text = text_of(own)
        if dialect in _CARRIED:
            kind = "reasoning.encrypted" if part.reasoning.redacted else "reasoning.text"
            index = len(wire.get(_DETAILS, ())) + len(items) if place is None else place()
            items.append({"type": kind, "format": dialect, "index": index, "length": length, "data": text})
    if items:
        wire.setdefault(_DETAILS, []).extend(items)


def encode_reasoning(parts: Iterable[Part], wire: dict[str, Json], to: Writing) -> None:
    """Give a server back the reasoning that it takes, in the field that it takes it in."""
    text = ""
    bare = False
    for part in parts:
        own = loads(part.extras[DIALECT]) if DIALECT in part.extras else {}
        details = own.get(_DETAILS) if isinstance(own, dict) else None
        if isinstance(details, list):
            wire.setdefault(_DETAILS, []).extend(details)
        else:
            # Where the details are told the text is, too; without them an empty text is all that there is to tell.
            bare = True
        text += part.reasoning.text
    if to.profile.reasoning is not None and (text or bare):
        wire[to.profile.reasoning] = text
