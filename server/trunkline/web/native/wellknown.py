"""The well-known types whose proto-JSON is not an object of their fields."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

WRAPPERS: Final = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
TEXTS: Final = frozenset(f"google.protobuf.{name}" for name in ("Timestamp", "Duration", "FieldMask"))
FREE: Final = frozenset(f"google.protobuf.{name}" for name in ("Any", "Struct", "Value", "ListValue"))

_DEEPEST: Final = 100
_LONGEST_DURATION: Final = 315_576_000_000 * 10**9
_GO_DURATION: Final = re.compile(r"([+-]?)((?:[0-9]{1,12}(?:\.[0-9]{1,18})?(?:ns|us|µs|ms|s|m|h))+)", re.ASCII)
_GO_STEP: Final = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
_NANOSECONDS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def is_special(descriptor: Descriptor) -> bool:
    """Whether the JSON of a message is not an object of its fields."""
    return descriptor.full_name in WRAPPERS or descriptor.full_name in TEXTS or descriptor.full_name in FREE


def is_text(descriptor: Descriptor) -> bool:
    """Whether a path or a query can fill a message of this type with one text."""
    return descriptor.full_name in WRAPPERS or descriptor.full_name in TEXTS


def read_special(value: object, message: Message) -> None:
    """Fill a message of a special type, other than a wrapper, from its JSON. Raises `ValueError`."""
    if message.DESCRIPTOR.full_name in TEXTS and not isinstance(value, str):
        raise ValueError("it must be a string")
    try:
        json_format.ParseDict(cast(dict[str, object], value), message, max_recursion_depth=_DEEPEST)
    except (json_format.ParseError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        # ParseDict is written for JSON that was meant for it: on other shapes it fails in its own inside.
        raise ValueError(f"it is no {message.DESCRIPTOR.name}") from error


def read_text(text: str, message: Message) -> None:
    """Fill a Timestamp, Duration or FieldMask from a path or a query. Raises `ValueError`.

    A duration may also be written as Go does (`1h30m`), as grpc-gateway takes it; a field mask with proto names.
    """
    if isinstance(message, FieldMask):
        message.paths.extend(text.split(","))
    elif isinstance(message, Duration) and (found := _GO_DURATION.fullmatch(text)):
        steps = _GO_STEP.findall(found[2])
        nanoseconds = int(sum(Decimal(number) * _NANOSECONDS[unit] for number, unit in steps))
        if nanoseconds > _LONGEST_DURATION:
            raise ValueError("it is too long")
        message.FromNanoseconds(-nanoseconds if found[1] == "-" else nanoseconds)
    else:
        read_special(text, message)
