"""DeepSeek's Chat Completions: OpenAI's JSON, and what DeepSeek wants of it beside (https://api-docs.deepseek.com)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trunkline.call import Loss
from trunkline.dialects import openai
from trunkline.dialects.openai.profile import Profile, Writing
from trunkline.dialects.wire import Json, Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1 import content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, Finish

PROFILE: Final = Profile(
    reasoning="reasoning_content",
    effort="thinking_effort",
    cache_control=False,
    structured_output="json_object",
    unsupported=frozenset({"logit_bias", "parallel_tool_calls", "seed", "service_tier", "top_k"}),
)
"""DeepSeek passes over fields that it does not know without a word; these are the ones that callers send."""

_USER: Final = re.compile(r"[a-zA-Z0-9_-]{1,512}")
"""The names that `user_id` may hold."""

_STARVED: Final = "insufficient_system_resource"
"""The finish reason of an answer that DeepSeek broke off."""

_NO_MODEL: Final = "Model Not Exist"
"""How DeepSeek says, with status 400 and without a code, that a model is unknown."""


def is_continued(request: ChatRequest) -> bool:
    """Whether the model is to go on with the assistant's last message (`prefix`), which the beta API alone does."""
    if not request.messages:
        return False
    last = request.messages[-1]
    if last.role != content_pb2.ROLE_ASSISTANT or openai.DIALECT not in last.extras:
        return False
    kept = loads(last.extras[openai.DIALECT])
    return isinstance(kept, dict) and kept.get("prefix") is True


def encode_request(request: ChatRequest, losses: list[Loss]) -> dict[str, Json]:
    """Write a request; what DeepSeek cannot take is added to `losses`. Raises `GatewayError` as
    `openai.encode_request`."""
    wire = openai.encode_request(request, PROFILE, losses)
    to = Writing(PROFILE, losses)
    _encode_thinking(request, wire, to)
    _encode_json_mode(wire)
    user = wire.pop("user", None)
    if user is not None:
        if _USER.fullmatch(user):
            wire.setdefault("user_id", user)
        else:
            to.lose("user")
    return wire


def _encode_thinking(request: ChatRequest, wire: dict[str, Json], to: Writing) -> None:
    """Models think unless they are told not to. One that thinks cannot be forced to call a tool (400 `Thinking mode
    does not support this tool_choice`), and wants to see what it thought before (400 `The reasoning_content in the
    thinking mode must be passed back to the API`); what another model said needs the field, too, and it may be empty.
    """
    thinking = wire.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "disabled":
        return
    if wire.get("tool_choice") not in (None, "auto", "none"):
        wire["thinking"] = {"type": "disabled"}
        wire.pop("reasoning_effort", None)
        if request.HasField("reasoning"):
            to.lose("reasoning_effort" if request.reasoning.effort else "reasoning")
        return
    for message in wire["messages"]:
        if message["role"] == "assistant":
            message.setdefault("reasoning_content", "")


def _encode_json_mode(wire: dict[str, Json]) -> None:
    """Say the word JSON where nobody did: without it JSON mode is refused."""
    form = wire.get("response_format")
    if not isinstance(form, dict) or form.get("type") != "json_object" or b"json" in dumps(wire["messages"]).lower():
        return
    wire["messages"].insert(0, {"role": "system", "content": "Answer in JSON."})


def decode_response(wire: Object) -> ChatResponse:
    """Read an answer. Raises `GatewayError` (PROVIDER_UNAVAILABLE) where it was broken off."""
    response = openai.decode_response(wire)
    for choice in response.choices:
        _check(choice.finish)
    return response


class StreamDecoder(openai.StreamDecoder):
    """Reads the data of the events of one stream."""

    def end(self) -> list[ChatEvent]:
        """The end of each choice. Raises `GatewayError` (PROVIDER_UNAVAILABLE) where one was broken off."""
        events = super().end()
        for event in events:
            _check(event.choice_end.finish)
        return events


def _check(finish: Finish) -> None:
    if finish.native_reason == _STARVED:
        # As an answer it would look finished.
        raise GatewayError(
            errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
            f"DeepSeek lacked the resources to end its answer (`{_STARVED}`).",
        )


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """Read an error, as `openai.decode_error` does. An unknown model is one, too."""
    error = openai.decode_error(status, headers, body)
    if error.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST and error.message.startswith(_NO_MODEL):
        error.reason = errors_pb2.ERROR_REASON_NOT_FOUND
    return error
