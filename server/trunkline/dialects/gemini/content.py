"""The contents of a conversation and their parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, assert_never

from trunkline.call import LossKind
from trunkline.dialects.anthropic.objects import object_text
from trunkline.dialects.gemini.carry import SIGNATURE, drop_bare_thoughts, unload, unpack
from trunkline.dialects.gemini.ids import invent, is_invented
from trunkline.dialects.gemini.media import decode_file, decode_inline, encode_media
from trunkline.dialects.gemini.names import DIALECT, block_name, camel
from trunkline.dialects.gemini.partial import patched
from trunkline.dialects.gemini.profile import Writing
from trunkline.dialects.gemini.results import decode_result, encode_result
from trunkline.dialects.turn import Kind, Turn
from trunkline.dialects.wire import Json, Object, raw, restore, text_of
from trunkline.errors import invalid_request, unsupported
from trunkline.v1 import content_pb2
from trunkline.v1.content_pb2 import Message, Part, Role, ToolCall

ROLES: Final[dict[str, Role.ValueType]] = {
    "user": content_pb2.ROLE_USER,
    "function": content_pb2.ROLE_USER,
    "model": content_pb2.ROLE_ASSISTANT,
}
"""Who says a content."""

_INSTRUCTIONS: Final = (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER)

_UNSIGNED: Final = "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv"
"""The signature by which Google lets pass a call that another model made (its guide to thought signatures)."""


class Calls:
    """The function calls of a conversation, in order: results are matched to them by id, else by name."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}

    def add(self, call_id: str, name: str) -> None:
        """Note a call that waits for its result."""
        self._open[call_id] = name

    def answer(self, call_id: str, name: str) -> str:
        """The id of the call that a result is for: the one it names, else the first of its name that has none yet."""
        if self._open.pop(call_id, None) is not None:
            return call_id
        first = next((known for known, called in self._open.items() if called == name), None)
        if first is None:
            return call_id
        del self._open[first]
        return first


def decode_content(wire: Object, message: Message, position: int, calls: Calls) -> None:
    """Read one content of a request. Raises `GatewayError` (INVALID_REQUEST), naming the field."""
    role = wire.take_str("role") or "user"
    if role not in ROLES:
        raise invalid_request(f"`{wire.at('role')}` must be `user` or `model`, not `{role[:64]}`.", wire.at("role"))
    message.role = ROLES[role]
    parts = message.parts
    carried = False
    for item in take_parts(wire, decode_plain_text, parts):
        fields = item.fields
        camel(fields)
        if not fields:
            continue
        extras: dict[str, str] = {}
        if SIGNATURE in fields and (own := unpack(fields[SIGNATURE])) is not None:
            carried = True
            extras = unload(own, parts)
            del fields[SIGNATURE]
            if "functionCall" not in fields:
                continue
        part = parts.add()
        if "functionResponse" in fields and _decode_result(item, part, calls):
            message.role = content_pb2.ROLE_TOOL
            continue
        decode_part(item, part)
        for dialect, said in extras.items():
            part.extras[dialect] = said
        if part.HasField("tool_call"):
            call = part.tool_call
            if not call.id:
                call.id = invent("request", position, len(parts), call.name)
            calls.add(call.id, call.name)
    if carried:
        drop_bare_thoughts(parts)
    if wire.fields:
        wire.keep(message.extras, DIALECT)


def decode_plain_text(fields: dict[str, Json], parts: Any) -> bool:
    """Read a part that is a text and no more into `parts`, a repeated field. Tells whether this was one."""
    text = fields.get("text")
    if type(text) is not str or len(fields) != 1:
        return False
    parts.add().text = text
    return True


def _decode_result(wire: Object, part: Part, calls: Calls) -> bool:
    """Read a part with what a function returned. Tells whether this was one."""
    answered = part.tool_result
    result = wire.take_object("functionResponse")
    if result is None:
        part.ClearField("tool_result")
        return False
    camel(result.fields)
    answered.tool_call_id = result.take_str("id") or ""
    decode_result(result, answered)
    answered.tool_call_id = calls.answer(answered.tool_call_id, answered.name)
    wire.keep(part.extras, DIALECT)
    return True


def take_parts(
    wire: Object, plain: Callable[[dict[str, Json], Any], bool] | None = None, into: Any = None
) -> Iterator[Object]:
    """The parts of a content, as `take_objects` gives them; Google's servers take a single one for an array of it."""
    wire.put_into_array("parts")
    return wire.take_objects("parts", plain, into)


def decode_part(wire: Object, part: Part) -> None:
    """Read one part, its names in camel case. A kind that the contract has none for is carried verbatim."""
    fields = wire.fields
    text = wire.take_str("text")
    if text is not None:
        if fields.get("thought") is True:
            # The key stays: it tells that the thought is Gemini's own, and may go back to it.
            part.reasoning.text = text
        else:
            part.text = text
            if not fields:
                return
            fields.pop("thought", None)
    elif (call := wire.take_object("functionCall")) is not None:
        _decode_call(call, part.tool_call)
    elif (inline := wire.take_object("inlineData")) is not None:
        decode_inline(inline, part.media)
    elif (file := wire.take_object("fileData")) is not None:
        decode_file(file, part.media)
    elif fields.keys() <= {"thought", "thoughtSignature"}:
        # A signature that stands alone belongs to an empty text.
        part.text = ""
    else:
        part.opaque.dialect = DIALECT
        part.opaque.json = text_of(fields)
        return
    wire.keep(part.extras, DIALECT)


def _decode_call(wire: Object, call: ToolCall) -> None:
    camel(wire.fields)
    call_id = wire.take_str("id")
    if call_id:
        call.id = call_id
    call.name = wire.need_str("name")
    args = wire.take("args")
    pieces = wire.take_list("partialArgs")
    if pieces:
        args = patched(pieces)
    wire.take("willContinue")
    call.arguments_json = text_of(args) if isinstance(args, dict) else "{}"


