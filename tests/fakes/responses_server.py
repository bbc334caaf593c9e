"""A fake OpenAI on loopback that answers through Responses, and refuses what OpenAI refuses.

What it answers is asked for by words in the last text of the user; see `_output`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from fakes.responses_rules import Json, RefusedError, check, items_of, seal

KEY = "sk-fake"
MODELS = ("gpt-5.1", "gpt-5-pro", "gpt-4o")


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in; `headers` by lower-case name."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json


class ResponsesServer:
    """Serves while it is entered: `async with ResponsesServer() as server`."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.abandoned = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 25)
        app.router.add_post("/v1/responses", self._responses)
        app.router.add_post("/v1/responses/compact", self._compact)
        app.router.add_post("/v1/responses/input_tokens", self._count)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        refusal = self._receive(request, await request.json())
        if refusal is not None:
            return refusal
        return await answer(request, self.requests[-1].body, f"req_{len(self.requests)}", self.abandoned)

    async def _compact(self, request: web.Request) -> web.Response:
        """A conversation made shorter: what the user said, and an item that nobody else can read."""
        refusal = self._receive(request, await request.json())
        if refusal is not None:
            return refusal
        items = items_of(self.requests[-1].body)
        message = {"type": "message", "id": "msg_0", "status": "completed"}
        kept = [{**message, **item, "content": _blocks(item["content"])} for item in items if "role" in item]
        compaction = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA=="}
        usage = _response(self.requests[-1].body, "")["usage"]
        response = {"id": "resp_c", "object": "response.compaction", "created_at": 1, "usage": usage}
        return web.json_response({**response, "output": [*kept, compaction]})

    async def _count(self, request: web.Request) -> web.Response:
        refusal = self._receive(request, await request.json())
        return refusal or web.json_response({"object": "response.input_tokens", "input_tokens": 42})

    async def _chat(self, request: web.Request) -> web.Response:
        """Chat Completions, of the models that it has."""
        refusal = self._receive(request, await request.json())
        if refusal is not None:
            return refusal
        body = self.requests[-1].body
        if body["model"].endswith("-pro"):
            return _error(404, "This model is only supported in v1/responses.", "model")
        message = {"role": "assistant", "content": "From chat"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({"id": "chatcmpl_1", "object": "chat.completion", "created": 1, "choices": [choice]})

    async def _models(self, request: web.Request) -> web.Response:
        refusal = self._receive(request, {})
        if refusal is not None:
            return refusal
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]})

    def _receive(self, request: web.Request, body: Json) -> web.Response | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Received(request.method, request.path_qs, headers, body))
        if headers.get("authorization") != f"Bearer {KEY}":
            return _error(401, "Incorrect API key provided: sk-wr*ng.", code="invalid_api_key")
        return None


async def answer(request: web.Request, body: Json, request_id: str, abandoned: asyncio.Event) -> web.StreamResponse:
    """Answer a request with `body`, of whoever was let in. `abandoned` is set when its client leaves the stream."""
    try:
        check(body)
    except RefusedError as error:
        return _error(error.status, str(error), error.param, error.code)
    word = last_text(body)
    match word:
        case "limited":
            return _error(429, "Slow down.", code="rate_limit_exceeded", headers={"retry-after": "7"})
        case "poor":
            return _error(429, "You exceeded your current quota.", code="insufficient_quota")
        case "long":
            return _error(400, "Your input exceeds the context window.", "input", "context_length_exceeded")
        case "proxy":
            return web.Response(status=503, text="upstream connect error", content_type="text/plain")
    headers = {"x-request-id": request_id}
    response = _response(body, word)
    if not body.get("stream"):
        return web.json_response(response, headers=headers)
    return await _stream(request, response, word, headers, abandoned)


async def _stream(
    request: web.Request, whole: Json, word: str, headers: dict[str, str], abandoned: asyncio.Event
) -> web.StreamResponse:
    response = web.StreamResponse(headers={**headers, "content-type": "text/event-stream"})
    await response.prepare(request)
    said = 0
    for number, event in enumerate(_events(whole)):
        said += event["type"] == "response.output_text.delta"
        event["sequence_number"] = number
        if word == "errs" and number == 2:
            event = {"type": "error", "code": "server_error", "message": "It broke.", "param": None}
        if word == "hangs" and said == 2:
            try:
                await asyncio.Event().wait()
            finally:
                abandoned.set()
        if word == "breaks" and number == 5 and request.transport is not None:
            request.transport.abort()
            return response
        if word == "ends" and event["type"] == "response.completed":
            break
        await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        if event["type"] == "error":
            break
    return response


def _error(
    status: int, message: str, param: str | None = None, code: str | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)


def _blocks(content: Any) -> list[Json]:
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content


def last_text(body: Json) -> str:
    """The last text of the user."""
    said = [item["content"] for item in items_of(body) if item.get("role") == "user"]
    last = said[-1] if said else ""
    return last if isinstance(last, str) else next((part["text"] for part in reversed(last) if "text" in part), "")


