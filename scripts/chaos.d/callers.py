"""Those who call: over both wires, in one piece and as a stream, and some who hang up."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import grpc
from deployment import KEYS, MODELS, Replica, secret

from trunkline.v1 import chat_pb2_grpc, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest

_PATIENCE: Final = 20.0
"""Seconds after which a caller gives a call up."""

_WEIGHTS: Final = {"echo": 10, "long": 8, "helped": 3, "cut": 2, "failing": 1}

_HANG_UP: Final = 0.15
"""The share of streams that are left in their midst."""


@dataclass
class Seen:
    """What callers saw. `ended` are the ids of calls whose end was told, `tried` counts all by what became of them."""

    ended: set[str] = field(default_factory=set)
    tried: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)


class Callers:
    """Many callers at once, until they are told to stop."""

    def __init__(self, replicas: Sequence[Replica], seen: Seen, chance: random.Random) -> None:
        self._replicas = replicas
        self._seen = seen
        self._chance = chance
        self._stopping = False
        self._numbers = 0

    def stop(self) -> None:
        """Begin no more calls."""
        self._stopping = True

    async def run(self, count: int) -> None:
        """Call until told to stop, so many at once."""
        async with AsyncExitStack() as stack:
            timeout = aiohttp.ClientTimeout(total=_PATIENCE)
            connector = aiohttp.TCPConnector(limit=0)
            session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout, connector=connector))
            channels = [
                await stack.enter_async_context(
                    grpc.aio.insecure_channel(
                        f"127.0.0.1:{one.grpc_port}",
                        [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)],
                    )
                )
                for one in self._replicas
            ]
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(self._one(session, channels))

    async def _one(self, session: aiohttp.ClientSession, channels: Sequence[grpc.aio.Channel]) -> None:
        while not self._stopping:
            self._numbers += 1
            name = f"chaos-{self._numbers}"
            place = self._chance.randrange(len(self._replicas))
            key = self._chance.choice(list(KEYS))
            model = self._chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
            assert model in MODELS  # noqa: S101 - a name that is misspelt here would be refused everywhere
            kind = self._chance.choices(["http", "http stream", "grpc", "grpc stream"], [6, 5, 2, 2])[0]
            if kind.startswith("http"):
                port = self._replicas[place].http_port
                outcome = await self._http(session, port, name, key, model, streamed=kind != "http")
            else:
                outcome = await self._grpc(channels[place], name, key, model, streamed=kind != "grpc")
            self._seen.tried[outcome] += 1
            self._seen.kinds[kind] += 1
            if outcome in ("refused", "away"):
                await asyncio.sleep(0.05)

    async def _http(
        self, session: aiohttp.ClientSession, port: int, name: str, key: str, model: str, *, streamed: bool
    ) -> str:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello there"}], "stream": streamed}
        headers = {"authorization": f"Bearer {secret(key)}", "x-request-id": name}
        hangs_up = streamed and self._chance.random() < _HANG_UP
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        try:
            async with session.post(url, json=body, headers=headers) as answer:
                if answer.status != 200:
                    await answer.read()
                    return self._failed(name, answer.status, "x-trunkline-provider" in answer.headers)
                if not streamed:
                    json.loads(await answer.read())
                    return self._ended(name)
                lines = 0
                async for line in answer.content:
                    lines += line.startswith(b"data: ")
                    if line == b"data: [DONE]\n":
                        return self._ended(name)
                    if hangs_up and lines == 8:
                        return "hung up"
                return "broken"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return "away"

    async def _grpc(self, channel: grpc.aio.Channel, name: str, key: str, model: str, *, streamed: bool) -> str:
        request = ChatRequest(model=model)
        request.messages.add(role=content_pb2.ROLE_USER).parts.add(text="Hello there")
        metadata = (("authorization", f"Bearer {secret(key)}"), ("x-request-id", name))
        stub = chat_pb2_grpc.ChatServiceStub(channel)
        hangs_up = streamed and self._chance.random() < _HANG_UP
        try:
            if not streamed:
                await stub.Chat(request, metadata=metadata, timeout=_PATIENCE)
                return self._ended(name)
            stream = stub.StreamChat(request, metadata=metadata, timeout=_PATIENCE)
            events = 0
            async for _ in stream:
                events += 1
                if hangs_up and events == 8:
                    stream.cancel()
                    return "hung up"
            return self._ended(name)
        except grpc.aio.AioRpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            status = 429 if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED else 503
            if "x-request-id" not in trailers:
                return "away"
            return self._failed(name, status, "x-trunkline-provider" in trailers)

    def _ended(self, name: str) -> str:
        self._seen.ended.add(name)
        return "answered"

    def _failed(self, name: str, status: int, asked: bool) -> str:
        """The caller was told of a failure: it is an end like any other where a provider was asked."""
        if asked:
            self._seen.ended.add(name)
            return "failed"
        return "refused" if status in (402, 403, 429) else "away"
