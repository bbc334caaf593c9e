"""Cohere's `POST /v2/embed`: the contract to its JSON and back."""

from __future__ import annotations

from typing import Final

from trunkline.call import Loss, LossKind
from trunkline.dialects.cohere.request import image_address
from trunkline.dialects.foreign import foreign_embed_losses
from trunkline.dialects.openai.embeddings import floats
from trunkline.dialects.wire import Json, Object, restore
from trunkline.errors import provider_failed, unsupported
from trunkline.v1 import embeddings_pb2
from trunkline.v1.content_pb2 import Part
from trunkline.v1.embeddings_pb2 import Embedding, EmbedInput, EmbedRequest, EmbedResponse

_DIALECT: Final = "cohere"

_TASKS: Final[dict[int, str]] = {
    embeddings_pb2.EMBED_TASK_QUERY: "search_query",
    embeddings_pb2.EMBED_TASK_DOCUMENT: "search_document",
    embeddings_pb2.EMBED_TASK_CLASSIFICATION: "classification",
    embeddings_pb2.EMBED_TASK_CLUSTERING: "clustering",
}

_DEFAULT: Final = "search_document"
"""Cohere demands to be told; most texts that are embedded are documents."""


def encode_embed_request(request: EmbedRequest, losses: list[Loss]) -> dict[str, Json]:
    """Write a request; what Cohere cannot take is added to `losses`.

    Raises `GatewayError` (UNSUPPORTED) where an input is none that it embeds.
    """
    foreign_embed_losses(request, _DIALECT, losses)
    wire: dict[str, Json] = {
        "input_type": _TASKS.get(request.task, _DEFAULT),
        "embedding_types": ["float"],
    }
    if request.task and request.task not in _TASKS:
        losses.append(Loss("input_type", LossKind.APPROXIMATED))
    if all(item.WhichOneof("kind") == "text" and not item.title for item in request.inputs):
        wire["texts"] = [item.text for item in request.inputs]
    else:
        wire["inputs"] = [_encode(item, f"input[{index}]", losses) for index, item in enumerate(request.inputs)]
    if request.HasField("dimensions"):
        wire["output_dimension"] = request.dimensions
    if request.user:
        losses.append(Loss("user"))
    restore(wire, request.extras, _DIALECT)
    return wire


def _encode(item: EmbedInput, path: str, losses: list[Loss]) -> Json:
    content: list[Json] = []
    if item.title:
        losses.append(Loss("title", LossKind.APPROXIMATED))
        content.append({"type": "text", "text": item.title})
    match item.WhichOneof("kind"):
        case "text":
            content.append({"type": "text", "text": item.text})
        case "tokens":
            raise unsupported(f"`{path}` must be a text: the provider embeds no tokens.", path)
        case "content":
            content.extend(_encode_part(part, path) for part in item.content.parts)
    return {"content": content}


def _encode_part(part: Part, path: str) -> Json:
    match part.WhichOneof("kind"):
        case "text":
            return {"type": "text", "text": part.text}
        case "media" if part.media.media_type.startswith("image/"):
            return {"type": "image_url", "image_url": {"url": image_address(part.media, path)}}
    raise unsupported(f"`{path}` holds what the provider does not embed.", path)


def decode_embed_response(wire: Object) -> EmbedResponse:
    """Read the vectors. `wire` is lenient."""
    response = EmbedResponse(id=wire.take_str("id") or "")
    wire.take("response_type")
    wire.take("texts")
    wire.take("images")
    vectors = wire.take_object("embeddings")
    found = vectors.take_list("float") if vectors is not None else None
    if found is None:
        raise provider_failed("The provider's answer holds no vectors.")
    response.embeddings.extend(Embedding(values=floats(vector)) for vector in found)
    meta = wire.take_object("meta")
    billed = meta.take_object("billed_units") if meta is not None else None
    if billed is not None:
        texts, images = billed.take_int("input_tokens", 0), billed.take_int("image_tokens", 0)
        if texts is not None or images is not None:
            response.usage.input_tokens = (texts or 0) + (images or 0)
    wire.keep(response.extras, _DIALECT)
    return response