def _output(body: Json, word: str) -> list[Json]:
    """The items of an answer: reasoning, unless the model has none; then JSON for a schema, calls of a forced tool or
    of all tools for the word `tools`, a refusal for `refuse`, a search for `search`, else a text."""
    output: list[Json] = []
    items = items_of(body)
    turn = len(items)
    if not body["model"].startswith("gpt-4"):
        reasoning: Json = {"type": "reasoning", "id": f"rs_{turn}", "summary": []}
        if (body.get("reasoning") or {}).get("summary"):
            reasoning["summary"] = [{"type": "summary_text", "text": text} for text in (f"Asked: {word}", "Done")]
        if "reasoning.encrypted_content" in (body.get("include") or ()):
            reasoning["encrypted_content"] = seal(reasoning["id"])
        output.append(reasoning)
    choice = body.get("tool_choice", "auto")
    names = [tool["name"] for tool in body.get("tools") or () if tool["type"] == "function"]
    answered = str(items[-1].get("type")).endswith("_output")
    calls: list[str] = []
    if isinstance(choice, dict):
        calls = [choice["name"]]
    elif choice == "required" or (word == "tools" and not answered and choice == "auto"):
        calls = names if body.get("parallel_tool_calls", True) else names[:1]
    for number, name in enumerate(calls):
        given = {"id": f"fc_{turn}_{number}", "call_id": f"call_{turn}_{number}", "status": "completed"}
        output.append({"type": "function_call", **given, "name": name, "arguments": '{"city": "Zürich"}'})
    if word == "search":
        action = {"type": "search", "query": "q"}
        output.append({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": action})
    if not calls:
        part: Json = {"type": "output_text", "text": f"You said: {word}", "annotations": [], "logprobs": []}
        form = (body.get("text") or {}).get("format") or {}
        if word == "refuse":
            part = {"type": "refusal", "refusal": "I will not."}
        elif form.get("type") == "json_schema":
            part["text"] = json.dumps(dict.fromkeys(form["schema"]["properties"], 1))
        message = {"type": "message", "id": f"msg_{turn}", "status": "completed", "role": "assistant"}
        output.append({**message, "content": [part]})
    return output


def _response(body: Json, word: str) -> Json:
    response: Json = {
        "id": f"resp_{len(items_of(body))}",
        "object": "response",
        "created_at": 1700000000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": body.get("metadata") or {},
        "model": body["model"],
        "output": _output(body, word),
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": 20,
            "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 4},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 25,
        },
    }
    if word == "cut":
        response |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    if word == "unsafe":
        response |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    if word == "fails":
        response |= {"status": "failed", "output": [], "usage": None}
        response["error"] = {"code": "server_error", "message": "It broke."}
    return response


def _events(response: Json) -> Iterator[Json]:
    """A whole answer as the events of a stream, without their numbers."""
    begun = {
        **response,
        "status": "in_progress",
        "output": [],
        "usage": None,
        "incomplete_details": None,
        "error": None,
    }
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for place, item in enumerate(response["output"]):
        yield from _item_events(place, item)
    yield {"type": f"response.{response['status']}", "response": response}


def _item_events(place: int, item: Json) -> Iterator[Json]:
    at = {"output_index": place, "item_id": item["id"]}
    empty: Json = {"message": {"content": []}, "reasoning": {"summary": []}, "function_call": {"arguments": ""}}
    begun = {**item, **empty.get(item["type"], {})}
    if "status" in item:
        begun["status"] = "in_progress"
    yield {"type": "response.output_item.added", "output_index": place, "item": begun}
    match item["type"]:
        case "reasoning":
            for index, piece in enumerate(item["summary"]):
                where = {**at, "summary_index": index}
                yield {"type": "response.reasoning_summary_part.added", **where, "part": {**piece, "text": ""}}
                for text in _halves(piece["text"]):
                    yield {"type": "response.reasoning_summary_text.delta", **where, "delta": text}
                yield {"type": "response.reasoning_summary_text.done", **where, "text": piece["text"]}
                yield {"type": "response.reasoning_summary_part.done", **where, "part": piece}
        case "function_call":
            for text in _halves(item["arguments"]):
                yield {"type": "response.function_call_arguments.delta", **at, "delta": text}
            done = {"name": item["name"], "arguments": item["arguments"]}
            yield {"type": "response.function_call_arguments.done", **at, **done}
        case "web_search_call":
            yield {"type": "response.web_search_call.searching", **at}
        case "message":
            for index, part in enumerate(item["content"]):
                yield from _part_events({**at, "content_index": index}, part)
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _part_events(where: Json, part: Json) -> Iterator[Json]:
    key = "refusal" if part["type"] == "refusal" else "text"
    more = {"logprobs": []} if key == "text" else {}
    yield {"type": "response.content_part.added", **where, "part": {**part, key: ""}}
    for text in _halves(part[key]):
        yield {"type": f"response.{part['type']}.delta", **where, "delta": text, **more}
    yield {"type": f"response.{part['type']}.done", **where, key: part[key], **more}
    yield {"type": "response.content_part.done", **where, "part": part}


def _halves(text: str) -> tuple[str, str]:
    middle = len(text) // 2
    return text[:middle], text[middle:]
