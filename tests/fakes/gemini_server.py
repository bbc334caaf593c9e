"""A fake of Google's `generateContent` on loopback: as strict as Google, and scripted by what the user says last."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from fakes import vertex_embeddings
from fakes.gemini_rules import refusal

KEY = "AIza-fake"
TOKEN = "ya29.fake"
MODELS = ("gemini-3-flash", "gemini-2.5-flash", "gemini-2.0-flash")
COUNTED = 42
"""How many tokens every request has that is counted."""

_USAGE = {
    "promptTokenCount": 20,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 7,
    "cachedContentTokenCount": 6,
    "totalTokenCount": 32,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}],
}

_CLAUDE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
_CLAUDE_EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**_CLAUDE, "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I am Claude."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]

ERRORS: dict[str, tuple[int, str, list[dict[str, Any]]]] = {
    "slow down": (
        429,
        "RESOURCE_EXHAUSTED",
        [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}],
    ),
    "overload": (503, "UNAVAILABLE", []),
    "break": (500, "INTERNAL", []),
    "too long": (400, "INVALID_ARGUMENT", []),
}
"""What the user says -> the error that comes of it."""

_FEW = 5
"""How many tools are called unasked: agents bring more, which they do not want to see called at random."""

TOO_LONG = "The input token count (1200001) exceeds the maximum number of tokens allowed (1048576)."


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in; `headers` by lower-case name."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class GeminiServer:
    """Serves while it is entered: `async with GeminiServer() as server`.

    Both APIs are there: the Gemini API, which wants the key, and Vertex AI, which also takes a token of `POST /token`.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.tokens = 0
        """How many tokens were made."""
        self.refuse_tokens = False
        self.abandoned = asyncio.Event()
        self._issued: set[str] = set()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The base URL, without the version of the API."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def asked(self) -> Received:
        """The last request to a model."""
        return next(one for one in reversed(self.requests) if ":" in one.path)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/token", self._token)
        app.router.add_get("/{version:v1|v1beta}/models", self._models)
        app.router.add_post("/{version:v1|v1beta}/models/{call}", self._call)
        app.router.add_post("/v1/publishers/google/models/{call}", self._call)
        place = "/v1/projects/house/locations/{location}"
        app.router.add_post(place + "/publishers/google/models/{call}", self._call)
        app.router.add_post(place + "/endpoints/{call}", self._call)
        app.router.add_post(place + "/publishers/anthropic/models/{call}", self._call_claude)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> Any:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        value = json.loads(body) if body and b"grant_type" not in body else None
        self.requests.append(Received(request.method, request.rel_url.raw_path_qs, headers, value))
        return value

    async def _token(self, request: web.Request) -> web.Response:
        await self._receive(request)
        if self.refuse_tokens:
            return web.json_response({"error": "invalid_grant", "error_description": "hunter2"}, status=400)
        self.tokens += 1
        return web.json_response({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})

    async def _models(self, request: web.Request) -> web.Response:
        await self._receive(request)
        wrong = _unauthorized(request)
        if wrong is not None:
            return wrong
        listed: list[dict[str, Any]] = [
            {"name": f"models/{name}", "supportedGenerationMethods": ["generateContent", "countTokens"]}
            for name in MODELS
        ]
        if "pageToken" in request.query:
            return web.json_response({"models": listed[2:]})
        others = [{"name": "models/embedding-1", "supportedGenerationMethods": ["embedContent"]}]
        return web.json_response({"models": others + listed[:2], "nextPageToken": "second page"})

    async def _call(self, request: web.Request) -> web.StreamResponse:
        body = await self._receive(request)
        model, _, method = request.match_info["call"].partition(":")
        wrong = _unauthorized(request)
        if wrong is not None:
            return wrong
        if "/publishers/" in request.path and vertex_embeddings.embeds(model, method):
            return _embedded(request, body, model, method)
        if model not in MODELS and model != "123":
            return _error(404, "NOT_FOUND", f"models/{model} is not found for API version v1beta.")
        counts = method == "countTokens"
        if counts:
            body = _counted(body, model, vertex="/publishers/" in request.path)
        refused = refusal(body, model, self._issued)
        if refused is not None:
            return _error(400, "INVALID_ARGUMENT", refused)
        if counts:
            return web.json_response({"totalTokens": COUNTED})
        said = _said(body)
        if said in ERRORS:
            status, word, details = ERRORS[said]
            return _error(status, word, TOO_LONG if said == "too long" else "No.", details)
        chunks = self._answer(body, said)
        if method == "generateContent":
            return web.json_response(_whole(chunks))
        return await self._stream(request, chunks, said)

    async def _stream(self, request: web.Request, chunks: list[Any], said: str) -> web.StreamResponse:
        assert request.query.get("alt") == "sse"
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        ends = {"cut", "cut off", "late error"}
        for chunk in chunks[:-1] if said in ends else chunks:
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n")
            if said == "hang":
                try:
                    await asyncio.Event().wait()
                finally:
                    self.abandoned.set()
        if said == "late error":
            await response.write(b'{"error":{"code":503,"message":"Busy.","status":"UNAVAILABLE"}}\n')
        if said == "cut" and request.transport is not None:
            request.transport.close()
            return response
        await response.write_eof()
        return response

    async def _call_claude(self, request: web.Request) -> web.Response:
        """Anthropic's Messages API as Vertex AI has it: the model in the path, the version in the body."""
        body = await self._receive(request)
        wrong = _unauthorized(request)
        if wrong is not None:
            return wrong
        _, _, method = request.match_info["call"].partition(":")
        if body.get("anthropic_version") != "vertex-2023-10-16" or "model" in body or not body.get("max_tokens"):
            return web.json_response(
                {"type": "error", "error": {"type": "invalid_request_error", "message": "No."}}, status=400
            )
        if method == "rawPredict":
            return web.json_response({**_CLAUDE, "content": [{"type": "text", "text": "I am Claude."}]})
        frames = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in _CLAUDE_EVENTS)
        return web.Response(text=frames, content_type="text/event-stream")

    def _answer(self, body: dict[str, Any], said: str) -> list[dict[str, Any]]:
        """The chunks of the answer."""
        if said == "blocked":
            return [{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 20}}]
        config = body.get("generationConfig", {})
        parts: list[list[dict[str, Any]]] = []
        if config.get("thinkingConfig", {}).get("includeThoughts"):
            parts += [[{"text": "Let me ", "thought": True}], [{"text": "think.", "thought": True}]]
        parts += self._said(body, said, config)
        finish = "MAX_TOKENS" if config.get("maxOutputTokens", 99) < 5 else "STOP"
        count = config.get("candidateCount", 1)
        chunks = [
            _chunk([{"content": {"role": "model", "parts": one}, "index": index} for index in range(count)])
            for one in parts
        ]
        for candidate in chunks[-1]["candidates"]:
            candidate["finishReason"] = finish
        for chunk in chunks[:-1]:
            chunk["usageMetadata"] = {"promptTokenCount": 20, "totalTokenCount": 20}
        return chunks

    def _said(self, body: dict[str, Any], said: str, config: dict[str, Any]) -> list[list[dict[str, Any]]]:
        tools = [one["name"] for tool in body.get("tools", []) for one in tool.get("functionDeclarations", [])]
        if body.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode") == "NONE":
            tools = []
        last = body["contents"][-1]["parts"]
        results = [part["functionResponse"] for part in last if "functionResponse" in part]
        if results:
            told = json.dumps([result["response"] for result in results])
            return [[{"text": "They said "}], [{"text": told}, {"text": "", "thoughtSignature": self._sign("end")}]]
        if tools and (said == "all" or len(tools) <= _FEW):
            wanted = tools if said == "all" else tools[:1]
            calls = [{"functionCall": {"name": name, "args": {"city": "Zürich"}}} for name in wanted]
            return [
                [{**calls[0], "thoughtSignature": self._sign(calls[0]["functionCall"]["name"])}],
                *([one] for one in calls[1:]),
            ]
        if "responseSchema" in config or "responseJsonSchema" in config:
            return [[{"text": '{"name":'}], [{"text": ' "Ada"}'}]]
        if said == "draw":
            return [[{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]]
        for stop in config.get("stopSequences", ()):
            said = said.partition(stop)[0]
        return [[{"text": "You said: "}], [{"text": said}]]

    def _sign(self, what: str) -> str:
        signature = base64.b64encode(f"{what} {len(self._issued)}".encode()).decode()
        self._issued.add(signature)
        return signature


def _embedded(request: web.Request, body: dict[str, Any], model: str, method: str) -> web.Response:
    if "/projects/" not in request.path:
        missing = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "CREDENTIALS_MISSING"}
        words = "API keys are not supported by this API. Expected OAuth2 access token."
        return _error(401, "UNAUTHENTICATED", words, [missing])
    try:
        return web.json_response(vertex_embeddings.answer(body, model, method))
    except vertex_embeddings.RefusedError as error:
        return _error(400, "INVALID_ARGUMENT", str(error))


