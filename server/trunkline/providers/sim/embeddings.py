"""Vectors without a model: each word and each token has a direction of its own, so that like texts lie close."""

from __future__ import annotations

import math
import sys
from array import array
from base64 import b64encode
from functools import lru_cache
from hashlib import shake_128
from typing import Any, Final

import msgspec

from trunkline.providers.sim.errors import ApiError
from trunkline.providers.sim.tokens import count

MODEL: Final = "embed"
ABOUT: Final = "embeds texts: like words, like vectors"

_MOST_INPUTS: Final = 2048
_MOST_DIMENSIONS: Final = 4096
_DIMENSIONS: Final = 256


class _Request(msgspec.Struct):
    model: str
    input: str | list[str | int | list[int]]
    dimensions: int = _DIMENSIONS
    encoding_format: str = "float"
    user: str | None = None


def embed(body: bytes) -> dict[str, Any]:
    """The answer to a request's body. Raises `ApiError`."""
    try:
        request = msgspec.json.decode(body, type=_Request)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ApiError(400, f"The request cannot be read: {error}.", param="input") from None
    if request.model != MODEL:
        raise ApiError(
            404, f"The model `{request.model[:256]}` embeds nothing; `{MODEL}` does.", code="model_not_found"
        )
    if not 1 <= request.dimensions <= _MOST_DIMENSIONS:
        raise ApiError(400, f"`dimensions` must be between 1 and {_MOST_DIMENSIONS}.", param="dimensions")
    if request.encoding_format not in ("float", "base64"):
        raise ApiError(400, "`encoding_format` must be `float` or `base64`.", param="encoding_format")
    inputs = _inputs(request.input)
    if not 1 <= len(inputs) <= _MOST_INPUTS:
        raise ApiError(400, f"`input` must hold 1 to {_MOST_INPUTS} inputs.", param="input")
    data = [
        {"object": "embedding", "index": index, "embedding": _write(_vector(item, request.dimensions), request)}
        for index, item in enumerate(inputs)
    ]
    tokens = sum(count(item) if isinstance(item, str) else len(item) for item in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": request.model, "usage": usage}


def _inputs(given: str | list[str | int | list[int]]) -> list[str | list[int]]:
    if isinstance(given, str):
        return [given]
    tokens = [item for item in given if isinstance(item, int)]
    return [tokens] if tokens else [item for item in given if not isinstance(item, int)]


def _vector(item: str | list[int], dimensions: int) -> array[float]:
    words = item.lower().split() if isinstance(item, str) else [str(token) for token in item]
    total = [0.0] * dimensions
    for word in words or [""]:
        total = [sum(pair) for pair in zip(total, _direction(word, dimensions), strict=True)]
    length = math.sqrt(sum(value * value for value in total)) or 1.0
    return array("f", [value / length for value in total])


@lru_cache(maxsize=4096)
def _direction(word: str, dimensions: int) -> tuple[float, ...]:
    return tuple(byte / 127.5 - 1.0 for byte in shake_128(word.encode()).digest(dimensions))


def _write(vector: array[float], request: _Request) -> Any:
    if request.encoding_format == "float":
        return vector.tolist()
    if sys.byteorder == "big":
        vector.byteswap()
    return b64encode(vector.tobytes()).decode("ascii")