def encode_contents(turns: Iterable[Turn], to: Writing) -> tuple[list[Json], list[Json]]:
    """The parts of the system instruction, and the contents.

    System and developer messages all go to the system instruction, in their order, as Gemini has no other place for
    them: one in the middle of the conversation is reported as approximated. Where there is nothing else, they are what
    the user says. The results of successive messages are one content, as Gemini wants all results of a turn at once;
    other successive contents of one role stay apart.
    """
    system: list[Json] = []
    contents: list[dict[str, Json]] = []
    names: dict[str, str] = {}
    beside: list[Json] = []
    answering = False
    for number, (message, role, said, kinds, text) in enumerate(turns):
        if role in _INSTRUCTIONS:
            if contents:
                to.lose(f"messages[{number}].role", LossKind.APPROXIMATED)
            system.extend(_encode_system(said, kinds, to, f"messages[{number}]"))
            continue
        if beside and text:
            contents[-1]["parts"].extend(beside)
            beside = []
        if text:
            name = "model" if role == content_pb2.ROLE_ASSISTANT else "user"
            contents.append({"role": name, "parts": [{"text": text}]})
            answering = False
            continue
        path = f"messages[{number}]"
        if message.name:
            to.lose(f"{path}.name")
        moved: list[Json] = []
        parts: list[Json] = []
        for place, part in enumerate(said):
            _encode_part(part, kinds[place], parts, moved, names, to, path, place)
        results = role == content_pb2.ROLE_TOOL and kinds.count("tool_result") == len(kinds)
        if not (results and answering) and beside:
            contents[-1]["parts"].extend(beside)
            beside = []
        if parts:
            if results and answering:
                contents[-1]["parts"].extend(parts)
            else:
                contents.append(_encode_turn(message, role, parts, to))
            answering = results
        beside.extend(moved)
    if beside:
        contents[-1]["parts"].extend(beside)
    if not contents:
        return [], [{"role": "user", "parts": system}] if system else []
    return system, contents


def _encode_turn(message: Message, role: Role.ValueType, parts: list[Json], to: Writing) -> dict[str, Json]:
    if role != content_pb2.ROLE_ASSISTANT:
        turn: dict[str, Json] = {"role": "user", "parts": parts}
    else:
        turn = {"role": "model", "parts": parts}
        if to.profile.signed_calls:
            for part in parts:
                if type(part) is dict and "functionCall" in part:
                    part.setdefault("thoughtSignature", _UNSIGNED)
                    break
    if message.extras:
        restore(turn, message.extras, DIALECT)
    return turn


def _encode_system(said: Sequence[Part], kinds: Sequence[Kind], to: Writing, path: str) -> list[Json]:
    parts: list[Json] = []
    for index, part in enumerate(said):
        if kinds[index] != "text":
            raise unsupported(f"`{path}` holds what is no text, which this target takes no instruction by.", path)
        if part.HasField("cache"):
            to.lose("cache_control")
        if part.text or part.extras:
            wire: dict[str, Json] = {"text": part.text}
            restore(wire, part.extras, DIALECT)
            parts.append(wire)
    return parts


def _encode_part(
    part: Part,
    kind: Kind,
    parts: list[Json],
    moved: list[Json],
    names: dict[str, str],
    to: Writing,
    path: str,
    place: int,
) -> None:
    """Write one part, of `kind`, into `parts`, where Gemini can read it; what must stand behind the results, into
    `moved`."""
    wire: dict[str, Json]
    match kind:
        case "text":
            text = part.text
            if not text and DIALECT not in part.extras:
                return
            wire = {"text": text}
        case "media":
            wire = encode_media(part.media, f"{path}.parts[{place}]")
        case "refusal":
            wire = {"text": part.refusal}
        case "tool_call":
            call = part.tool_call
            names[call.id] = call.name
            wire = {"functionCall": encode_call(call, to, path)}
        case "tool_result":
            result = part.tool_result
            call_id = result.tool_call_id
            name = result.name or names.get(call_id, "")
            response, media = encode_result(result, name, media=to.profile.media_results, path=path)
            moved.extend(media)
            if call_id and not is_invented(call_id):
                response = {"id": call_id, **response}
            wire = {"functionResponse": response}
        case "reasoning":
            if DIALECT not in part.extras:
                return
            wire = {"text": part.reasoning.text, "thought": True}
        case "opaque":
            if part.opaque.dialect == DIALECT:
                parts.append(raw(part.opaque.json, f"{path}.parts[{place}].opaque.json"))
            else:
                to.lose(f"{path}.{block_name(part.opaque)}")
            return
        case None:
            raise unsupported(f"`{path}.parts[{place}]` is of a kind that this target does not know.", path)
        case _:
            assert_never(kind)
    if part.HasField("cache"):
        to.lose("cache_control")
    if part.extras:
        restore(wire, part.extras, DIALECT)
    parts.append(wire)


def encode_call(call: ToolCall, to: Writing | None = None, path: str = "") -> dict[str, Json]:
    """A `functionCall`. Its arguments are an object: Gemini takes nothing else, not even what a model wrote in broken
    JSON, which becomes its only argument, reported as approximated."""
    given = call.arguments_json
    args: Json = {}
    if given not in ("", "{}"):
        args = object_text(given) if not given.isspace() else None
        if args is None:
            args = {"arguments": given}
            if to is not None:
                to.lose(f"{path}.tool_calls", LossKind.APPROXIMATED)
    wire: dict[str, Json] = {"name": call.name, "args": args}
    call_id = call.id
    if call_id and not is_invented(call_id):
        wire["id"] = call_id
    return wire
