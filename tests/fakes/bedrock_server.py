"""A fake Amazon Bedrock on loopback: as strict as Bedrock, and scripted by what the user says last; see `_plan`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Self

from aiohttp import web
from dialects.bedrock.framed import frame
from fakes import aws_door, bedrock_embeddings
from fakes.bedrock_rules import MODELS, Json, RefusedError, check, seal, sign

PROFILES = ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-pro-v1:0", "my-own-profile")

ERRORS = {
    "limited": (429, "ThrottlingException", "Too many tokens, please wait before trying again."),
    "overloaded": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    "poor": (400, "ServiceQuotaExceededException", "Your request exceeds the service quota of your account."),
    "slow": (408, "ModelTimeoutException", "The model timed out."),
    "long": (
        400,
        "ValidationException",
        "The model returned the following errors: Input is too long: 250000 tokens > 200000 maximum.",
    ),
    "broken": (424, "ModelErrorException", "The model failed."),
}
"""What the user says -> the error that comes of it."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in; `headers` by lower-case name."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json


class BedrockServer:
    """Serves while it is entered: `async with BedrockServer() as server`. Both planes are there, at one address."""

    def __init__(self, tls: SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.abandoned = asyncio.Event()
        """Set when a client leaves a stream."""
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The address of the region."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 25)
        app.router.add_post("/model/{model}/converse", self._converse)
        app.router.add_post("/model/{model}/converse-stream", self._converse)
        app.router.add_post("/model/{model}/count-tokens", self._count)
        app.router.add_post("/model/{model}/invoke", self._invoke)
        app.router.add_get("/foundation-models", self._models)
        app.router.add_get("/inference-profiles", self._profiles)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is None:
            return
        for handler in self._runner.server.connections if self._runner.server is not None else ():
            # botocore keeps its connections, and one with TLS would be waited for.
            if handler.transport is not None:
                handler.transport.abort()
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response | None:
        data = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        url = request.rel_url
        self.requests.append(Received(request.method, url.raw_path_qs, headers, json.loads(data) if data else {}))
        refused = aws_door.refusal(request.method, url.raw_path, url.raw_query_string, headers, data)
        return None if refused is None else _error(403, *refused)

    async def _converse(self, request: web.Request) -> web.StreamResponse:
        refusal = await self._receive(request)
        if refusal is not None:
            return refusal
        body, model = self.requests[-1].body, request.match_info["model"]
        try:
            check(body, model)
        except RefusedError as error:
            return _error(error.status, error.kind, str(error))
        word = _last_text(body)
        if word in ERRORS:
            return _error(*ERRORS[word])
        answer = _plan(body, word)
        headers = {"x-amzn-requestid": f"req-{len(self.requests)}"}
        if request.path.endswith("/converse"):
            return web.json_response(answer, headers=headers)
        return await self._stream(request, answer, word, headers)

    async def _stream(
        self, request: web.Request, answer: Json, word: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={**headers, "content-type": "application/vnd.amazon.eventstream"})
        await response.prepare(request)
        for number, (kind, event) in enumerate(_events(answer)):
            if word == "fails" and number == 3:
                error = {"message": "The system encountered an unexpected error.", "originalStatusCode": 503}
                await response.write(frame("modelStreamErrorException", error, exception=True))
                break
            if word == "hangs" and number == 2:
                try:
                    await asyncio.Event().wait()
                finally:
                    self.abandoned.set()
            if word == "breaks" and number == 3 and request.transport is not None:
                request.transport.abort()
                return response
            # Bedrock hides the size of its events.
            await response.write(frame(kind, {**event, "p": "abcdefghijklm"[: number % 13]}))
        return response

    async def _count(self, request: web.Request) -> web.Response:
        refusal = await self._receive(request)
        if refusal is not None:
            return refusal
        asked = self.requests[-1].body["input"]["converse"]
        if "anthropic" not in request.match_info["model"]:
            return _error(400, "ValidationException", "The provided model doesn't support counting tokens.")
        try:
            check(asked, request.match_info["model"])
        except RefusedError as error:
            return _error(error.status, error.kind, str(error))
        return web.json_response({"inputTokens": 12})

    async def _invoke(self, request: web.Request) -> web.Response:
        refusal = await self._receive(request)
        if refusal is not None:
            return refusal
        try:
            answer, tokens = bedrock_embeddings.answer(self.requests[-1].body, request.match_info["model"])
        except RefusedError as error:
            return _error(error.status, error.kind, str(error))
        told = {"x-amzn-bedrock-input-token-count": str(tokens), "x-amzn-requestid": f"req-{len(self.requests)}"}
        return web.json_response(answer, headers=told)

    async def _models(self, request: web.Request) -> web.Response:
        refusal = await self._receive(request)
        if refusal is not None:
            return refusal
        return web.json_response(
            {"modelSummaries": [{"modelId": name} for name in MODELS if not name.startswith("us.")]}
        )

    async def _profiles(self, request: web.Request) -> web.Response:
        refusal = await self._receive(request)
        if refusal is not None:
            return refusal
        later = "nextToken" in request.query
        names = PROFILES[2:] if later else PROFILES[:2]
        page: Json = {"inferenceProfileSummaries": [{"inferenceProfileId": name} for name in names]}
        return web.json_response(page if later else {**page, "nextToken": "page two/="})


def _error(status: int, kind: str, text: str) -> web.Response:
    """An error as Bedrock tells it: its type stands in a header, with an address behind it."""
    headers = {
        "x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/",
        "x-amzn-requestid": "req-refused",
    }
    return web.json_response({"message": text}, status=status, headers=headers)


def _last_text(body: Json) -> str:
    texts = [
        block["text"]
        for message in body["messages"]
        if message["role"] == "user"
        for block in message["content"]
        if "text" in block
    ]
    return texts[-1] if texts else ""


def _plan(body: Json, word: str) -> Json:
    """The whole answer: reasoning where that is asked for; then JSON for a schema, calls of a forced tool or of all
    tools for the word `tools`, nothing that a guardrail lets pass for `unsafe`, else a text."""
    content: list[Json] = []
    fields = body.get("additionalModelRequestFields", {})
    if fields.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        thought = f"I was asked: {word}"
        content.append({"reasoningContent": {"reasoningText": {"text": thought, "signature": sign(thought)}}})
        content.append({"reasoningContent": {"redactedContent": seal(len(body["messages"]))}})
    calls = _calls(body, word)
    reason = "tool_use" if calls else "end_turn"
    told: Json = {}
    if calls:
        for number, (name, schema) in enumerate(calls):
            used = {"toolUseId": f"tooluse_{len(body['messages'])}_{number}", "name": name, "input": _filled(schema)}
            content.append({"toolUse": used})
    elif word == "unsafe":
        reason = "guardrail_intervened"
        content.append({"text": "I cannot say that."})
    else:
        text, stop = _stopped(_text(body, word), body.get("inferenceConfig", {}).get("stopSequences", ()))
        if stop is not None:
            reason, told = "stop_sequence", {"stop_sequence": stop}
        if text:
            content.append({"text": text})
    answer: Json = {
        "metrics": {"latencyMs": 12},
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason,
        "usage": {
            "inputTokens": 10,
            "outputTokens": 5,
            "totalTokens": 25,
            "cacheReadInputTokens": 6,
            "cacheWriteInputTokens": 4,
            "cacheReadInputTokenCount": 6,
            "cacheWriteInputTokenCount": 4,
        },
    }
    paths = body.get("additionalModelResponseFieldPaths", ())
    if paths:
        answer["additionalModelResponseFields"] = (
            {"delta": {"stop_sequence": None, **told}} if "/delta/stop_sequence" in paths else {**told}
        )
    return answer


def _filled(schema: Json) -> Json:
    """Values for all that a schema names."""
    return {name: "Zürich" if name == "city" else "x" for name in schema.get("properties", {})}


def _calls(body: Json, word: str) -> list[tuple[str, Json]]:
    """The tools to call, each with the schema of its arguments."""
    config = body.get("toolConfig", {})
    specs = [tool["toolSpec"] for tool in config.get("tools", ()) if "toolSpec" in tool]
    tools = [(spec["name"], spec["inputSchema"]["json"]) for spec in specs]
    choice = config.get("toolChoice", {"auto": {}})
    answered = any("toolResult" in block for block in body["messages"][-1]["content"])
    one = body.get("additionalModelRequestFields", {}).get("tool_choice", {}).get("disable_parallel_tool_use", False)
    if "tool" in choice:
        return [tool for tool in tools if tool[0] == choice["tool"]["name"]]
    if "any" in choice or (word == "tools" and not answered):
        return tools[:1] if one else tools
    return []


def _text(body: Json, word: str) -> str:
    form = body.get("outputConfig", {}).get("textFormat")
    if form is None:
        return f"You said: {word}"
    schema = json.loads(form["structure"]["jsonSchema"]["schema"])
    return json.dumps(_filled(schema))


def _stopped(text: str, words: Any) -> tuple[str, str | None]:
    """`text` until the first of `words` in it, and which that was."""
    found = [(text.index(word), word) for word in words if word in text]
    if not found:
        return text, None
    place, word = min(found)
    return text[:place], word


def _events(answer: Json) -> Iterator[tuple[str, Json]]:
    """A whole answer as the events of a stream."""
    yield "messageStart", {"role": "assistant"}
    for index, block in enumerate(answer["output"]["message"]["content"]):
        for kind, event in _block_events(block):
            yield kind, {**event, "contentBlockIndex": index}
        yield "contentBlockStop", {"contentBlockIndex": index}
    more = {key: answer[key] for key in ("additionalModelResponseFields",) if key in answer}
    yield "messageStop", {"stopReason": answer["stopReason"], **more}
    yield "metadata", {"usage": answer["usage"], "metrics": answer["metrics"]}


def _block_events(block: Json) -> Iterator[tuple[str, Json]]:
    """Texts and reasoning have no start of their own."""
    kind, inner = next(iter(block.items()))
    deltas: list[Json]
    match kind:
        case "toolUse":
            start = {"toolUseId": inner["toolUseId"], "name": inner["name"]}
            yield "contentBlockStart", {"start": {"toolUse": start}}
            pieces = ["", *_halves(json.dumps(inner["input"], ensure_ascii=False))]
            deltas = [{"toolUse": {"input": piece}} for piece in pieces]
        case "reasoningContent" if "reasoningText" in inner:
            said = inner["reasoningText"]
            deltas = [{"reasoningContent": {"text": piece}} for piece in _halves(said["text"])]
            deltas.append({"reasoningContent": {"signature": said["signature"]}})
        case "reasoningContent":
            deltas = [{"reasoningContent": inner}]
        case _:
            deltas = [{"text": piece} for piece in _halves(inner)]
    for delta in deltas:
        yield "contentBlockDelta", {"delta": delta}


def _halves(text: str) -> tuple[str, str]:
    middle = len(text) // 2
    return text[:middle], text[middle:]
