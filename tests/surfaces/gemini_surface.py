"""`generateContent`, by Google's SDK."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from google import genai
from google.genai import errors, types
from surfaces.said import CITY, LONG, NAMED, NO_TLS, Asked, Said, Surface


class GeminiSurface(Surface):
    """A client that sends every part back as it came, those of streams one by one."""

    errors = errors.APIError

    def __init__(self, url: str, key: str) -> None:
        super().__init__(url, key)
        options = types.HttpOptions(
            base_url=url, client_args={"verify": NO_TLS}, async_client_args={"verify": NO_TLS, "ssl": NO_TLS}
        )
        self.client = genai.Client(api_key=key, http_options=options)

    async def ask(self, asked: Asked) -> Said:
        parts: list[types.Part] = []
        tokens, finish = 0, None
        if asked.streamed:
            answers = [
                chunk async for chunk in await self.client.aio.models.generate_content_stream(**self._body(asked))
            ]
        else:
            answers = [await self.client.aio.models.generate_content(**self._body(asked))]
        for answer in answers:
            for candidate in answer.candidates or ():
                finish = candidate.finish_reason or finish
                parts += (candidate.content.parts if candidate.content is not None else None) or []
            if answer.usage_metadata is not None:
                tokens = answer.usage_metadata.total_token_count or 0
        assert finish is not None
        calls = [
            (part.function_call.id or f"#{number}", part.function_call.name or "", dict(part.function_call.args or {}))
            for number, part in enumerate(parts)
            if part.function_call is not None
        ]
        return Said(
            "".join(part.text for part in parts if part.text and not part.thought),
            "".join(part.text for part in parts if part.text and part.thought),
            calls,
            [types.Content(role="model", parts=parts)],
            tokens,
        )

    def _body(self, asked: Asked) -> dict[str, Any]:
        config = types.GenerateContentConfig()
        if asked.system:
            config.system_instruction = asked.system
        if asked.tools:
            declared = [types.FunctionDeclaration(name=name, parameters_json_schema=CITY) for name in asked.tools]
            config.tools = [types.Tool(function_declarations=declared)]
        if asked.forced:
            mode = types.FunctionCallingConfigMode.ANY
            calling = types.FunctionCallingConfig(mode=mode, allowed_function_names=[asked.forced])
            config.tool_config = types.ToolConfig(function_calling_config=calling)
        if asked.schema:
            config.response_mime_type = "application/json"
            config.response_json_schema = NAMED
        if asked.reasoning:
            config.thinking_config = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
        contents = asked.history
        if len(contents) > LONG:
            raw = [content.model_dump(mode="json", by_alias=True, exclude_none=True) for content in contents]
            config.http_options = types.HttpOptions(extra_body={"contents": raw})
            contents = contents[-1:]
        return {"model": asked.model, "contents": contents, "config": config}

    def user(self, text: str, image: str = "") -> Any:
        parts = [types.Part(text=text)]
        if image:
            parts.insert(0, types.Part(inline_data=types.Blob(mime_type="image/png", data=b64decode(image))))
        return types.Content(role="user", parts=parts)

    def answered(self, results: dict[str, str], said: Said, image: str = "") -> list[Any]:
        names = {call: name for call, name, _ in said.calls}
        parts = []
        for call, text in results.items():
            given = None if call.startswith("#") else call
            result = types.FunctionResponse(id=given, name=names[call], response={"result": text})
            parts.append(types.Part(function_response=result))
        if image:
            parts.append(types.Part(inline_data=types.Blob(mime_type="image/png", data=b64decode(image))))
        return [types.Content(role="user", parts=parts)]

    async def begin(self, asked: Asked) -> Any:
        stream = await self.client.aio.models.generate_content_stream(**self._body(asked))
        await anext(stream)
        return stream

    async def close(self) -> None:
        await self.client.aio.aclose()
        self.client.close()

    def status(self, error: Exception) -> int | None:
        return error.code if isinstance(error, errors.APIError) else None
