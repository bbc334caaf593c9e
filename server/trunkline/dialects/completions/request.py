"""The request of Completions."""

from __future__ import annotations

from typing import Final

from trunkline.call import Loss
from trunkline.dialects.foreign import foreign_losses
from trunkline.dialects.openai.request import decode_sampling, decode_stop
from trunkline.dialects.turn import turns_of
from trunkline.dialects.wire import Json, Object, restore
from trunkline.errors import invalid_request
from trunkline.v1.chat_pb2 import ChatRequest, Prompt

DIALECT: Final = "completions"

_BEYOND: Final = ("tools", "tool_choice", "response_format", "reasoning", "parallel_tool_calls", "service_tier")
"""What a conversation can ask for, and a text that is gone on with cannot."""


def decode_request(wire: Object) -> ChatRequest:
    """Read a request. Raises `GatewayError` (INVALID_REQUEST), naming the field."""
    request = ChatRequest(model=wire.need_str("model"))
    _decode_prompts(wire, request)
    request.completion.suffix = wire.take_str("suffix") or ""
    request.completion.echo = wire.take_bool("echo") or False
    decode_sampling(wire, request.sampling)
    if not request.sampling.ListFields():
        request.ClearField("sampling")
    limit = wire.take_int("max_tokens", 0)
    if limit:
        request.max_output_tokens = limit
    decode_stop(wire, request)
    count = wire.take_int("n", 1, 128)
    if count is not None:
        request.choice_count = count
    logprobs = wire.take_int("logprobs", 0)
    if logprobs is not None:
        request.top_logprobs = logprobs
    request.user = wire.take_str("user") or ""
    wire.keep(request.extras, DIALECT)
    return request


def _decode_prompts(wire: Object, request: ChatRequest) -> None:
    """A text, its tokens, or an array of either."""
    value = wire.take("prompt")
    prompts = request.completion.prompts
    if type(value) is str:
        prompts.add(text=value)
        return
    if type(value) is not list or not value:
        raise invalid_request("`prompt` must be a string, an array of strings, or of tokens, and not empty.", "prompt")
    if type(value[0]) is int:
        _put_tokens(prompts.add(), value, "prompt")
        return
    for index, item in enumerate(value):
        path = f"prompt[{index}]"
        if type(item) is str:
            prompts.add(text=item)
        elif type(item) is list and item:
            _put_tokens(prompts.add(), item, path)
        else:
            raise invalid_request(f"`{path}` must be a string or an array of tokens.", path)


def _put_tokens(prompt: Prompt, tokens: list[Json], path: str) -> None:
    for index, token in enumerate(tokens):
        if type(token) is not int or not 0 <= token < 2**31:
            raise invalid_request(f"`{path}[{index}]` must be a token, a whole number.", f"{path}[{index}]")
    prompt.tokens.ids.extend(tokens)


def encode_request(request: ChatRequest, losses: list[Loss] | None = None) -> dict[str, Json]:
    """Write a request; what it cannot hold is added to `losses`."""
    losses = [] if losses is None else losses
    foreign_losses(request, turns_of(request), request.tools, DIALECT, losses)
    losses.extend(Loss(name) for name in _BEYOND if _is_set(request, name))
    completion = request.completion
    prompts: list[Json] = [
        prompt.text if prompt.WhichOneof("kind") == "text" else list(prompt.tokens.ids) for prompt in completion.prompts
    ]
    wire: dict[str, Json] = {"model": request.model, "prompt": prompts[0] if len(prompts) == 1 else prompts}
    if completion.suffix:
        wire["suffix"] = completion.suffix
    if completion.echo:
        wire["echo"] = True
    for descriptor, value in request.sampling.ListFields():
        wire[descriptor.name] = value
    if request.HasField("max_output_tokens"):
        wire["max_tokens"] = request.max_output_tokens
    if request.stop_sequences:
        wire["stop"] = list(request.stop_sequences)
    if request.HasField("choice_count"):
        wire["n"] = request.choice_count
    if request.HasField("top_logprobs"):
        wire["logprobs"] = request.top_logprobs
    if request.user:
        wire["user"] = request.user
    restore(wire, request.extras, DIALECT)
    return wire


def _is_set(request: ChatRequest, name: str) -> bool:
    return any(descriptor.name == name for descriptor, _ in request.ListFields())
