"""The least that joins gRPC and HTTP in one process: the echo, once an aiohttp client has asked the upstream."""

from __future__ import annotations

import aiohttp
import grpc
import msgspec
from echo import Echo
from payload import http_request

from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_JSON = {"content-type": "application/json"}


class GrpcRelay(Echo):
    """Asks `upstream`, a base URL, and answers as the echo does: of a stream, as much as has arrived."""

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self._url = f"{upstream}/chat/completions"
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._wire = {
            model: _decode(http_request("", model, stream=model != "unary").partition(b"\r\n\r\n")[2])
            for model in ("unary", "burst", "paced")
        }

    async def Chat(  # noqa: N802
        self, request: ChatRequest, context: grpc.aio.ServicerContext[ChatRequest, ChatResponse]
    ) -> ChatResponse:
        """One message, when the upstream has answered."""
        async with self._session.post(self._url, data=_encode(self._wire[request.model]), headers=_JSON) as reply:
            _decode(await reply.read())
        return self.answer

    async def StreamChat(  # type: ignore[override]  # noqa: N802
        self, request: ChatRequest, context: grpc.aio.ServicerContext[ChatRequest, ChatEvent]
    ) -> None:
        """One message for each of the upstream's, and then those that are left."""
        events = iter(self.events)
        async with self._session.post(self._url, data=_encode(self._wire[request.model]), headers=_JSON) as reply:
            async for chunk in reply.content.iter_any():
                for _, event in zip(range(chunk.count(b"\n\n")), events, strict=False):
                    await context.write(event)
        for event in events:
            await context.write(event)

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()
