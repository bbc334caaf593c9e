"""The rules of `google.api.http` as OpenAPI paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from trunkline.web.native.decode import is_map
from trunkline.web.native.rules import FieldPath, Rule
from trunkline.web.native.template import Template
from trunkline.web.native.wellknown import is_text
from trunkline.web.openapi.schemas import Schema, Schemas

_JSON: Final = "application/json"
_STATUS: Final = {"$ref": "#/components/schemas/google.rpc.Status"}
_HEADERS: Final = {name: {"$ref": f"#/components/headers/{name}"} for name in ("x-request-id", "x-trunkline-dropped")}
_PARAMETERS: Final = [
    {"$ref": f"#/components/parameters/{name}"}
    for name in ("grpc-timeout", "x-request-id", "x-trunkline-strict", "x-trunkline-timeout")
]


def paths_of(rules: Sequence[Rule], schemas: Schemas) -> dict[str, dict[str, Any]]:
    """The paths that serve `rules`; what their messages need is added to `schemas`."""
    paths: dict[str, dict[str, Any]] = {}
    seen: Counter[str] = Counter()
    for rule in rules:
        seen[rule.rpc.full_name] += 1
        paths.setdefault(path_of(rule.template), {})[rule.method.lower()] = _operation(
            rule, schemas, seen[rule.rpc.full_name]
        )
    return paths


def path_of(template: Template) -> str:
    """A template as OpenAPI writes it: each variable is one parameter, whatever it matches."""
    starts = {variable.start: variable for variable in template.variables}
    parts: list[str] = []
    position = 0
    while position < len(template.segments):
        variable = starts.get(position)
        parts.append(f"{{{variable.field}}}" if variable else template.segments[position].literal or "*")
        position = variable.end if variable else position + 1
    return "/" + "/".join(parts) + (f":{template.verb}" if template.verb else "")


def _operation(rule: Rule, schemas: Schemas, number: int) -> dict[str, Any]:
    service = rule.rpc.containing_service
    told = schemas.describe(rule.rpc.full_name)
    parameters = [*_path_parameters(rule, schemas), *_query_parameters(rule, schemas), *_PARAMETERS]
    operation: dict[str, Any] = {
        "tags": [service.name],
        "operationId": f"{service.name}_{rule.rpc.name}" + (str(number) if number > 1 else ""),
        "summary": " ".join(told.get("description", rule.rpc.name).split()).split(". ")[0].rstrip("."),
        **told,
        "parameters": parameters,
    }
    if rule.body is not None:
        body = schemas.refer(_input(rule)) if rule.body is True else schemas.field(rule.body)
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": body}}}
    output = rule.rpc.output_type
    answer = schemas.refer(output) if rule.response_body is None else schemas.field(rule.response_body)
    operation["responses"] = {
        "200": {
            "description": "A line for each message, as soon as it is there." if rule.streams else "The answer.",
            "headers": _HEADERS,
            "content": {_JSON: {"schema": _lines(answer) if rule.streams else answer}},
        },
        "default": {
            "description": "The call failed.",
            "headers": {"x-request-id": _HEADERS["x-request-id"]},
            "content": {_JSON: {"schema": _error_line() if rule.streams else _STATUS}},
        },
    }
    return operation


def _lines(answer: Schema) -> Schema:
    result = {"type": "object", "required": ["result"], "properties": {"result": answer}}
    return {
        "description": "One line of the stream. Only the last may be an error; without one, the stream was whole.",
        "oneOf": [result, _error_line()],
    }


def _error_line() -> Schema:
    return {"type": "object", "required": ["error"], "properties": {"error": _STATUS}}


def _path_parameters(rule: Rule, schemas: Schemas) -> Iterator[dict[str, Any]]:
    for variable in rule.template.variables:
        field = rule.variables[variable.field][-1]
        told = schemas.describe(field.full_name)
        segments = rule.template.segments[variable.start : variable.end]
        if len(segments) > 1 or segments[0].kind == "many":
            told["description"] = "\n\n".join([*told.values(), "It may hold slashes."])
        yield {"name": variable.field, "in": "path", "required": True, **told, "schema": schemas.value(field)}


def _query_parameters(rule: Rule, schemas: Schemas) -> Iterator[dict[str, Any]]:
    if rule.body is True:
        return
    for path in _leaves(_input(rule), (), set(rule.taken)):
        schema = schemas.field(path[-1])
        told = {"description": schema.pop("description")} if "description" in schema else {}
        yield {"name": ".".join(field.json_name for field in path), "in": "query", **told, "schema": schema}


def _leaves(message: Descriptor, above: FieldPath, taken: set[str]) -> Iterator[FieldPath]:
    """The fields that a query can fill, each message entered once on the way down."""
    for field in message.fields:
        path = (*above, field)
        if ".".join(step.name for step in path) in taken:
            continue
        inner = field.message_type
        if inner is None or is_text(inner):
            yield path
        elif not field.is_repeated and not is_map(field) and not _is_within(inner, above):
            yield from _leaves(inner, path, taken)


def _is_within(message: Descriptor, above: Sequence[FieldDescriptor]) -> bool:
    return any(field.containing_type is message or field.message_type is message for field in above)


def _input(rule: Rule) -> Descriptor:
    return rule.rpc.input_type