def _said(body: dict[str, Any]) -> str:
    """What the user says last."""
    texts = [part["text"] for part in body["contents"][-1]["parts"] if "text" in part]
    return texts[-1] if texts else ""


def _chunk(candidates: list[Any]) -> dict[str, Any]:
    return {
        "candidates": candidates,
        "usageMetadata": _USAGE,
        "modelVersion": "gemini-3-flash-001",
        "createTime": "2026-05-27T16:53:45.443719Z",
        "responseId": "r1",
    }


def _whole(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The chunks as one answer: texts that go on are one part."""
    last = chunks[-1]
    for place, candidate in enumerate(last.get("candidates", [])):
        parts: list[dict[str, Any]] = []
        for part in (part for chunk in chunks for part in chunk["candidates"][place]["content"]["parts"]):
            before = parts[-1] if parts else {}
            if part.get("text") and "text" in before and part.get("thought") == before.get("thought"):
                parts[-1] = {**before, "text": before["text"] + part["text"]}
            else:
                parts.append(part)
        candidate["content"] = {"role": "model", "parts": parts}
    return last


def _counted(body: Any, model: str, *, vertex: bool) -> Any:
    """The request of which the tokens are to be counted. The Gemini API takes one as a whole, with its model, Vertex AI
    some fields of one; what is neither is no request, which is refused as such."""
    if vertex:
        takes = {"contents", "systemInstruction", "tools", "generationConfig"}
        return body if isinstance(body, dict) and body.keys() <= takes else {"countTokensRequest": body}
    match body:
        case {"generateContentRequest": {"model": name, **whole}} if len(body) == 1 and name == f"models/{model}":
            return whole
    return body


def _unauthorized(request: web.Request) -> web.Response | None:
    key = request.headers.get("x-goog-api-key")
    if key == KEY or request.headers.get("authorization") == f"Bearer {TOKEN}":
        return None
    if key is None:
        return _error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.")
    invalid = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    return _error(400, "INVALID_ARGUMENT", f"API key not valid: {key}", [invalid])


def _error(status: int, word: str, message: str, details: list[dict[str, Any]] | None = None) -> web.Response:
    error = {"code": status, "message": message, "status": word, "details": details or []}
    return web.json_response({"error": error}, status=status, headers={"x-request-id": "fake"})
