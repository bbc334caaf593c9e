"""A fake resource of Azure on loopback, with its APIs, which refuses what Azure refuses; see `chat_server`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aiohttp import web
from fakes import responses_server
from fakes.chat_server import ChatServer, Json, Received, RefusedError, Said
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from typing_extensions import get_type_hints

KEY = "azure-fake"
TOKEN = "entra-token"
DEPLOYMENTS = ("house-gpt", "house mini")
OLDEST = "2024-10-21"

_DEPLOYED = "gpt-5.1"
"""What is deployed, as Responses name it."""

_FIELDS = frozenset(get_type_hints(CompletionCreateParamsStreaming))
_DATE = re.compile(r"\d{4}-\d\d-\d\d(-preview)?")
_SAFE: Json = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_PROMPT = [{"prompt_index": 0, "content_filter_results": _SAFE}]


class AzureServer(ChatServer):
    """Serves while it is entered: `async with AzureServer() as server`. It takes the `tokens` of Entra ID."""

    paths = ("/openai/v1/chat/completions", "/openai/deployments/{deployment}/chat/completions")
    id_header = "apim-request-id"

    def __init__(self) -> None:
        super().__init__()
        self.tokens = {TOKEN}

    @property
    def url(self) -> str:
        """The base URL of the newer API."""
        return f"{self.origin}/openai/v1"

    @property
    def failure(self) -> Json:
        """A chunk with an error."""
        return {"error": {"message": "The server had an error.", "type": "server_error", "code": None}}

    def route(self, router: web.UrlDispatcher) -> None:
        super().route(router)
        router.add_post("/openai/v1/responses", self._responses)

    def authorize(self, received: Received) -> None:
        token = received.headers.get("authorization", "").removeprefix("Bearer ")
        if received.headers.get("api-key") == KEY or token in {*self.tokens, KEY}:
            return
        words = "Access denied due to invalid subscription key or wrong API endpoint."
        raise RefusedError(401, {"error": {"code": "401", "message": words}})

    def check(self, received: Received) -> None:
        _check_place(received)
        for key in received.body:
            if key not in _FIELDS:
                raise _refused(f"Unrecognized request argument supplied: {key}", param=key)
        if received.body.get("max_tokens"):
            words = "Unsupported parameter: 'max_tokens' is not supported with this model."
            raise _refused(words, "unsupported_parameter", "max_tokens")

    def refuse(self, word: str) -> None:
        match word:
            case "limited":
                error = {"code": "RateLimitReached", "message": "Your requests have exceeded the rate limit."}
                raise RefusedError(429, {"error": error}, {"retry-after": "7"})
            case "overloaded":
                raise RefusedError(503, {"error": {"code": "503", "message": "Service unavailable"}})
            case "poor":
                raise RefusedError(429, {"error": {"code": "insufficient_quota", "message": "Quota exceeded."}})
            case "broken":
                raise RefusedError(500, {"error": {"code": "InternalServerError", "message": "It broke."}})
            case "long":
                words = "This model's maximum context length is 128000 tokens."
                raise _refused(words, "context_length_exceeded", "messages")
            case "filtered":
                raise _filtered()

    def think(self, body: Json, word: str) -> str:
        return ""

    def call_id(self, turn: int, number: int) -> str:
        return f"call_{turn:020}{number:04}"

    def usage(self, said: Said) -> Json:
        return {**super().usage(said), "completion_tokens_details": {"reasoning_tokens": 0}}

    def dress(self, response: Json) -> Json:
        choices = [{**choice, "content_filter_results": _SAFE} for choice in response["choices"]]
        return {**response, "choices": choices, "prompt_filter_results": _PROMPT}

    def prelude(self) -> Iterator[Json]:
        """What Azure found in the prompt, before anything is known of the answer."""
        yield {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": _PROMPT}

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        """OpenAI's Responses, of the API whose paths have no deployments."""
        received = self.receive(request, await request.json())
        try:
            self.authorize(received)
            _check_place(received)
            self.refuse(responses_server.last_text(received.body))
        except RefusedError as error:
            return web.json_response(error.body, status=error.status, headers=error.headers)
        body = {**received.body, "model": _DEPLOYED}
        return await responses_server.answer(request, body, f"req_{len(self.requests)}", self.abandoned)


def _check_place(received: Received) -> None:
    """Raise `RefusedError` where there is no such API, or no such deployment."""
    path, _, query = received.path.partition("?")
    dated = "/deployments/" in path
    version = query.removeprefix("api-version=")
    if dated and not (_DATE.fullmatch(version) and version >= OLDEST):
        raise RefusedError(404, {"error": {"code": "404", "message": "Resource not found"}})
    if not dated and version not in ("", "preview", "latest"):
        raise RefusedError(400, {"error": {"code": "BadRequest", "message": "API version not supported"}})
    name = path.split("/")[3].replace("%20", " ") if dated else received.body["model"]
    if name not in DEPLOYMENTS:
        words = "The API deployment for this resource does not exist."
        raise RefusedError(404, {"error": {"code": "DeploymentNotFound", "message": words}})


def _refused(message: str, code: str | None = None, param: str | None = None) -> RefusedError:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return RefusedError(400, {"error": error})


def _filtered() -> RefusedError:
    result = {**_SAFE, "violence": {"filtered": True, "severity": "medium"}, "jailbreak": {"filtered": True}}
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": result}
    words = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
    error = {"message": words, "type": None, "param": "prompt", "code": "content_filter", "status": 400}
    return RefusedError(400, {"error": {**error, "innererror": inner}})
