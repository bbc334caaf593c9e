"""The texts of paths and queries to fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from trunkline.errors import GatewayError, invalid_request
from trunkline.web.native.decode import Decoder, entry_type, is_map, map_key, scalar
from trunkline.web.native.rules import FieldPath, descriptor_of, resolve
from trunkline.web.native.wellknown import WRAPPERS, is_text, read_text

_ENTRY: Final = re.compile(r"(.*)\[([^\[\]]*)\]", re.DOTALL)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,10}", re.ASCII)

# The words that grpc-gateway takes, which are Go's.
_BOOLS: Final = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


def bind_path(message: Message, fields: FieldPath, text: str, name: str) -> None:
    """Set the field that a path variable fills. Raises `GatewayError` (INVALID_REQUEST)."""
    _assign(_descend(message, fields, name), fields[-1], [text], name)


def bind_query(message: Message, pairs: Iterable[tuple[str, str]], taken: Sequence[str], decoder: Decoder) -> None:
    """Set the fields that a query names, such as `a.b=1`. Fields below those of `taken`, dotted proto names, belong to
    the path or the body: they are ignored, as are unknown ones. Raises `GatewayError` (INVALID_REQUEST)."""
    texts: dict[str, list[str]] = {}
    for name, text in pairs:
        texts.setdefault(name, []).append(text)
    seen: dict[str, str] = {}
    for name, given in texts.items():
        entry = _ENTRY.fullmatch(name)
        fields = _resolve(message, entry[1] if entry else name)
        dotted = ".".join(field.name for field in fields)
        if not fields or any(f"{dotted}.".startswith(f"{other}.") for other in taken):
            decoder.ignore(name)
        elif is_map(fields[-1]) and entry:
            _assign_entry(_descend(message, fields, name), fields[-1], entry[2], given, name)
        elif entry:
            decoder.ignore(name)
        elif dotted in seen:
            raise _wrong(name, f"is also given as `{seen[dotted]}`")
        else:
            seen[dotted] = name
            _assign(_descend(message, fields, name), fields[-1], given, name)


def _resolve(message: Message, name: str) -> FieldPath:
    try:
        return resolve(descriptor_of(message), name.split(".")) or ()
    except LookupError as error:
        raise _wrong(name, f"cannot be given: `{error}` is no single message") from None


def _descend(message: Message, fields: FieldPath, name: str) -> Message:
    """The message that holds the last of `fields`, which must not displace a field of a oneof that is set already."""
    for field in fields:
        oneof = field.containing_oneof
        other = message.WhichOneof(oneof.name) if oneof is not None else None
        if other is not None and (other != field.name or field.message_type is None):
            raise _wrong(name, f"cannot be set together with `{other}`")
        if field is not fields[-1]:
            message = getattr(message, field.name)
            message.SetInParent()
    return message


def _assign(message: Message, field: FieldDescriptor, texts: Sequence[str], name: str) -> None:
    if field.message_type is not None and not is_text(field.message_type):
        example = field.message_type.fields[0].name if field.message_type.fields else ""
        remedy = f"`{name}[key]`" if is_map(field) else f"its fields, such as `{name}.{example}`"
        raise _wrong(name, f"cannot be given as one text: give {remedy}")
    if field.is_repeated:
        for text in texts:
            _append(getattr(message, field.name), field, text, name)
    elif len(texts) > 1:
        raise _wrong(name, "is given more than once")
    elif field.message_type is not None:
        inner = getattr(message, field.name)
        inner.SetInParent()
        _fill(inner, texts[0], name)
    else:
        setattr(message, field.name, _value(field, texts[0], name))


def _append(items: Any, field: FieldDescriptor, text: str, name: str) -> None:
    if field.message_type is not None:
        _fill(items.add(), text, name)
    else:
        items.append(_value(field, text, name))


def _assign_entry(message: Message, field: FieldDescriptor, key: str, texts: Sequence[str], name: str) -> None:
    if len(texts) > 1:
        raise _wrong(name, "is given more than once")
    entries = getattr(message, field.name)
    of_value = entry_type(field).fields_by_name["value"]
    of_key = map_key(field, key, name)
    if of_value.message_type is None:
        entries[of_key] = _value(of_value, texts[0], name)
    elif is_text(of_value.message_type):
        _fill(entries[of_key], texts[0], name)
    else:
        raise _wrong(name, "cannot be given as one text")


def _fill(message: Message, text: str, name: str) -> None:
    if message.DESCRIPTOR.full_name in WRAPPERS:
        _assign(message, descriptor_of(message).fields_by_name["value"], [text], name)
        return
    try:
        read_text(text, message)
    except ValueError as error:
        raise _wrong(name, f"cannot be read: {error}") from None


def _value(field: FieldDescriptor, text: str, name: str) -> Any:
    value: object = text
    if field.type == FieldDescriptor.TYPE_BOOL:
        value = _BOOLS.get(text, text)
    elif field.type == FieldDescriptor.TYPE_ENUM and _INTEGER.fullmatch(text):
        value = int(text)
    return scalar(field, value, name)


def _wrong(name: str, problem: str) -> GatewayError:
    return invalid_request(f"`{name[:256]}` {problem}.", name[:256])
