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
"""What OpenAI serves and the gateway does not -> what to do."""


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
        allowed, reason = await _allowed(request) if below else "", _ELSEWHERE.get(below.partition("/")[0])
        headers: dict[str, str] = {"x-should-retry": "false"}
        if allowed:
            message, code, status = f"{path} takes {allowed}, not {request.method}.", "method_not_allowed", 405
            headers["allow"] = allowed
        elif reason is not None:
            message, code, status = f"{reason}. This gateway has no {path}.", "unsupported_endpoint", 404
        else:
            message = f"Unknown request URL: {request.method} {path}. `/openapi.json` lists what there is."
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
    if request.path.startswith(tuple(f"{base}/" for base in OWN_BASES)):
        return {
            "error": {"code": status, "message": message, "status": "NOT_FOUND" if status == 404 else "UNIMPLEMENTED"}
        }
    if "anthropic-version" in request.headers:
        kind = "not_found_error" if status == 404 else "invalid_request_error"
        return {"type": "error", "error": {"type": kind, "message": message}}
    return None


async def _allowed(request: web.Request) -> str:
    """The methods that the path is served by; empty where there is no such path."""
    methods: set[str] = set()
    for resource in request.app.router.resources():
        methods |= (await resource.resolve(request))[1]
    return ", ".join(sorted(methods - {hdrs.METH_ANY}))
