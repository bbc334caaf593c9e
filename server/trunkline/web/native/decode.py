"""Proto-JSON to messages, naming the field at fault as the caller wrote it."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from typing import Any, Final, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from trunkline.errors import GatewayError, invalid_request
from trunkline.v1 import errors_pb2
from trunkline.web.native.rules import descriptor_of, fields_by_name
from trunkline.web.native.wellknown import WRAPPERS, is_special, read_special

_MOST_VALUES: Final = 200_000
"""The most values in one body: what a few bytes each would turn into objects is bounded before they are made."""

_DEEPEST: Final = 64
_MOST_IGNORED: Final = 64
_LONGEST_PATH: Final = 256

# The closing quote is optional: one that is missing must not have every later quote tried in turn.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_FLOAT: Final = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|-?Infinity|NaN")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*+={0,2}")
_LARGEST_FLOAT: Final = 3.4028235677973366e38

_SORTS: Final = ((bool, "a boolean"), ((int, float), "a number"), (str, "a string"), (list, "an array"))

_RANGES: Final = {
    **dict.fromkeys(
        (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32), (-(2**31), 2**31 - 1)
    ),
    **dict.fromkeys(
        (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_SFIXED64), (-(2**63), 2**63 - 1)
    ),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32), (0, 2**32 - 1)),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64), (0, 2**64 - 1)),
}


def parse_json(body: bytes) -> object:
    """The JSON value in `body`.

    Raises `GatewayError`: INVALID_REQUEST where it is not JSON, REQUEST_TOO_LARGE where it holds too many values.
    """
    if _values(body) > _MOST_VALUES and _values(_STRING.sub(b"", body)) > _MOST_VALUES:
        raise GatewayError(
            errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE, f"The body holds more than {_MOST_VALUES} JSON values."
        )
    try:
        return json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise invalid_request(f"The body is not UTF-8 at byte {error.start}.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise invalid_request(f"The body is not JSON ({where}): {error.msg}.") from None
    except RecursionError:
        raise invalid_request("The body is nested too deeply.") from None
    except ValueError:  # an integer of more digits than Python converts
        raise invalid_request("The body holds a number that is too long.") from None


class Decoder:
    """Fills one message. `ignored` names what the message has no field for, at most the first few."""

    def __init__(self) -> None:
        self.ignored: list[str] = []

    def fill(self, message: Message, value: object, path: str = "", depth: int = 0) -> None:
        """Merge the JSON `value`, found at `path`, into `message`. Raises `GatewayError` (INVALID_REQUEST)."""
        if depth > _DEEPEST:
            raise _wrong(path, "is nested too deeply")
        descriptor = descriptor_of(message)
        if is_special(descriptor):
            self._fill_special(message, value, path)
            return
        if not isinstance(value, dict):
            raise _wrong(path, f"must be an object, not {_sort(value)}")
        names = fields_by_name(descriptor)
        seen: dict[str, str] = {}
        for key, item in value.items():
            field = names.get(key)
            inner = f"{path}.{key}" if path else key
            if field is None:
                self.ignore(inner)
                continue
            # The fields of a oneof exclude each other, as do the two names of one field. Null is as good as absent.
            group = field.containing_oneof.full_name if field.containing_oneof is not None else field.full_name
            if item is None and not _takes_null(field):
                continue
            if group in seen:
                raise _wrong(inner, f"cannot be set together with `{seen[group]}`")
            seen[group] = key
            self.fill_field(message, field, item, inner, depth)

    def fill_field(self, message: Message, field: FieldDescriptor, value: object, path: str, depth: int = 0) -> None:
        """Set one field of `message` from its JSON. Raises `GatewayError` (INVALID_REQUEST)."""
        if is_map(field):
            self._fill_map(message, field, value, path, depth)
        elif field.is_repeated:
            if not isinstance(value, list):
                raise _wrong(path, f"must be an array, not {_sort(value)}")
            items = getattr(message, field.name)
            for index, item in enumerate(value):
                if field.message_type is not None:
                    self.fill(items.add(), item, f"{path}[{index}]", depth + 1)
                else:
                    items.append(scalar(field, item, f"{path}[{index}]"))
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            self.fill(inner, value, path, depth + 1)
        else:
            setattr(message, field.name, scalar(field, value, path))

    def ignore(self, path: str) -> None:
        """Note that there is no field at `path`."""
        if len(self.ignored) < _MOST_IGNORED:
            self.ignored.append(path[:_LONGEST_PATH])

    def _fill_map(self, message: Message, field: FieldDescriptor, value: object, path: str, depth: int) -> None:
        if not isinstance(value, dict):
            raise _wrong(path, f"must be an object, not {_sort(value)}")
        entries = getattr(message, field.name)
        for key, item in value.items():
            inner = f"{path}.{key}"
            of_key = map_key(field, key, inner)
            of_value = entry_type(field).fields_by_name["value"]
            if of_value.message_type is not None:
                self.fill(entries[of_key], item, inner, depth + 1)
            else:
                entries[of_key] = scalar(of_value, item, inner)

    def _fill_special(self, message: Message, value: object, path: str) -> None:
        if message.DESCRIPTOR.full_name in WRAPPERS:
            self.fill_field(message, descriptor_of(message).fields_by_name["value"], value, path)
            return
        try:
            read_special(value, message)
        except ValueError as error:
            raise _wrong(path, f"cannot be read: {error}") from None


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map."""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def entry_type(field: FieldDescriptor) -> Descriptor:
    """The type of the entries of a map, whose fields are `key` and `value`."""
    return cast(Descriptor, field.message_type)


