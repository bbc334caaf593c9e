"""Embeddings at Bedrock, by InvokeModel: each publisher's own JSON to the contract and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from trunkline.call import Loss
from trunkline.dialects import cohere
from trunkline.dialects.bedrock.dialect import DIALECT
from trunkline.dialects.foreign import foreign_embed_losses
from trunkline.dialects.openai.embeddings import floats, text_of_input
from trunkline.dialects.wire import Json, Object, restore
from trunkline.errors import provider_failed, unsupported
from trunkline.v1.embeddings_pb2 import Embedding, EmbedRequest, EmbedResponse

EmbedForm = Literal["titan-1", "titan-2", "cohere-3", "cohere-4"]
"""The languages of the models that embed texts (docs.aws.amazon.com/bedrock, `Amazon Titan Embeddings Text` and
`Cohere Embed`)."""

_FORMS: Final[tuple[tuple[re.Pattern[str], EmbedForm], ...]] = (
    (re.compile(r"amazon\.titan-embed-text-v2"), "titan-2"),
    (re.compile(r"amazon\.titan-embed-(?:g1-)?text"), "titan-1"),
    (re.compile(r"cohere\.embed-(?:english|multilingual)"), "cohere-3"),
    (re.compile(r"cohere\.embed"), "cohere-4"),
)

_TOKENS: Final = "x-amzn-bedrock-input-token-count"
"""The header that tells how much was read, whichever the model."""


def embed_form_of(model: str) -> EmbedForm | None:
    """How `model` is asked to embed; None where it is not known to."""
    return next((form for pattern, form in _FORMS if pattern.search(model)), None)


def encode_embed_request(request: EmbedRequest, form: EmbedForm, losses: list[Loss]) -> dict[str, Json]:
    """Write a request; what the model cannot take is added to `losses`. Titan's models take one input.

    Raises `GatewayError` (UNSUPPORTED) where an input is none that the model embeds.
    """
    match form:
        case "titan-1" | "titan-2":
            return _encode_titan(request, losses, sized=form == "titan-2")
        case "cohere-3":
            return _encode_cohere_3(request, losses)
        case "cohere-4":
            wire = cohere.encode_embed_request(request, losses)
            _put_addresses(wire)
            return wire


def _encode_titan(request: EmbedRequest, losses: list[Loss], *, sized: bool) -> dict[str, Json]:
    foreign_embed_losses(request, DIALECT, losses)
    wire: dict[str, Json] = {"inputText": text_of_input(request.inputs[0], "input[0]", losses)}
    if request.HasField("dimensions"):
        if sized:
            wire["dimensions"] = request.dimensions
        else:
            losses.append(Loss("dimensions"))
    if request.task:
        losses.append(Loss("input_type"))
    if request.user:
        losses.append(Loss("user"))
    restore(wire, request.extras, DIALECT)
    return wire


def _encode_cohere_3(request: EmbedRequest, losses: list[Loss]) -> dict[str, Json]:
    """Older models take no texts and images together, and have one length of vectors."""
    texts = [text_of_input(item, f"input[{index}]", losses) for index, item in enumerate(request.inputs)]
    plain = EmbedRequest()
    plain.CopyFrom(request)
    del plain.inputs[:]
    if plain.HasField("dimensions"):
        plain.ClearField("dimensions")
        losses.append(Loss("dimensions"))
    return cohere.encode_embed_request(plain, losses) | {"texts": texts}


def _put_addresses(wire: dict[str, Json]) -> None:
    """Write images as Bedrock has them: a bare `data:` address, as it fetches none."""
    for index, item in enumerate(wire.get("inputs", ())):
        for block in item["content"]:
            if block["type"] == "image_url":
                block["image_url"] = block["image_url"]["url"]
                if not block["image_url"].startswith("data:"):
                    path = f"input[{index}]"
                    raise unsupported(
                        f"`{path}` holds an address, which this target cannot fetch: send the data.", path
                    )


def decode_embed_response(wire: Object, form: EmbedForm, headers: Mapping[str, str]) -> EmbedResponse:
    """Read the vectors. `wire` is lenient; `headers`, by lower-case name, tell how much was read."""
    response = _decode_titan(wire) if form in ("titan-1", "titan-2") else _decode_cohere(wire)
    told = headers.get(_TOKENS, "")
    if told.isascii() and told.isdecimal() and len(told) < 10:
        response.usage.input_tokens = int(told)
    return response


def _decode_titan(wire: Object) -> EmbedResponse:
    response = EmbedResponse()
    vector = wire.take("embedding")
    wire.take("embeddingsByType")
    if vector is None:
        raise provider_failed("The provider's answer holds no vectors.")
    response.embeddings.append(Embedding(values=floats(vector)))
    count = wire.take_int("inputTextTokenCount", 0)
    if count is not None:
        response.usage.input_tokens = count
    wire.keep(response.extras, DIALECT)
    return response


def _decode_cohere(wire: Object) -> EmbedResponse:
    """Vectors of one type stand alone, or under its name."""
    if isinstance(wire.fields.get("embeddings"), list):
        wire.fields["embeddings"] = {"float": wire.fields["embeddings"]}
    return cohere.decode_embed_response(wire)
