"""`grpc.health.v1` for services that all take calls until the server leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer


class HealthService(HealthServicer):  # type: ignore[misc]  # comes without types
    """Tells whether `services`, and the server as a whole under the empty name, take calls.

    Unlike the servicer of the grpcio-health-checking package it lets its watchers go when the server stops, which would
    otherwise wait for them.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._services = frozenset(("", *services))
        self._leaving = asyncio.Event()
        self._stopping = asyncio.Event()

    def leave(self) -> None:
        """Say from now on that no service takes calls."""
        self._leaving.set()

    def stop(self) -> None:
        """Let the watchers go, who were told that no service takes calls."""
        self.leave()
        self._stopping.set()

    async def Check(
        self, request: HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> HealthCheckResponse:
        """Answers with the state of a service."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "No such service.")
        return self._state(request)

    async def Watch(self, request: HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Answers with the state of a service, now and whenever it changes."""
        state = self._state(request)
        await context.write(state)
        await self._leaving.wait()
        last = self._state(request)
        if last != state:
            await context.write(last)
        await self._stopping.wait()

    def _state(self, request: HealthCheckRequest) -> HealthCheckResponse:
        if request.service not in self._services:
            return HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
        if self._leaving.is_set():
            return HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING)
        return HealthCheckResponse(status=HealthCheckResponse.SERVING)
