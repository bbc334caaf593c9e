"""The gRPC server: its services, its settings, its start and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from trunkline.config.model import GrpcConfig
from trunkline.core.entry import Entry
from trunkline.rpc.chat import ChatService
from trunkline.rpc.desk import desk_handler
from trunkline.rpc.embeddings import EmbeddingService
from trunkline.rpc.exchange import Exchanges
from trunkline.rpc.health import HealthService
from trunkline.rpc.listen import check_address, refused, stop_listening
from trunkline.rpc.models import ModelService
from trunkline.rpc.routes import RouteService
from trunkline.rpc.tls import server_credentials
from trunkline.services import SERVICES
from trunkline.v1 import chat_pb2_grpc, embeddings_pb2_grpc, models_pb2_grpc, routes_pb2_grpc

_GATEWAY: Final = tuple(f"trunkline.v1.{name}Service" for name in ("Chat", "Embedding", "Model", "Route"))
"""What the gateway answers."""

_HEALTH: Final = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

_IDENTITY: Final = 1
"""The bit of the one message encoding that is taken: a compressed message could unfold to any size."""

_ENDING: Final = 5.0
"""Seconds that a cancelled RPC may take to let its provider go."""


class RpcServer:
    """Serves the calls of `entry` over gRPC. Started and stopped once, on one event loop.

    `desks` answer the services that the gateway does not, by their full names; without `gateway` they are all that is
    served. With `shared`, other processes listen on the same address, and whoever started them saw that it can be had.
    """

    def __init__(
        self,
        entry: Entry,
        config: GrpcConfig,
        *,
        desks: Mapping[str, object] = {},
        gateway: bool = True,
        shared: bool = False,
    ) -> None:
        self._config = config
        self._shared = shared
        self._gateway = gateway
        self._desks = [(service, desks[service.full_name]) for service in SERVICES if service.full_name in desks]
        self._names = [*(_GATEWAY if gateway else ()), *(service.full_name for service, _ in self._desks)]
        self._exchanges = Exchanges(entry)
        self._health = HealthService(self._names)
        self._server: grpc.aio.Server | None = None
        self._port = 0

    async def start(self) -> int:
        """Listen, and give the port. Raises `OSError` where the address is taken or a certificate cannot be used."""
        config = self._config
        credentials = None if config.tls is None else server_credentials(config.tls)
        if not self._shared:
            await check_address(config.address)
        server = grpc.aio.server(options=_options(config, shared=self._shared))
        if self._gateway:
            chat_pb2_grpc.add_ChatServiceServicer_to_server(ChatService(self._exchanges), server)
            embeddings_pb2_grpc.add_EmbeddingServiceServicer_to_server(EmbeddingService(self._exchanges), server)
            models_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self._exchanges), server)
            routes_pb2_grpc.add_RouteServiceServicer_to_server(RouteService(self._exchanges), server)
        server.add_generic_rpc_handlers([desk_handler(*each, self._exchanges) for each in self._desks])
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*self._names, _HEALTH, reflection.SERVICE_NAME), server)
        try:
            if credentials is None:
                port = server.add_insecure_port(str(config.address))
            else:
                port = server.add_secure_port(str(config.address), credentials)
        except RuntimeError as error:
            raise refused(config.address, str(error)) from None
        await server.start()
        self._server, self._port = server, port
        return port

    def leave(self, *, to_others: bool) -> None:
        """Say that no more calls should come, and take them all the same, until `stop`. With `to_others` no more
        connections are taken: they go to the other processes at the same address."""
        self._health.leave()
        if to_others and self._server is not None:
            stop_listening(self._port)

    async def stop(self, grace: float) -> None:
        """Take no more calls, and return when the running ones have ended, or were cancelled after `grace` seconds."""
        if self._server is None:
            return
        self._health.stop()
        await self._server.stop(grace)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._exchanges.drained(), _ENDING)


def _options(config: GrpcConfig, *, shared: bool) -> list[tuple[str, int]]:
    options = [
        ("grpc.so_reuseport", int(shared)),
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY),
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.max_send_message_length", config.max_message_bytes),
        ("grpc.keepalive_time_ms", _milliseconds(config.keepalive_time)),
        ("grpc.keepalive_timeout_ms", _milliseconds(config.keepalive_timeout)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _milliseconds(config.min_ping_interval)),
    ]
    if config.max_connection_age is not None:
        options.append(("grpc.max_connection_age_ms", _milliseconds(config.max_connection_age)))
    return options


def _milliseconds(seconds: float) -> int:
    return max(1, min(round(seconds * 1000), 0x7FFFFFFF))
