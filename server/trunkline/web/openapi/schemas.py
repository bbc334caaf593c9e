"""Messages as JSON Schemas of their proto-JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from trunkline.web.native.decode import entry_type, is_map
from trunkline.web.native.wellknown import WRAPPERS, is_special

Schema = dict[str, Any]

_INT32: Final[Schema] = {"type": "integer", "format": "int32"}
_UINT32: Final[Schema] = {"type": "integer", "format": "uint32"}
_INT64: Final[Schema] = {"type": "string", "format": "int64"}
_UINT64: Final[Schema] = {"type": "string", "format": "uint64"}

_SCALARS: Final[dict[int, Schema]] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}

_SPECIAL: Final[dict[str, Schema]] = {
    "Timestamp": {"type": "string", "format": "date-time"},
    "Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "FieldMask": {"type": "string"},
    "Struct": {"type": "object"},
    "ListValue": {"type": "array", "items": {}},
    "Value": {},
    "Any": {"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}},
}


class Schemas:
    """The schemas of the messages and enums that were asked for, and of all that these refer to."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self.components: dict[str, Schema] = {}

    def refer(self, descriptor: Descriptor | EnumDescriptor) -> Schema:
        """A reference to the schema of a message or an enum."""
        if isinstance(descriptor, Descriptor) and is_special(descriptor):
            if descriptor.full_name in WRAPPERS:
                return self.value(descriptor.fields_by_name["value"])
            return dict(_SPECIAL[descriptor.name])
        name = descriptor.full_name
        if name not in self.components:
            self.components[name] = {}  # taken before it is filled: a message may hold itself
            is_enum = isinstance(descriptor, EnumDescriptor)
            self.components[name] = self._enum(descriptor) if is_enum else self._message(cast(Descriptor, descriptor))
        return {"$ref": f"#/components/schemas/{name}"}

    def field(self, field: FieldDescriptor) -> Schema:
        """The schema of a field, with its comment."""
        if is_map(field):
            of_value = entry_type(field).fields_by_name["value"]
            schema: Schema = {"type": "object", "additionalProperties": self.value(of_value)}
        elif field.is_repeated:
            schema = {"type": "array", "items": self.value(field)}
        else:
            schema = self.value(field)
        return schema | self.describe(field.full_name)

    def value(self, field: FieldDescriptor) -> Schema:
        """The schema of one value of a field."""
        kind = field.message_type if field.message_type is not None else field.enum_type
        return dict(_SCALARS[field.type]) if kind is None else self.refer(kind)

    def describe(self, name: str) -> Schema:
        """The comment of an element as the description of a schema."""
        return {"description": self._comments[name]} if name in self._comments else {}

    def _message(self, message: Descriptor) -> Schema:
        schema: Schema = {"type": "object", **self.describe(message.full_name)}
        for oneof in message.oneofs:
            names = [f"`{field.json_name}`" for field in oneof.fields]
            if len(names) > 1:
                exclusive = f"At most one of {', '.join(names)} is set."
                schema["description"] = "\n\n".join(filter(None, (schema.get("description"), exclusive)))
        required = [field.json_name for field in message.fields if _is_required(field)]
        if required:
            schema["required"] = required
        schema["properties"] = {field.json_name: self.field(field) for field in message.fields}
        return schema

    def _enum(self, enum: Descriptor | EnumDescriptor) -> Schema:
        values = [value.name for value in cast(EnumDescriptor, enum).values]
        told = [self._comments.get(f"{enum.full_name}.{name}") for name in values]
        lines = [f"- `{name}`: {' '.join(text.split())}" for name, text in zip(values, told, strict=True) if text]
        texts = [self._comments.get(enum.full_name), "\n".join(lines)]
        return {"type": "string", "description": "\n\n".join(filter(None, texts)), "enum": values}


def _is_required(field: FieldDescriptor) -> bool:
    return field_behavior_pb2.REQUIRED in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
