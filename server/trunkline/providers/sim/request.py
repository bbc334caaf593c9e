"""What the scripts read of a chat completion request; every other field is taken and ignored."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Struct

from trunkline.providers.sim.errors import ApiError

MOST_CHOICES: Final = 128
"""The most answers to one request."""

MOST_TOP_LOGPROBS: Final = 20
"""The most likeliest tokens to report at each place."""

_PATH = re.compile(r" - at `\$\.?([^`]*)`$")


class Part(Struct):
    """A piece of a message; those without text are passed over."""

    type: str = ""
    text: str | None = None


class FunctionCall(Struct):
    """Which function an earlier turn called."""

    name: str = ""


class ToolCall(Struct):
    """A tool call of an earlier turn."""

    id: str = ""
    function: FunctionCall | None = None


class Message(Struct):
    """A turn of the conversation."""

    role: str
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    def text(self) -> str:
        """All text of the turn."""
        content = self.content
        if isinstance(content, str):
            return content
        return "".join(part.text or "" for part in content or ())


class Function(Struct):
    """A function that may be called; `parameters` is a JSON Schema."""

    name: str
    parameters: dict[str, Any] | bool | None = None


class Tool(Struct):
    """A tool that may be called; only functions are."""

    type: str = "function"
    function: Function | None = None


class NamedFunction(Struct):
    """The one function to call."""

    name: str


class AllowedTools(Struct):
    """The functions to choose from."""

    mode: str = "auto"
    tools: list[Tool] = []


class ToolChoice(Struct):
    """A choice of tools other than by a word."""

    type: str = ""
    function: NamedFunction | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchema(Struct):
    """The schema that the answer must satisfy; any object where there is none."""

    schema: dict[str, Any] | bool | None = None


class ResponseFormat(Struct):
    """The form of the answer."""

    type: str
    json_schema: JsonSchema | None = None


class StreamOptions(Struct):
    """What a stream holds beside the answer."""

    include_usage: bool | None = None


class ChatRequest(Struct):
    """The body of `POST /chat/completions`."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    stop: str | list[str] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    seed: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None

    @property
    def choices(self) -> int:
        """How many answers to write."""
        return 1 if self.n is None else self.n

    @property
    def budget(self) -> int | None:
        """The most tokens to write; None where there is no bound."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def stops(self) -> list[str]:
        """The texts that end the answer."""
        stop = self.stop
        return [text for text in ([stop] if isinstance(stop, str) else stop or ()) if text]

    def functions(self) -> list[Function]:
        """The functions among the tools."""
        return [tool.function for tool in self.tools or () if tool.function is not None]

    def last_user_text(self) -> str:
        """What the user said last; empty where the user said nothing."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.text()
        return ""


_decoder = msgspec.json.Decoder(ChatRequest)


def decode(body: bytes) -> ChatRequest:
    """Read a request. Raises `ApiError` (400), naming the field where one is at fault."""
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as error:
        at = _PATH.search(str(error))
        raise ApiError(400, f"Invalid request: {error}.", param=at[1] if at else None) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"The body is not JSON that can be read: {error}.") from None
    if not request.messages:
        raise ApiError(400, "`messages` must hold at least one message.", param="messages", code="empty_array")
    _check("n", request.n, 1, MOST_CHOICES)
    _check("max_tokens", request.max_tokens, 1, None)
    _check("max_completion_tokens", request.max_completion_tokens, 1, None)
    _check("top_logprobs", request.top_logprobs, 0, MOST_TOP_LOGPROBS)
    if request.top_logprobs is not None and not request.logprobs:
        raise ApiError(400, "`top_logprobs` is allowed only where `logprobs` is true.", param="top_logprobs")
    return request


def _check(name: str, value: int | None, least: int, most: int | None) -> None:
    if value is not None and (value < least or (most is not None and value > most)):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ApiError(400, f"`{name}` must be {bounds}.", param=name, code="integer_out_of_range")
