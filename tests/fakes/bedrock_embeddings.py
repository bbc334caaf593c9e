"""The models of the fake Bedrock that embed: what they refuse, and what they answer, by InvokeModel."""

from __future__ import annotations

from typing import Any

from fakes.bedrock_rules import RefusedError

Json = dict[str, Any]

TITAN = "amazon.titan-embed-text-v2:0"
OLD_TITAN = "amazon.titan-embed-text-v1"
COHERE = "us.cohere.embed-v4:0"
OLD_COHERE = "cohere.embed-multilingual-v3"

_OLD = frozenset({"texts", "images", "input_type", "truncate", "embedding_types"})
_KEYS: dict[str, frozenset[str]] = {
    TITAN: frozenset({"inputText", "dimensions", "normalize", "embeddingTypes"}),
    OLD_TITAN: frozenset({"inputText"}),
    COHERE: _OLD | {"inputs", "output_dimension", "max_tokens"},
    OLD_COHERE: _OLD,
}
_NEEDED = {TITAN: "inputText", OLD_TITAN: "inputText", COHERE: "input_type", OLD_COHERE: "input_type"}
_LENGTHS = {TITAN: ("dimensions", (256, 512, 1024)), COHERE: ("output_dimension", (256, 512, 1024, 1536))}
_TASKS = ("search_document", "search_query", "classification", "clustering", "image")
_MOST = 96


def answer(body: Json, model: str) -> tuple[Json, int]:
    """What `model` answers, and how many tokens it read: a vector is the length of its input, and 0.5 as often as is
    asked for.

    Raises `RefusedError` where Bedrock would refuse `body`.
    """
    if model not in _KEYS:
        raise RefusedError("The provided model identifier is invalid.")
    for key in sorted(body.keys() - _KEYS[model]):
        raise _malformed(f"extraneous key [{key}] is not permitted")
    if _NEEDED[model] not in body:
        raise _malformed(f"required key [{_NEEDED[model]}] not found")
    name, lengths = _LENGTHS.get(model, ("", ()))
    if body.get(name, None) not in (None, *lengths):
        raise _malformed(f"/{name}: {body[name]} is not a valid enum value")
    return _titan(body, model) if "titan" in model else _cohere(body)


def _titan(body: Json, model: str) -> tuple[Json, int]:
    text = body["inputText"]
    if not isinstance(text, str) or not text:
        raise _malformed("expected minLength: 1, actual: 0")
    vector = _vector(text, body.get("dimensions"))
    typed = {"embeddingsByType": {"float": vector}} if model == TITAN else {}
    return {"embedding": vector, **typed, "inputTextTokenCount": 3}, 3


def _cohere(body: Json) -> tuple[Json, int]:
    given = [key for key in ("texts", "images", "inputs") if body.get(key)]
    if len(given) != 1:
        raise RefusedError("Invalid parameter combination. Please check and try again.")
    inputs = body[given[0]]
    if body["input_type"] not in _TASKS:
        raise _malformed(f"#/input_type: {body['input_type']} is not a valid enum value")
    if len(inputs) > _MOST:
        raise _malformed(f"#/{given[0]}: expected maximum item count: {_MOST}, found: {len(inputs)}")
    for block in (block for item in inputs if isinstance(item, dict) for block in item["content"]):
        if block["type"] == "image_url" and not str(block["image_url"]).startswith("data:image/"):
            raise _malformed("#/inputs: image_url must be a data URI")
    vectors = [_vector(str(item), body.get("output_dimension")) for item in inputs]
    typed = "embedding_types" in body
    kind = "embeddings_by_type" if typed else "embeddings_floats"
    answer: Json = {"id": "e-1", "response_type": kind, "embeddings": {"float": vectors} if typed else vectors}
    return {**answer, "texts": body.get("texts", [])}, 3 * len(inputs)


def _vector(text: str, length: int | None) -> list[float]:
    return [float(len(text)), *[0.5] * ((length or 2) - 1)]


def _malformed(what: str) -> RefusedError:
    return RefusedError(f"Malformed input request: {what}, please reformat your input and try again.")
