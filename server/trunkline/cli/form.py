"""An RPC as an HTTP request, by its `google.api.http` rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from trunkline.web.native.decode import is_map
from trunkline.web.native.rules import descriptor_of, rules_of

_VARIABLE = re.compile(r"\{([\w.]+)(?:=[^}]*)?\}")


class Form(NamedTuple):
    """What to send."""

    method: str
    path: str
    body: dict[str, Any] | None


def form_of(rpc: MethodDescriptor, request: Message) -> Form:
    """The request that asks for `rpc`: its path, its query and its body."""
    rule = next(rule for rule in rules_of([rpc.containing_service]) if rule.rpc.name == rpc.name)
    fields: dict[str, Any] = json_format.MessageToDict(request, preserving_proto_field_name=True)
    path = _VARIABLE.sub(lambda found: quote(str(_take(fields, found[1].split("."))), safe=""), rule.template.text)
    body: dict[str, Any] | None = None
    if rule.body is True:
        body, fields = fields, {}
    elif isinstance(rule.body, FieldDescriptor):
        body = fields.pop(rule.body.name, {})
    for name in fields:
        mask = getattr(request, name)
        if isinstance(mask, FieldMask):
            fields[name] = ",".join(mask.paths)  # a query has the proto names
    query = urlencode(list(_flat(fields, descriptor_of(request))))
    return Form(rule.method, f"{path}?{query}" if query else path, body)


def _take(fields: dict[str, Any], path: list[str]) -> Any:
    """Take a field out, so that it is not said twice."""
    for step in path[:-1]:
        fields = fields.get(step, {})
    return fields.pop(path[-1], "")


def _flat(fields: dict[str, Any], message: Descriptor, before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        field = message.fields_by_name[name]
        if is_map(field):
            for key, one in value.items():
                yield f"{before}{name}[{key}]", str(one)
        elif isinstance(value, dict) and field.message_type is not None:
            yield from _flat(value, field.message_type, f"{before}{name}.")
        else:
            for one in value if isinstance(value, list) else [value]:
                yield f"{before}{name}", str(one)
