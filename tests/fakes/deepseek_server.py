"""A fake DeepSeek on loopback, which refuses what DeepSeek refuses and answers as it answers; see `chat_server`."""

from __future__ import annotations

import json
import re

from fakes.chat_server import ChatServer, Json, Received, RefusedError, Said, parts_of

KEY = "sk-deepseek"
MODELS = ("deepseek-v4-flash", "deepseek-v4-pro", "deepseek-v4-flash-vision-exp")

_ROLES = ("system", "user", "assistant", "tool")


class DeepSeekServer(ChatServer):
    """Serves while it is entered: `async with DeepSeekServer() as server`."""

    paths = ("/chat/completions", "/v1/chat/completions", "/beta/chat/completions")
    models = MODELS
    id_header = "x-ds-trace-id"
    usage_with_finish = True

    @property
    def url(self) -> str:
        """The base URL."""
        return self.origin

    @property
    def failure(self) -> Json:
        """A chunk with an error."""
        return {"error": {"message": "Server overloaded", "type": "server_error", "param": None, "code": "503"}}

    def authorize(self, received: Received) -> None:
        if received.headers.get("authorization") != f"Bearer {KEY}":
            words = "Authentication Fails, Your api key: ****rong is invalid"
            raise _refused(words, 401, "authentication_error")

    def check(self, received: Received) -> None:
        body = received.body
        if body["model"] not in MODELS:
            raise _refused("Model Not Exist")
        if (body.get("n") or 1) > 1:
            raise _refused("Invalid n value (currently only n = 1 is supported)")
        for number, message in enumerate(body["messages"]):
            if message["role"] not in _ROLES:
                words = f"messages[{number}]: unknown variant `{message['role']}`, expected one of `system`, `user`"
                raise _refused(f"Failed to deserialize the JSON body into the target type: {words}", 422)
            for part in parts_of(message):
                if part["type"] != "text" and "vision" not in body["model"]:
                    raise _refused(f"messages[{number}]: unknown variant `{part['type']}`, expected `text`")
            if message.get("prefix") and not received.path.startswith("/beta/"):
                raise _refused("Chat prefix completion needs the beta API: https://api.deepseek.com/beta")
        _check_thinking(body)
        _check_json(body)
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,512}", body.get("user_id", "x")):
            raise _refused("Invalid user_id")

    def refuse(self, word: str) -> None:
        match word:
            case "limited":
                raise _refused("Rate limit reached", 429, "rate_limit_error")
            case "overloaded":
                raise _refused("Server overloaded", 503, "server_error")
            case "poor":
                raise _refused("Insufficient Balance", 402, "unknown_error")
            case "broken":
                raise _refused("Server error", 500, "server_error")
            case "long":
                words = "This model's maximum context length is 131072 tokens. However, you requested 140000 tokens."
                raise _refused(words)

    def think(self, body: Json, word: str) -> str:
        return f"Asked: {word}" if _thinks(body) else ""

    def call_id(self, turn: int, number: int) -> str:
        return f"call_00_{turn:016}{number:08}"

    def usage(self, said: Said) -> Json:
        return {**super().usage(said), "prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 14}

    def _say(self, body: Json, word: str) -> Said:
        said = super()._say(body, word)
        if word == "starved":
            said.finish = "insufficient_system_resource"
        return said


def _refused(message: str, status: int = 400, kind: str = "invalid_request_error") -> RefusedError:
    error = {"message": message, "type": kind, "param": None, "code": "invalid_request_error"}
    return RefusedError(status, {"error": error})


def _thinks(body: Json) -> bool:
    return (body.get("thinking") or {}).get("type", "enabled") == "enabled"


def _check_thinking(body: Json) -> None:
    if not _thinks(body):
        return
    if body.get("tool_choice") not in (None, "auto", "none"):
        raise _refused("Thinking mode does not support this tool_choice")
    if any(message["role"] == "assistant" and "reasoning_content" not in message for message in body["messages"]):
        raise _refused("The `reasoning_content` in the thinking mode must be passed back to the API.")


def _check_json(body: Json) -> None:
    kind = (body.get("response_format") or {}).get("type", "text")
    if kind == "json_schema":
        raise _refused("This response_format type is unavailable now")
    if kind == "json_object" and "json" not in json.dumps(body["messages"]).lower():
        words = "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'."
        raise _refused(words)
