"""gRPC, by the generated stubs."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import grpc
from surfaces.said import CITY, NAMED, Asked, Said, Surface

from trunkline.core.fold import fold
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.chat_pb2_grpc import ChatServiceStub
from trunkline.v1.content_pb2 import Media, Message, Part, ToolResult

_HTTP = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}


class GrpcSurface(Surface):
    """A microservice. Its histories are messages of the contract."""

    errors = grpc.aio.AioRpcError

    def __init__(self, url: str, key: str) -> None:
        super().__init__(url, key)
        self.channel = grpc.aio.insecure_channel(url)
        self.stub = ChatServiceStub(self.channel)
        self.metadata = (("authorization", f"Bearer {key}"),)

    async def ask(self, asked: Asked) -> Said:
        request = self._request(asked)
        if asked.streamed:
            stream = self.stub.StreamChat(request, metadata=self.metadata)
            response = fold([event async for event in stream])
        else:
            response = await self.stub.Chat(request, metadata=self.metadata)
        choice = response.choices[0]
        assert choice.finish.reason != chat_pb2.FINISH_REASON_UNSPECIFIED
        parts = choice.message.parts
        return Said(
            "".join(part.text for part in parts),
            "".join(part.reasoning.text for part in parts),
            [
                (part.tool_call.id, part.tool_call.name, json.loads(part.tool_call.arguments_json))
                for part in parts
                if part.HasField("tool_call")
            ],
            [choice.message],
            response.usage.input_tokens + response.usage.output_tokens,
        )

    def _request(self, asked: Asked) -> ChatRequest:
        request = ChatRequest(model=asked.model)
        if asked.system:
            request.messages.add(role=content_pb2.ROLE_SYSTEM).parts.add(text=asked.system)
        request.messages.extend(asked.history)
        for name in asked.tools:
            function = request.tools.add().function
            function.name, function.parameters_json = name, json.dumps(CITY)
        if asked.forced:
            request.tool_choice.name = asked.forced
        if asked.schema:
            schema = request.response_format.json_schema
            schema.name, schema.schema_json, schema.strict = "named", json.dumps(NAMED), True
        if asked.reasoning:
            request.reasoning.effort = "low"
            request.reasoning.summary = "auto"
        return request

    def user(self, text: str, image: str = "") -> Any:
        message = Message(role=content_pb2.ROLE_USER)
        if image:
            media = message.parts.add().media
            media.media_type, media.data = "image/png", b64decode(image)
        message.parts.add(text=text)
        return message

    def answered(self, results: dict[str, str], said: Said, image: str = "") -> list[Any]:
        names = {call: name for call, name, _ in said.calls}
        shown = [Part(media=Media(media_type="image/png", data=b64decode(image)))] if image else []
        parts = [
            Part(tool_result=ToolResult(tool_call_id=call, name=names[call], parts=[Part(text=text), *shown]))
            for call, text in results.items()
        ]
        return [Message(role=content_pb2.ROLE_TOOL, parts=parts)]

    async def begin(self, asked: Asked) -> Any:
        stream = self.stub.StreamChat(self._request(asked), metadata=self.metadata)
        await stream.read()
        return _Stream(stream)

    async def close(self) -> None:
        await self.channel.close()

    def status(self, error: Exception) -> int | None:
        return _HTTP.get(error.code()) if isinstance(error, grpc.aio.AioRpcError) else None


class _Stream:
    """A stream that is left by cancelling it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def close(self) -> None:
        self._stream.cancel()
