"""Messages to proto-JSON, as grpc-gateway writes it: camelCase, 64-bit integers as strings, zero values included."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_WRITE: Final = msgspec.json.Encoder().encode


def to_json(message: Message, field: FieldDescriptor | None = None) -> bytes:
    """The JSON of `message`, or of one of its fields. Fields without presence are written even where they are zero;
    fields with presence, messages among them, where they are set."""
    return _WRITE(_value(message, field))


def result_line(message: Message, field: FieldDescriptor | None = None) -> bytes:
    """The line that carries one message of a stream."""
    return b'{"result":%b}\n' % to_json(message, field)


def error_line(status: Message) -> bytes:
    """The line that ends a stream which failed."""
    return b'{"error":%b}\n' % to_json(status)


def _value(message: Message, field: FieldDescriptor | None) -> Any:
    value = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    if field is None:
        return value
    return value.get(field.json_name)
