"""What a PATCH without an update mask changes: the fields that its body names, as in grpc-gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from trunkline.web.native.rules import descriptor_of, fields_by_name
from trunkline.web.native.wellknown import is_special

_MASK: Final = FieldMask.DESCRIPTOR.full_name


def fill_mask(message: Message, body: FieldDescriptor, value: object) -> None:
    """Fill in the mask of `message`, where it has one that is not set, by what `value` names of the field `body`."""
    for field in descriptor_of(message).fields:
        if field.message_type is not None and field.message_type.full_name == _MASK:
            mask: FieldMask = getattr(message, field.name)
            if not mask.paths and body.message_type is not None:
                mask.paths.extend(_paths(body.message_type, value))


def _paths(descriptor: Descriptor, value: object, before: str = "") -> Iterator[str]:
    known = fields_by_name(descriptor)
    names: dict[str, Any] = value if isinstance(value, dict) else {}
    for name, each in names.items():
        field = known.get(name)
        if field is None:
            continue
        path = f"{before}{field.name}"
        inner = field.message_type
        if inner is None or field.is_repeated or is_special(inner) or not isinstance(each, dict) or not each:
            yield path
        else:
            yield from _paths(inner, each, f"{path}.")
