"""The models of the fake Vertex AI that embed: what they refuse, and what they answer."""

from __future__ import annotations

from typing import Any

from google.genai import types
from pydantic import TypeAdapter, ValidationError

Json = dict[str, Any]

TEXT = "text-embedding-005"
SINGLE = "gemini-embedding-001"
NEWER = "gemini-embedding-2-preview"

_MODELS = {"predict": (TEXT, SINGLE), "embedContent": (NEWER,)}
_TASKS = (
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
)
_INSTANCE = frozenset({"content", "task_type", "title", "mimeType"})
_PARAMETERS = frozenset({"outputDimensionality", "autoTruncate"})
_CONFIG = frozenset({"taskType", "title", "outputDimensionality", "autoTruncate", "documentOcr"})
_MOST, _MOST_TOKENS = 250, 20_000
_CONTENT = TypeAdapter(types.Content)


class RefusedError(Exception):
    """A request that Google answers with 400, INVALID_ARGUMENT."""


def embeds(model: str, method: str) -> bool:
    """Whether `model` is asked by `method`."""
    return model in _MODELS.get(method, ())


def answer(body: Json, model: str, method: str) -> Json:
    """What `model` answers: a vector is the length of its text, and 0.5.

    Raises `RefusedError` where Google would refuse `body`.
    """
    return _predict(body, model) if method == "predict" else _embed_content(body)


def _predict(body: Json, model: str) -> Json:
    instances, parameters = body.get("instances", []), body.get("parameters", {})
    _know(body, frozenset({"instances", "parameters"}))
    _know(parameters, _PARAMETERS)
    most = 1 if model == SINGLE else _MOST
    if not 0 < len(instances) <= most:
        raise RefusedError(f"{most} instance(s) is allowed per prediction. Actual: {len(instances)}")
    for instance in instances:
        _know(instance, _INSTANCE)
        if not isinstance(instance.get("content"), str) or not instance["content"]:
            raise RefusedError("The text content is empty.")
        task = instance.get("task_type")
        if task is not None and task not in _TASKS:
            raise RefusedError(f"Unsupported task type: {task}")
        if "title" in instance and task != "RETRIEVAL_DOCUMENT":
            raise RefusedError("Title is only supported for the task type RETRIEVAL_DOCUMENT.")
    counts = [max(1, len(instance["content"]) // 2) for instance in instances]
    if sum(counts) > _MOST_TOKENS:
        words = f"the model supports up to {_MOST_TOKENS} tokens, got {sum(counts)}"
        raise RefusedError(f"Unable to submit request because the input token count is {sum(counts)} but {words}.")
    vectors = [_vector(instance["content"], parameters) for instance in instances]
    predictions = [
        {"embeddings": {"statistics": {"truncated": False, "token_count": count}, "values": vector}}
        for count, vector in zip(counts, vectors, strict=True)
    ]
    characters = sum(len(instance["content"]) for instance in instances)
    return {"predictions": predictions, "metadata": {"billableCharacterCount": characters}}


def _embed_content(body: Json) -> Json:
    _know(body, frozenset({"content", "embedContentConfig"}))
    config = body.get("embedContentConfig", {})
    _know(config, _CONFIG)
    try:
        content = _CONTENT.validate_python(body.get("content"))
    except ValidationError as error:
        raise RefusedError(f"Invalid value at 'content': {error.errors()[0]['msg']}") from None
    texts = [part.text or "" for part in content.parts or ()]
    usage = {"promptTokenCount": 3, "totalTokenCount": 3}
    return {"embedding": {"values": _vector("".join(texts), config)}, "usageMetadata": usage, "truncated": False}


def _vector(text: str, settings: Json) -> list[float]:
    return [float(len(text)), *[0.5] * (settings.get("outputDimensionality", 2) - 1)]


def _know(value: Json, keys: frozenset[str]) -> None:
    for key in sorted(value.keys() - keys):
        raise RefusedError(f'Invalid JSON payload received. Unknown name "{key}": Cannot find field.')
