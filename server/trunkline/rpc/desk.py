"""The services that a desk answers rather than the gateway."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from trunkline.rpc.exchange import Exchange, Exchanges

_INNER_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")

Context = grpc.aio.ServicerContext[Any, Any]


def desk_handler(service: ServiceDescriptor, desk: object, exchanges: Exchanges) -> grpc.GenericRpcHandler:
    """Serves `service` by `desk`, which has a method for each RPC, in snake case, that takes a message and its call."""
    return grpc.method_handlers_generic_handler(
        service.full_name, {method.name: _handler(method, desk, exchanges) for method in service.methods}
    )


def _handler(method: MethodDescriptor, desk: object, exchanges: Exchanges) -> grpc.RpcMethodHandler[Any, Any]:
    name = _INNER_CAPITAL.sub("_", method.name).lower()
    answer: Callable[..., Any] = getattr(desk, name)
    reads = GetMessageClass(method.input_type).FromString
    writes = GetMessageClass(method.output_type).SerializeToString
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(
            _stream(name, answer, exchanges), request_deserializer=reads, response_serializer=writes
        )
    return grpc.unary_unary_rpc_method_handler(
        _unary(name, answer, exchanges), request_deserializer=reads, response_serializer=writes
    )


def _unary(name: str, answer: Callable[..., Awaitable[Message]], exchanges: Exchanges) -> Any:
    async def serve(request: Message, context: Context) -> Message:
        async with Exchange(exchanges, context) as rpc:
            rpc.call.operation = name
            return await answer(request, rpc.call)

    return serve


def _stream(name: str, answer: Callable[..., Any], exchanges: Exchanges) -> Any:
    async def serve(request: Message, context: Context) -> None:
        async with Exchange(exchanges, context) as rpc:
            rpc.call.operation = name
            await rpc.greet()
            async with aclosing(answer(request, rpc.call)) as batches:
                async for batch in batches:
                    for message in batch:
                        await context.write(message)

    return serve