def map_key(field: FieldDescriptor, text: str, path: str) -> Any:
    """The key of a map from its text. Raises `GatewayError` (INVALID_REQUEST)."""
    of_key = entry_type(field).fields_by_name["key"]
    if of_key.type == FieldDescriptor.TYPE_BOOL:
        return scalar(of_key, {"true": True, "false": False}.get(text, text), path)
    return scalar(of_key, text, path)


def scalar(field: FieldDescriptor, value: object, path: str) -> Any:
    """The value of a field that is no message, from its JSON. Raises `GatewayError` (INVALID_REQUEST)."""
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return _string(value, path)
        case FieldDescriptor.TYPE_BOOL:
            if not isinstance(value, bool):
                raise _wrong(path, f"must be true or false, not {_sort(value)}")
            return value
        case FieldDescriptor.TYPE_ENUM:
            return _enum(field, value, path)
        case FieldDescriptor.TYPE_BYTES:
            return _bytes(value, path)
        case FieldDescriptor.TYPE_DOUBLE | FieldDescriptor.TYPE_FLOAT:
            return _float(value, path, single=field.type == FieldDescriptor.TYPE_FLOAT)
        case _:
            return _integer(value, path, *_RANGES[field.type])


def _string(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise _wrong(path, f"must be a string, not {_sort(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _wrong(path, "holds an unpaired surrogate") from None
    return value


def _enum(field: FieldDescriptor, value: object, path: str) -> int:
    enum = cast(EnumDescriptor, field.enum_type)
    if isinstance(value, str):
        known = enum.values_by_name.get(value)
        if known is None:
            raise _wrong(path, f"must be a {enum.name}, such as `{enum.values[-1].name}`")
        return known.number
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(path, f"must be the name or the number of a {enum.name}, not {_sort(value)}")
    return _integer(value, path, -(2**31), 2**31 - 1)


def _bytes(value: object, path: str) -> bytes:
    if not isinstance(value, str):
        raise _wrong(path, f"must be a string, not {_sort(value)}")
    text = value.rstrip("=")
    if not _BASE64.fullmatch(value) or len(text) % 4 == 1:
        raise _wrong(path, "must be base64")
    try:
        return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))
    except binascii.Error:
        raise _wrong(path, "must be base64") from None


def _float(value: object, path: str, *, single: bool) -> float:
    if isinstance(value, str) and _FLOAT.fullmatch(value):
        number = float(value)
        finite = value.lstrip("-") not in ("Infinity", "NaN")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number, finite = float(value), True
        except OverflowError:
            number, finite = math.inf, True
    else:
        raise _wrong(path, f"must be a number, not {_sort(value)}")
    if finite and (math.isinf(number) or (single and abs(number) >= _LARGEST_FLOAT)):
        raise _wrong(path, "is out of range")
    return number


def _integer(value: object, path: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not (
        isinstance(value, int)
        or (isinstance(value, float) and value.is_integer())
        or (isinstance(value, str) and _INTEGER.fullmatch(value))
    ):
        raise _wrong(path, f"must be an integer, not {_sort(value)}")
    number = int(value)
    if not least <= number <= most:
        raise _wrong(path, f"must be between {least} and {most}")
    return number


def _takes_null(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name == "google.protobuf.Value"


def _values(body: bytes) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _wrong(key, "is given twice in one object")
            seen.add(key)
    return unique


def _no_constant(name: str) -> object:
    raise invalid_request(f"The body is not JSON: `{name}` must be a string.")


def _sort(value: object) -> str:
    """What sort of JSON value it is; the value itself may be large, or secret."""
    if value is None:
        return "null"
    for sort, name in _SORTS:
        if isinstance(value, sort):
            return name
    return "an object"


def _wrong(path: str, problem: str) -> GatewayError:
    path = path[:_LONGEST_PATH]
    return invalid_request(f"`{path}` {problem}." if path else f"The body {problem}.", path or None)
