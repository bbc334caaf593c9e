"""Embeddings at Vertex AI: `predict` and its own `embedContent`, their JSON to the contract and back."""

from __future__ import annotations

from typing import Final, Literal

from trunkline.call import Loss
from trunkline.dialects.foreign import foreign_embed_losses
from trunkline.dialects.gemini.embeddings import TASK_WORDS, decode_embed_response, encode_embed_one
from trunkline.dialects.gemini.names import DIALECT
from trunkline.dialects.openai.embeddings import bare_text, floats, text_of_input
from trunkline.dialects.wire import Json, Object, restore, text_of
from trunkline.errors import provider_failed
from trunkline.v1 import embeddings_pb2
from trunkline.v1.embeddings_pb2 import Embedding, EmbedInput, EmbedRequest, EmbedResponse

EmbedMethod = Literal["predict", "embedContent"]
"""How a model is asked to embed: `predict` (cloud.google.com, `Text embeddings API`), or, the newer ones, which also
take media, `embedContent` with one input."""

_BY_PREDICT: Final = "gemini-embedding-001"


def embed_method_of(model: str) -> EmbedMethod:
    """The method of `model`, which is named without its publisher."""
    newer = "gemini" in model or model.endswith("-maas")
    return "embedContent" if newer and not model.startswith(_BY_PREDICT) else "predict"


def takes_one(model: str) -> bool:
    """Whether `model` embeds one input in a call."""
    return embed_method_of(model) == "embedContent" or model.startswith(_BY_PREDICT)


def encode_vertex_embed(request: EmbedRequest, method: EmbedMethod, losses: list[Loss]) -> dict[str, Json]:
    """Write a request; what Google cannot take is added to `losses`.

    Raises `GatewayError` (UNSUPPORTED) where an input is none that it embeds.
    """
    foreign_embed_losses(request, DIALECT, losses)
    if request.user:
        losses.append(Loss("user"))
    if method == "predict":
        return _encode_predict(request, losses)
    config = encode_embed_one(request, request.inputs[0], "input[0]", "")
    wire: dict[str, Json] = {"content": config.pop("content")}
    del config["model"]
    if config:
        wire["embedContentConfig"] = config
    return wire


def _encode_predict(request: EmbedRequest, losses: list[Loss]) -> dict[str, Json]:
    instances = [_instance(request, item, f"input[{index}]", losses) for index, item in enumerate(request.inputs)]
    wire: dict[str, Json] = {"instances": instances}
    parameters: dict[str, Json] = {}
    if request.HasField("dimensions"):
        parameters["outputDimensionality"] = request.dimensions
    restore(parameters, request.extras, DIALECT)
    if parameters:
        wire["parameters"] = parameters
    return wire


def _instance(request: EmbedRequest, item: EmbedInput, path: str, losses: list[Loss]) -> dict[str, Json]:
    wire: dict[str, Json] = {}
    if request.task:
        wire["task_type"] = TASK_WORDS[request.task]
    if item.title and request.task == embeddings_pb2.EMBED_TASK_DOCUMENT:
        # Nothing but a document has a title there.
        return {**wire, "title": item.title, "content": bare_text(item, path)}
    return {**wire, "content": text_of_input(item, path, losses)}


def decode_vertex_embed(wire: Object, method: EmbedMethod, model: str) -> EmbedResponse:
    """Read the vectors. `wire` is lenient."""
    if method == "embedContent":
        return decode_embed_response(wire, model)
    response = EmbedResponse(model=model)
    tokens: list[int] = []
    for prediction in wire.take_objects("predictions"):
        found = prediction.take_object("embeddings")
        if found is None:
            raise provider_failed("A prediction of the provider's holds no vector.")
        embedding = Embedding(values=floats(found.take("values")))
        statistics = found.take_object("statistics")
        count = statistics.take_int("token_count", 0) if statistics is not None else None
        if count is not None:
            tokens.append(count)
        if statistics is not None and statistics.fields.get("truncated") is False:
            statistics.take("truncated")
        if prediction.rest():
            embedding.extras[DIALECT] = text_of(prediction.fields)
        response.embeddings.append(embedding)
    if not response.embeddings:
        raise provider_failed("The provider's answer holds no vectors.")
    if tokens:
        response.usage.input_tokens = sum(tokens)
    wire.keep(response.extras, DIALECT)
    return response
