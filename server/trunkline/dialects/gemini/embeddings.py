"""`embedContent` and `batchEmbedContents`: their JSON to the contract and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trunkline.call import Loss
from trunkline.dialects.foreign import foreign_embed_losses
from trunkline.dialects.gemini.content import decode_part, take_parts
from trunkline.dialects.gemini.media import encode_media
from trunkline.dialects.gemini.names import DIALECT, camel
from trunkline.dialects.openai.embeddings import floats
from trunkline.dialects.wire import Json, Object, restore, text_of
from trunkline.errors import invalid_request, provider_failed, unsupported
from trunkline.v1 import embeddings_pb2
from trunkline.v1.content_pb2 import Part
from trunkline.v1.embeddings_pb2 import Embedding, EmbedInput, EmbedRequest, EmbedResponse, EmbedTask

_TASKS: Final[dict[str, EmbedTask.ValueType]] = {
    "RETRIEVAL_QUERY": embeddings_pb2.EMBED_TASK_QUERY,
    "RETRIEVAL_DOCUMENT": embeddings_pb2.EMBED_TASK_DOCUMENT,
    "SEMANTIC_SIMILARITY": embeddings_pb2.EMBED_TASK_SIMILARITY,
    "CLASSIFICATION": embeddings_pb2.EMBED_TASK_CLASSIFICATION,
    "CLUSTERING": embeddings_pb2.EMBED_TASK_CLUSTERING,
}
TASK_WORDS: Final = {task: word for word, task in _TASKS.items()}
"""What Google calls a task."""


def decode_embed_request(wires: Sequence[Object], model: str) -> EmbedRequest:
    """Read one request, or those of a batch, for `model`. Of a batch all must ask for the same but for the content.

    Raises `GatewayError` (INVALID_REQUEST), naming the field.
    """
    request = EmbedRequest(model=model.removeprefix("models/"))
    if not wires:
        raise invalid_request("`requests` must hold at least one request.", "requests")
    asked: EmbedRequest | None = None
    for index, wire in enumerate(wires):
        own = EmbedRequest()
        camel(wire.fields)
        wire.take("model")
        task = wire.fields.get("taskType")
        if isinstance(task, str) and (task in _TASKS or task == "TASK_TYPE_UNSPECIFIED"):
            wire.take("taskType")
            own.task = _TASKS.get(task, embeddings_pb2.EMBED_TASK_UNSPECIFIED)
        dimensions = wire.take_int("outputDimensionality", 1)
        if dimensions is not None:
            own.dimensions = dimensions
        item = request.inputs.add(title=wire.take_str("title") or "")
        _decode_content(wire, item)
        wire.keep(own.extras, DIALECT)
        if asked is not None and own != asked:
            raise invalid_request(f"`requests[{index}]` must ask for the same as the first.", f"requests[{index}]")
        asked = own
    if asked is not None:
        request.MergeFrom(asked)
    return request


def _decode_content(wire: Object, item: EmbedInput) -> None:
    content = wire.take_object("content")
    if content is None:
        raise invalid_request(f"`{wire.at('content')}` is required.", wire.at("content"))
    parts: list[Part] = []
    for one in take_parts(content):
        camel(one.fields)
        part = Part()
        decode_part(one, part)
        parts.append(part)
    content.take("role")
    if len(parts) == 1 and parts[0].WhichOneof("kind") == "text":
        item.text = parts[0].text
    else:
        item.content.parts.extend(parts)


def encode_embed_request(request: EmbedRequest, model: str, losses: list[Loss]) -> dict[str, Json]:
    """Write a batch for `model`, named as in a path; what Google cannot take is added to `losses`.

    Raises `GatewayError` (UNSUPPORTED) where an input is none that it embeds.
    """
    foreign_embed_losses(request, DIALECT, losses)
    if request.user:
        losses.append(Loss("user"))
    return {
        "requests": [
            encode_embed_one(request, item, f"input[{index}]", model) for index, item in enumerate(request.inputs)
        ]
    }


def encode_embed_one(request: EmbedRequest, item: EmbedInput, path: str, model: str) -> dict[str, Json]:
    """One input of a batch."""
    wire: dict[str, Json] = {"model": model, "content": {"parts": _encode_parts(item, path)}}
    if request.task:
        wire["taskType"] = TASK_WORDS[request.task]
    if item.title:
        wire["title"] = item.title
    if request.HasField("dimensions"):
        wire["outputDimensionality"] = request.dimensions
    restore(wire, request.extras, DIALECT)
    return wire


def _encode_parts(item: EmbedInput, path: str) -> list[Json]:
    match item.WhichOneof("kind"):
        case "tokens":
            raise unsupported(f"`{path}` must be a text: the provider embeds no tokens.", path)
        case "content":
            return [_encode_part(part, path) for part in item.content.parts]
        case _:
            return [{"text": item.text}]


def _encode_part(part: Part, path: str) -> Json:
    match part.WhichOneof("kind"):
        case "text":
            return {"text": part.text}
        case "media":
            return encode_media(part.media, path)
        case _:
            raise unsupported(f"`{path}` holds what the provider does not embed.", path)


def decode_embed_response(wire: Object, model: str) -> EmbedResponse:
    """Read the answer to one request or to a batch. `wire` is lenient."""
    response = EmbedResponse(model=model)
    one = wire.take_object("embedding")
    items = [one] if one is not None else list(wire.take_objects("embeddings"))
    if not items:
        raise provider_failed("The provider's answer holds no vectors.")
    for item in items:
        response.embeddings.append(Embedding(values=floats(item.take("values"))))
    usage = wire.take_object("usageMetadata")
    count = usage.take_int("promptTokenCount", 0) if usage is not None else None
    if count is not None:
        response.usage.input_tokens = count
    if usage is not None and usage.rest():
        response.usage.extras[DIALECT] = text_of(usage.fields)
        wire.take("usageMetadata")
    wire.keep(response.extras, DIALECT)
    return response


def encode_embed_response(response: EmbedResponse) -> dict[str, Json]:
    """Write the answer to one request."""
    values = response.embeddings[0].values if response.embeddings else ()
    return {"embedding": {"values": list(values)}, **_usage(response)}


def encode_embed_batch(response: EmbedResponse) -> dict[str, Json]:
    """Write the answer to a batch."""
    return {"embeddings": [{"values": list(one.values)} for one in response.embeddings], **_usage(response)}


def _usage(response: EmbedResponse) -> dict[str, Json]:
    wire: dict[str, Json] = {}
    if response.usage.HasField("input_tokens"):
        wire["usageMetadata"] = {"promptTokenCount": response.usage.input_tokens}
        restore(wire["usageMetadata"], response.usage.extras, DIALECT)
    restore(wire, response.extras, DIALECT)
    return wire
