"""The comments of proto files, which descriptors at run time do not have: protoc reads them again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import google.rpc
import grpc_tools  # type: ignore[import-untyped]
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)
from grpc_tools import protoc

# The field numbers by which a path of `SourceCodeInfo` steps into each sort of element.
_MESSAGE: Final = FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER
_ENUM: Final = FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER
_SERVICE: Final = FileDescriptorProto.SERVICE_FIELD_NUMBER
_FIELD: Final = DescriptorProto.FIELD_FIELD_NUMBER
_ONEOF: Final = DescriptorProto.ONEOF_DECL_FIELD_NUMBER
_NESTED: Final = DescriptorProto.NESTED_TYPE_FIELD_NUMBER
_NESTED_ENUM: Final = DescriptorProto.ENUM_TYPE_FIELD_NUMBER
_VALUE: Final = EnumDescriptorProto.VALUE_FIELD_NUMBER
_METHOD: Final = ServiceDescriptorProto.METHOD_FIELD_NUMBER

_Path = tuple[int, ...]


def compile_protos(protos: Path, files: Sequence[Path]) -> FileDescriptorSet:
    """The descriptors of `files` below the import root `protos`, with their imports and comments.

    Raises `ValueError` where protoc refuses them; it says why on standard error.
    """
    common = Path(next(iter(google.rpc.__path__))).parents[1]
    well_known = Path(next(iter(grpc_tools.__path__))) / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "image.binpb"
        arguments = ["protoc", f"-I{protos}", f"-I{common}", f"-I{well_known}"]
        options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={out}"]
        if protoc.main([*arguments, *options, *map(str, files)]) != 0:
            raise ValueError(f"protoc refuses the files below {protos}")
        return FileDescriptorSet.FromString(out.read_bytes())


def comments_of(image: FileDescriptorSet) -> dict[str, str]:
    """Full name of each element -> the comment before it. An enum value is named below its enum."""
    comments: dict[str, str] = {}
    for file in image.file:
        told = {tuple(location.path): location.leading_comments for location in file.source_code_info.location}
        for path, name in _elements(file):
            if text := told.get(path):
                comments[f"{file.package}.{name}"] = "\n".join(line.strip() for line in text.strip().splitlines())
    return comments


def _elements(file: FileDescriptorProto) -> Iterator[tuple[_Path, str]]:
    for index, message in enumerate(file.message_type):
        yield from _message((_MESSAGE, index), message, message.name)
    for index, enum in enumerate(file.enum_type):
        yield from _members((_ENUM, index), enum.name, _VALUE, enum.value)
    for index, service in enumerate(file.service):
        yield from _members((_SERVICE, index), service.name, _METHOD, service.method)


def _message(path: _Path, message: DescriptorProto, name: str) -> Iterator[tuple[_Path, str]]:
    yield from _members(path, name, _FIELD, message.field)
    yield from _members(path, name, _ONEOF, message.oneof_decl)
    for index, enum in enumerate(message.enum_type):
        yield from _members((*path, _NESTED_ENUM, index), f"{name}.{enum.name}", _VALUE, enum.value)
    for index, nested in enumerate(message.nested_type):
        yield from _message((*path, _NESTED, index), nested, f"{name}.{nested.name}")


def _members(path: _Path, name: str, number: int, members: Sequence[Any]) -> Iterator[tuple[_Path, str]]:
    yield path, name
    for index, member in enumerate(members):
        yield (*path, number, index), f"{name}.{member.name}"
