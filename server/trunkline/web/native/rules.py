"""The `google.api.http` rules of services, read from their descriptors and checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from trunkline.web.native.template import Template, parse
from trunkline.web.native.wellknown import is_text

FieldPath = tuple[FieldDescriptor, ...]
"""A field within a message, from the outside in."""

_INNER_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to call an RPC over HTTP.

    `body` is the field that the body holds, True for the whole request, None for none. `answer` is the name of the
    method that serves the RPC.
    """

    rpc: MethodDescriptor
    method: str
    template: Template
    variables: Mapping[str, FieldPath]
    body: FieldDescriptor | Literal[True] | None
    response_body: FieldDescriptor | None
    request: type[Message]
    answer: str

    @property
    def taken(self) -> list[str]:
        """The fields, by their dotted proto names, that the path or the body holds and a query cannot."""
        paths = [".".join(field.name for field in path) for path in self.variables.values()]
        return [*paths, self.body.name] if isinstance(self.body, FieldDescriptor) else paths

    @property
    def streams(self) -> bool:
        """Whether the RPC answers with a stream."""
        return bool(self.rpc.server_streaming)


def rules_of(services: Sequence[ServiceDescriptor]) -> list[Rule]:
    """Every rule, in the order of the descriptors, additional bindings after the rule they add to.

    Raises `ValueError` where a rule cannot be served: a bad template, an unknown field, a client stream.
    """
    return [
        _rule(rpc, http)
        for service in services
        for rpc in service.methods
        if rpc.GetOptions().HasExtension(annotations_pb2.http)
        for http in _each(rpc.GetOptions().Extensions[annotations_pb2.http])
    ]


def resolve(descriptor: Descriptor, path: Sequence[str]) -> FieldPath | None:
    """The field at `path`, each step by its proto or its JSON name; None where there is none.

    Raises `LookupError` where a step inside the path is not a single message.
    """
    fields: list[FieldDescriptor] = []
    inside: Descriptor | None = descriptor
    for name in path:
        if inside is None or (fields and fields[-1].is_repeated):
            raise LookupError(fields[-1].name)
        field = fields_by_name(inside).get(name)
        if field is None:
            return None
        fields.append(field)
        inside = field.message_type
    return tuple(fields)


def descriptor_of(message: Message) -> Descriptor:
    """The descriptor of a message."""
    return cast(Descriptor, message.DESCRIPTOR)


def fields_by_name(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    """The fields of a message by their proto and their JSON names."""
    names = _NAMES.get(descriptor)
    if names is None:
        names = {field.name: field for field in descriptor.fields}
        names |= {field.json_name: field for field in descriptor.fields}
        _NAMES[descriptor] = names
    return names


_NAMES: Final[dict[Descriptor, dict[str, FieldDescriptor]]] = {}


def _each(http: HttpRule) -> Iterator[HttpRule]:
    yield http
    yield from http.additional_bindings


def _rule(rpc: MethodDescriptor, http: HttpRule) -> Rule:
    if rpc.client_streaming:
        raise ValueError(f"{rpc.full_name}: a client stream cannot be served over HTTP")
    pattern = http.WhichOneof("pattern")
    if pattern is None:
        raise ValueError(f"{rpc.full_name}: an HTTP rule names no path")
    method = http.custom.kind if pattern == "custom" else pattern.upper()
    template = parse(http.custom.path if pattern == "custom" else getattr(http, pattern))
    if template.segments[0].kind != "literal":
        raise ValueError(f"{rpc.full_name}: the path template {template.text!r} does not begin with a literal")
    body: FieldDescriptor | Literal[True] | None = True if http.body == "*" else _field(rpc, rpc.input_type, http.body)
    return Rule(
        rpc=rpc,
        method=method,
        template=template,
        variables={variable.field: _variable(rpc, variable.field) for variable in template.variables},
        body=body,
        response_body=_field(rpc, rpc.output_type, http.response_body),
        request=GetMessageClass(rpc.input_type),
        answer=_INNER_CAPITAL.sub("_", rpc.name).lower(),
    )


def _field(rpc: MethodDescriptor, descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    if not name:
        return None
    field = descriptor.fields_by_name.get(name)
    if field is None:
        raise ValueError(f"{rpc.full_name}: {descriptor.full_name} has no field `{name}`")
    return field


def _variable(rpc: MethodDescriptor, name: str) -> FieldPath:
    try:
        path = resolve(rpc.input_type, name.split("."))
    except LookupError:
        path = None
    if path is None or path[-1].is_repeated or not (path[-1].message_type is None or is_text(path[-1].message_type)):
        raise ValueError(f"{rpc.full_name}: `{name}` is no field that a path can fill")
    return path
