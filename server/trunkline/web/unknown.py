"""The answer to what no route matches: in the shape of the vendor whose client asks, else in OpenAI's."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from trunkline.call import Call
from trunkline.dialects.wire import Json, dumps
from trunkline.errors import not_found
from trunkline.web.exchange import json_response
from trunkline.web.gemini import OWN_BASES
from trunkline.web.mounts import Mounts
from trunkline.web.skins.table import skin_of

_ELSEWHERE: Final = {
    "assistants": "Assistants are not served; use /v1/responses",
    "threads": "Assistants are not served; use /v1/responses",
    "audio": "Speech and transcription are not served; /v1/chat/completions takes audio as a part of a message",
    "batches": "Batches are not served; send the requests one by one",
    "cachedContents": "Contents are not cached here; send them with each request, as providers cache what is repeated",
    "containers": "Containers are not served",
    "evals": "Evaluations are not served",
    "files": "Files are not kept; put their contents into the message",
    "fine_tuning": "Fine-tuning is not served",
    "fine-tunes": "Fine-tuning is not served",
    "images": "The generation of images is not served; models that draw do so in /v1/chat/completions",
    "moderations": "Moderation is not served",
    "organization": "The administration of an OpenAI organization is not served",
    "realtime": "Realtime sessions are not served; use a stream of /v1/chat/completions or /v1/responses",
    "uploads": "Files are not kept; put their contents into the message",
    "vector_stores": "Vector stores are not served",
    "videos": "The generation of videos is not served",
}
"""What a vendor serves and the gateway does not -> what to do."""

_UPLOADS: Final = "/upload/"
"""Google takes files here, in front of the version of its API."""

_SERVED: Final = frozenset({"chat", "completions", "conversations", "embeddings", "models", "responses"})
"""What a client asks for whose base URL lacks the version."""


class Unknown:
    """Refuses at once, telling why, in the manner of the mount that the path is below: the body is not read."""

    def __init__(self, mounts: Mounts) -> None:
        # The longest first, as one may be below another.
        self._mounts = sorted(mounts.items(), key=lambda mount: -len(mount[0]))

    async def answer(self, request: web.Request) -> web.Response:
        """Answer `request`."""
        path = request.path[:200]
        base, dialect = next((one for one in self._mounts if request.path.startswith(f"{one[0]}/")), ("", ""))
        below = request.path.removeprefix(f"{base}/") if base else ""
        allowed = await _allowed(request) if below else ""
        reason = _ELSEWHERE.get((below or _googles(request.path)).partition("/")[0])
        headers: dict[str, str] = {"x-should-retry": "false"}
        if allowed:
            message, code, status = f"{path} takes {allowed}, not {request.method}.", "method_not_allowed", 405
            headers["allow"] = allowed
        elif reason is not None:
            message, code, status = f"{reason}. This gateway has no {path}.", "unsupported_endpoint", 404
        else:
            hint = "`/openapi.json` lists what there is."
            if path.split("/")[1] in _SERVED:
                hint = "The base URL of OpenAI's clients ends with `/v1`."
            message = f"Unknown request URL: {request.method} {path}. {hint}"
            code, status = "unknown_url", 404
        own = _vendors(request, message, status)
        if own is not None:
            return json_response(dumps(own), headers, status=status)
        call = Call(request.headers.get("x-request-id", "")[:128], "openai", dialect=dialect)
        # A wrong method is told as OpenAI tells it: routers have no words for it.
        told = skin_of(call).refusal(not_found(message), call) if status == 404 else None
        if told is not None:
            headers |= {**told.headers, "content-type": told.content_type}
            return web.Response(body=told.body, status=told.status, headers=headers)
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        return json_response(dumps({"error": error}), headers, status=status)


def _vendors(request: web.Request, message: str, status: int) -> Json:
    """The error object of Google or of Anthropic, where a client of theirs asks; None otherwise."""
    if _googles(request.path):
        return {
            "error": {"code": status, "message": message, "status": "NOT_FOUND" if status == 404 else "UNIMPLEMENTED"}
        }
    if "anthropic-version" in request.headers:
        kind = "not_found_error" if status == 404 else "invalid_request_error"
        return {"type": "error", "error": {"type": kind, "message": message}}
    return None


def _googles(path: str) -> str:
    """What stands behind the version in a path that is Google's alone; empty for any other."""
    path = path.removeprefix(_UPLOADS[:-1]) if path.startswith(_UPLOADS) else path
    base = next((base for base in OWN_BASES if path.startswith(f"{base}/")), None)
    return "" if base is None else path.removeprefix(f"{base}/")


async def _allowed(request: web.Request) -> str:
    """The methods that the path is served by; empty where there is no such path."""
    methods: set[str] = set()
    for resource in request.app.router.resources():
        methods |= (await resource.resolve(request))[1]
    return ", ".join(sorted(methods - {hdrs.METH_ANY}))
