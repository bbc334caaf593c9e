"""Embeddings, of OpenAI and of the servers that speak its language."""

from __future__ import annotations

import math
import sys
from array import array
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterable
from typing import Final, Literal

from trunkline.call import Loss, LossKind
from trunkline.dialects.foreign import foreign_embed_losses
from trunkline.dialects.openai.content import DIALECT
from trunkline.dialects.openai.profile import PLAIN, EmbeddingForm
from trunkline.dialects.openai.usage import decode_usage
from trunkline.dialects.wire import Json, Object, restore
from trunkline.errors import GatewayError, invalid_request, provider_failed, unsupported
from trunkline.v1 import embeddings_pb2
from trunkline.v1.embeddings_pb2 import Embedding, EmbedInput, EmbedRequest, EmbedResponse, EmbedTask

Encoding = Literal["float", "base64"]

_TASKS: Final[dict[str, EmbedTask.ValueType]] = {
    "query": embeddings_pb2.EMBED_TASK_QUERY,
    "document": embeddings_pb2.EMBED_TASK_DOCUMENT,
    "search_query": embeddings_pb2.EMBED_TASK_QUERY,
    "search_document": embeddings_pb2.EMBED_TASK_DOCUMENT,
    "classification": embeddings_pb2.EMBED_TASK_CLASSIFICATION,
    "clustering": embeddings_pb2.EMBED_TASK_CLUSTERING,
}
"""What `input_type` is called by Voyage, and by those who write Cohere's words."""

_QUERY_OR_DOCUMENT: Final[dict[int, str]] = {
    embeddings_pb2.EMBED_TASK_QUERY: "query",
    embeddings_pb2.EMBED_TASK_DOCUMENT: "document",
}


def take_encoding(wire: Object) -> Encoding:
    """Take out of a request how its caller wants the vectors to be written: a matter of the surface alone."""
    value = wire.take_str("encoding_format")
    if value not in (None, "float", "base64"):
        raise invalid_request("`encoding_format` must be `float` or `base64`.", "encoding_format")
    return "base64" if value == "base64" else "float"


def decode_embed_request(wire: Object) -> EmbedRequest:
    """Read a request. Raises `GatewayError` (INVALID_REQUEST), naming the field."""
    request = EmbedRequest(model=wire.need_str("model"))
    _decode_inputs(wire, request)
    dimensions = wire.take_int("dimensions", 1)
    if dimensions is not None:
        request.dimensions = dimensions
    task = wire.fields.get("input_type")
    if isinstance(task, str) and task in _TASKS:
        wire.take("input_type")
        request.task = _TASKS[task]
    request.user = wire.take_str("user") or ""
    wire.keep(request.extras, DIALECT)
    return request


def _decode_inputs(wire: Object, request: EmbedRequest) -> None:
    """A text, its tokens, or an array of either."""
    value = wire.take("input")
    if type(value) is str:
        request.inputs.add(text=value)
        return
    if type(value) is not list or not value:
        raise invalid_request("`input` must be a string, an array of strings, or of tokens, and not empty.", "input")
    if type(value[0]) is int:
        _put_tokens(request.inputs.add(), value, "input")
        return
    for index, item in enumerate(value):
        path = f"input[{index}]"
        if type(item) is str:
            request.inputs.add(text=item)
        elif type(item) is list and item:
            _put_tokens(request.inputs.add(), item, path)
        else:
            raise invalid_request(f"`{path}` must be a string or an array of tokens.", path)


def _put_tokens(item: EmbedInput, tokens: list[Json], path: str) -> None:
    for index, token in enumerate(tokens):
        if type(token) is not int or not 0 <= token < 2**31:
            raise invalid_request(f"`{path}[{index}]` must be a token, a whole number.", f"{path}[{index}]")
    item.tokens.ids.extend(tokens)


def encode_embed_request(
    request: EmbedRequest, form: EmbeddingForm = PLAIN, losses: list[Loss] | None = None
) -> dict[str, Json]:
    """Write a request for a server of `form`; what it cannot take is added to `losses`.

    Raises `GatewayError` (UNSUPPORTED) where an input is none that it embeds.
    """
    losses = [] if losses is None else losses
    foreign_embed_losses(request, DIALECT, losses)
    inputs = [_encode_input(item, form, f"input[{index}]", losses) for index, item in enumerate(request.inputs)]
    wire: dict[str, Json] = {"model": request.model, "input": inputs[0] if len(inputs) == 1 else inputs}
    if request.HasField("dimensions"):
        wire[form.dimensions] = request.dimensions
    if request.task:
        word = _QUERY_OR_DOCUMENT.get(request.task) if form.input_type else None
        if word is None:
            losses.append(Loss("input_type"))
        else:
            wire["input_type"] = word
    if request.user and form.user:
        wire["user"] = request.user
    elif request.user:
        losses.append(Loss("user"))
    if form.base64:
        wire["encoding_format"] = "base64"
    restore(wire, request.extras, DIALECT)
    return wire


