"""Writes docs/compatibility.md: what each kind of provider can take, found by asking its own encoder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trunkline.call import Loss
from trunkline.config.model import ProviderConfig
from trunkline.dialects.emulate import plan_of
from trunkline.dialects.wire import dumps
from trunkline.errors import GatewayError
from trunkline.providers.build import KINDS, make_provider
from trunkline.providers.http import HttpProvider
from trunkline.providers.inline import is_needed
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import Media, Message, Part

_PNG: Final = "data:image/png;base64,iVBORw0KGgo="
_SCHEMA: Final = '{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}'

MODELS: Final = {
    "anthropic": "claude-sonnet-4-5",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gemini": "gemini-2.5-flash",
    "vertex": "gemini-2.5-flash",
}
"""The model that a kind is asked about, where what it takes depends on it."""


def _media(media_type: str, uri: str) -> Callable[[ChatRequest], None]:
    def put(request: ChatRequest) -> None:
        request.messages[0].parts.append(Part(media=Media(media_type=media_type, uri=uri)))

    return put


def _tool(request: ChatRequest) -> None:
    request.tools.add().function.name = "f"
    request.tools[0].function.parameters_json = _SCHEMA


def _forced(request: ChatRequest) -> None:
    _tool(request)
    request.tool_choice.name = "f"


def _one_at_a_time(request: ChatRequest) -> None:
    _tool(request)
    request.parallel_tool_calls = False


def _developer(request: ChatRequest) -> None:
    instruction = Message(role=content_pb2.ROLE_DEVELOPER, parts=[Part(text="Be brief.")])
    request.messages.insert(0, instruction)


def _result_with_image(request: ChatRequest) -> None:
    _tool(request)
    call, answer = request.messages.add(role=content_pb2.ROLE_ASSISTANT), request.messages.add()
    call.parts.add().tool_call.MergeFrom(content_pb2.ToolCall(id="call_1", name="f", arguments_json="{}"))
    answer.role = content_pb2.ROLE_TOOL
    result = answer.parts.add().tool_result
    result.tool_call_id, result.name = "call_1", "f"
    result.parts.add().media.MergeFrom(Media(media_type="image/png", uri=_PNG))


def _set(**fields: object) -> Callable[[ChatRequest], None]:
    def put(request: ChatRequest) -> None:
        request.MergeFrom(ChatRequest(**fields))  # type: ignore[arg-type]  # the table below holds valid fields

    return put


def _sampling(**fields: float) -> Callable[[ChatRequest], None]:
    return _set(sampling=chat_pb2.Sampling(**fields))  # type: ignore[arg-type]  # as above


def _cache(request: ChatRequest) -> None:
    request.messages[0].parts[0].cache.SetInParent()


PROBES: Final[dict[str, Callable[[ChatRequest], None]]] = {
    "developer message": _developer,
    "image, inline": _media("image/png", _PNG),
    "image, by URL": _media("image/*", "https://example.com/a.png"),
    "PDF, by URL": _media("application/pdf", "https://example.com/a.pdf"),
    "PDF, inline": _media("application/pdf", "data:application/pdf;base64,JVBERi0="),
    "audio, inline": _media("audio/wav", "data:audio/wav;base64,UklGRg=="),
    "tools": _tool,
    "forced tool": _forced,
    "one tool call at a time": _one_at_a_time,
    "image in a tool result": _result_with_image,
    "JSON object": _set(response_format=chat_pb2.ResponseFormat(json_object=chat_pb2.JsonObject())),
    "JSON Schema": _set(
        response_format=chat_pb2.ResponseFormat(
            json_schema=chat_pb2.JsonSchema(name="person", schema_json=_SCHEMA, strict=True)
        )
    ),
    "`temperature`": _sampling(temperature=0.5),
    "`top_p`": _sampling(top_p=0.5),
    "`top_k`": _sampling(top_k=5),
    "`frequency_penalty`": _sampling(frequency_penalty=0.5),
    "`presence_penalty`": _sampling(presence_penalty=0.5),
    "`seed`": _sampling(seed=1),
    "`max_tokens`": _set(max_output_tokens=100),
    "`stop`": _set(stop_sequences=["END"]),
    "`n`": _set(choice_count=2),
    "`logprobs`": _set(top_logprobs=2),
    "`user`": _set(user="u"),
    "`service_tier`": _set(service_tier="priority"),
    "reasoning effort": _set(reasoning=chat_pb2.ReasoningConfig(effort="low")),
    "reasoning on": _set(reasoning=chat_pb2.ReasoningConfig(enabled=True)),
    "reasoning off": _set(reasoning=chat_pb2.ReasoningConfig(enabled=False)),
    "reasoning summary": _set(reasoning=chat_pb2.ReasoningConfig(summary="auto")),
    "reasoning budget": _set(reasoning=chat_pb2.ReasoningConfig(budget_tokens=2048), max_output_tokens=8192),
    "cache marks": _cache,
    "`logit_bias`": _set(extras={"openai": '{"logit_bias":{"1":1}}'}),
}
"""What is asked about -> how a request comes to hold it."""


def provider_of(kind: str) -> HttpProvider:
    """A provider of the kind, which is never called."""
    settings = {"kind": kind, "api_key": "none", "base_url": "http://127.0.0.1:9"}
    return make_provider(kind, ProviderConfig.model_validate(settings))


def answer(provider: HttpProvider, model: str, probe: Callable[[ChatRequest], None]) -> str:
    """What becomes of the probe: `yes`, `dropped`, `emulated`, `approximated`, `refused`, `fetched` where the gateway
    reads media from their address, `parallel` where several calls do what the provider cannot do in one, or `ignored`
    where nobody says anything, which must not be."""
    request = ChatRequest(model=model)
    request.messages.add(role=content_pb2.ROLE_USER).parts.add().text = "Hi"
    without = dumps(provider.encode_request(request, model, []))
    probe(request)
    losses: list[Loss] = []
    if is_needed(request, provider.fetches(model)):
        return "fetched"
    if plan_of(request, provider.structured_output(model)) is not None:
        return "emulated"
    try:
        wire = dumps(provider.encode_request(request, model, losses))
    except GatewayError:
        return "refused"
    if request.choice_count and not provider.native_choices:
        return "parallel"
    if losses:
        return losses[0].kind.value
    if wire == without:
        return "ignored"
    return "yes"


def render() -> str:
    """The page."""
    kinds = sorted(KINDS - {"sim", "openai-compatible"})
    rows: dict[tuple[str, ...], list[str]] = {}
    for kind in kinds:
        provider = provider_of(kind)
        model = MODELS.get(kind, "model")
        rows.setdefault(tuple(answer(provider, model, probe) for probe in PROBES.values()), []).append(kind)
    groups = [", ".join(f"`{kind}`" for kind in names) for names in rows.values()]
    lines = [
        "# Compatibility",
        "",
        "What each kind of provider takes of a request, found by asking its encoder: `python -m",
        "trunkline.providers.compatibility`. What a target cannot take is named in the loss report of the answer",
        "(`x-trunkline-dropped`, `x-trunkline-emulated`, `x-trunkline-approximated`), or",
        "refused where the caller is strict.",
        "Whether a *model* knows a field that its provider takes is the model's own affair.",
        "",
        "| group | kinds |",
        "|---|---|",
        *(f"| {number} | {names} |" for number, names in enumerate(groups, 1)),
        "",
        "| | " + " | ".join(str(number) for number in range(1, len(groups) + 1)) + " |",
        "|---|" + "---|" * len(groups),
    ]
    for row, name in enumerate(PROBES):
        lines.append(f"| {name} | " + " | ".join(answers[row] for answers in rows) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page to a path, or, with `--check`, tell whether it is up to date."""
    path = Path(arguments[-1])
    if "--check" not in arguments:
        path.write_text(render())
        return 0
    if path.is_file() and path.read_text() == render():
        return 0
    sys.stderr.write(f"{path} is out of date: run ./scripts/generate\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
