"""A fake server of OpenAI's older Completions on loopback: it goes on with each prompt by saying it backwards."""

from __future__ import annotations

import json
from typing import Any, Self

from aiohttp import web

_KNOWN = frozenset(
    {"model", "prompt", "best_of", "echo", "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "n", "seed"}
    | {"presence_penalty", "stop", "stream", "stream_options", "suffix", "temperature", "top_p", "user"}
)


class CompletionsServer:
    """Serves while it is entered. `bodies` is what came; `cut` breaks streams off before their end."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.cut = False
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/completions", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.bodies.append(body)
        unknown = body.keys() - _KNOWN
        if unknown:
            return _refused(f"Unrecognized request argument supplied: {min(unknown)}", min(unknown))
        prompts = body["prompt"]
        prompts = prompts if isinstance(prompts, list) and not isinstance(prompts[0], int) else [prompts]
        texts = [_say(prompt, body) for prompt in prompts for _ in range(body.get("n", 1))]
        if not body.get("stream"):
            choices = [_choice(index, text, body, "stop") for index, text in enumerate(texts)]
            return web.json_response({**_HEAD, "model": body["model"], "choices": choices, "usage": _USAGE})
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for index, text in enumerate(texts):
            for letter in text:
                await self._send(response, {"choices": [_choice(index, letter, body, None)]})
        if self.cut:
            assert request.transport is not None
            request.transport.abort()
            return response
        for index, _ in enumerate(texts):
            await self._send(response, {"choices": [_choice(index, "", body, "length")]})
        if body.get("stream_options", {}).get("include_usage"):
            await self._send(response, {"choices": [], "usage": _USAGE})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _send(self, response: web.StreamResponse, chunk: dict[str, Any]) -> None:
        await response.write(b"data: " + json.dumps({**_HEAD, "model": "base", **chunk}).encode() + b"\n\n")


_HEAD = {"id": "cmpl-1", "object": "text_completion", "created": 1700000000}
_USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def _say(prompt: Any, body: dict[str, Any]) -> str:
    said = str(prompt)[::-1]
    return f"{prompt}{said}" if body.get("echo") else said


def _choice(index: int, text: str, body: dict[str, Any], finish: str | None) -> dict[str, Any]:
    logprobs = None
    if "logprobs" in body and text:
        logprobs = {
            "tokens": list(text),
            "token_logprobs": [-0.5] * len(text),
            "top_logprobs": [{letter: -0.5, "?": -1.5} for letter in text],
            "text_offset": list(range(len(text))),
        }
    return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish}


def _refused(message: str, param: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return web.json_response({"error": error}, status=400)