def _encode_input(item: EmbedInput, form: EmbeddingForm, path: str, losses: list[Loss]) -> Json:
    if item.WhichOneof("kind") == "tokens" and form.tokens:
        return list(item.tokens.ids)
    return text_of_input(item, path, losses)


def text_of_input(item: EmbedInput, path: str, losses: list[Loss]) -> str:
    """As `bare_text`, with the title of the input before its text."""
    text = bare_text(item, path)
    if item.title:
        losses.append(Loss("title", LossKind.APPROXIMATED))
        return f"{item.title}\n{text}"
    return text


def bare_text(item: EmbedInput, path: str) -> str:
    """One input for a provider that embeds nothing but texts. `path` is where it stands.

    Raises `GatewayError` (UNSUPPORTED) where it holds something else.
    """
    match item.WhichOneof("kind"):
        case "tokens":
            raise unsupported(f"`{path}` must be a text: the provider embeds no tokens.", path)
        case "content":
            parts = item.content.parts
            if any(part.WhichOneof("kind") != "text" for part in parts):
                raise unsupported(f"`{path}` must be a text: the provider embeds nothing else.", path)
            return "\n".join(part.text for part in parts)
    return item.text


def decode_embed_response(wire: Object) -> EmbedResponse:
    """Read the vectors, numbers or base64 of little-endian 32-bit floats. `wire` is lenient."""
    wire.take_str("object")
    response = EmbedResponse(id=wire.take_str("id") or "", model=wire.take_str("model") or "")
    found: dict[int, Embedding] = {}
    for position, item in enumerate(wire.take_objects("data")):
        item.take_str("object")
        index = item.take_int("index", 0)
        embedding = Embedding(values=floats(item.take("embedding")))
        item.keep(embedding.extras, DIALECT)
        found[position if index is None else index] = embedding
    response.embeddings.extend(found[index] for index in sorted(found))
    usage = wire.take_object("usage")
    if usage is not None:
        if "prompt_tokens" not in usage.fields and "total_tokens" in usage.fields:  # Voyage
            usage.fields["prompt_tokens"] = usage.fields["total_tokens"]
        usage.fields.pop("completion_tokens", None)  # Mistral's zero
        response.usage.CopyFrom(decode_usage(usage))
    wire.keep(response.extras, DIALECT)
    return response


def floats(value: Json) -> Iterable[float]:
    """The numbers of one vector. Raises `GatewayError` (PROVIDER_FAILED) where there are none."""
    if isinstance(value, str):
        try:
            vector = array("f", a2b_base64(value, strict_mode=True))
        except (Base64Error, ValueError):
            raise provider_failed("A vector of the provider's is no base64 of 32-bit floats.") from None
        if sys.byteorder == "big":
            vector.byteswap()
        return vector
    if not isinstance(value, list) or not all(type(number) is float or type(number) is int for number in value):
        raise provider_failed("A vector of the provider's holds something else than numbers.")
    try:
        vector = array("f", value)
    except OverflowError:
        raise _too_large() from None
    if not all(map(math.isfinite, vector)):
        raise _too_large()
    return vector


def _too_large() -> GatewayError:
    return provider_failed("A vector of the provider's holds a number that is too large.")


def encode_embed_response(response: EmbedResponse, encoding: Encoding) -> dict[str, Json]:
    """Write the vectors as their caller wants them."""
    data: list[Json] = []
    for index, embedding in enumerate(response.embeddings):
        item: dict[str, Json] = {"object": "embedding", "index": index, "embedding": _write(embedding.values, encoding)}
        restore(item, embedding.extras, DIALECT)
        data.append(item)
    wire: dict[str, Json] = {"object": "list", "data": data, "model": response.model}
    if response.id:
        wire["id"] = response.id
    if response.provider:
        wire["provider"] = response.provider
    read = response.usage.input_tokens
    wire["usage"] = {"prompt_tokens": read, "total_tokens": read}
    restore(wire["usage"], response.usage.extras, DIALECT)
    restore(wire, response.extras, DIALECT)
    return wire


def _write(values: Iterable[float], encoding: Encoding) -> Json:
    vector = array("f", values)
    if encoding == "float":
        return vector.tolist()
    if sys.byteorder == "big":
        vector.byteswap()
    return b64encode(vector.tobytes()).decode("ascii")
