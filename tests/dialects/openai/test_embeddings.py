"""Embeddings of OpenAI's language: requests come back as they were, and vectors to the last bit of 32."""

from __future__ import annotations

import math
from array import array
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse
from wire.recordings import Recording, recordings

from trunkline.call import Loss, LossKind
from trunkline.dialects import openai
from trunkline.dialects.openai.embeddings import Encoding
from trunkline.dialects.openai.profile import EmbeddingForm
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1 import embeddings_pb2
from trunkline.v1.embeddings_pb2 import EmbedRequest, EmbedResponse

_RECORDED = [
    one
    for one in recordings()
    if one.id.split("/")[1] == "embeddings" and one.id.split("/")[0] not in ("bedrock", "cohere", "google", "vertex")
]
_FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20)


def each(*, errors: bool) -> pytest.MarkDecorator:
    chosen = [pytest.param(one, id=one.id) for one in _RECORDED if one.is_error is errors]
    return pytest.mark.parametrize("recording", chosen)


def read(wire: Any) -> EmbedRequest:
    return openai.decode_embed_request(Object(loads(dumps(wire))))


def answered(body: bytes) -> EmbedResponse:
    return openai.decode_embed_response(Object(loads(body), lenient=True))


def numbers(item: Any) -> list[float]:
    return list(array("f", b64decode(item) if isinstance(item, str) else item))


@each(errors=False)
def test_a_recorded_request_comes_back(recording: Recording) -> None:
    """What was read is written as it was; an array of one text is the text, and the encoding is the surface's."""
    assert recording.request is not None
    expected = loads(recording.request)
    wire = Object(loads(recording.request))
    openai.take_encoding(wire)
    losses: list[Loss] = []
    written = loads(dumps(openai.encode_embed_request(openai.decode_embed_request(wire), losses=losses)))

    expected.pop("encoding_format", None)
    if isinstance(expected["input"], list) and len(expected["input"]) == 1:
        expected["input"] = expected["input"][0]
    assert written == expected
    assert not losses


@each(errors=False)
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_a_recorded_answer_comes_back(recording: Recording, encoding: Encoding) -> None:
    """The vectors, their order and the usage are as they were, in the shape of OpenAI's own types."""
    expected = loads(recording.body)
    written = loads(dumps(openai.encode_embed_response(answered(recording.body), encoding)))

    CreateEmbeddingResponse.model_validate({**written, "data": [{**one, "embedding": []} for one in written["data"]]})
    assert [numbers(one["embedding"]) for one in written["data"]] == [
        numbers(one["embedding"]) for one in sorted(expected["data"], key=lambda one: one["index"])
    ]
    assert all(isinstance(one["embedding"], str) is (encoding == "base64") for one in written["data"])
    assert written["usage"]["prompt_tokens"] == expected["usage"]["prompt_tokens"]
    assert written["usage"]["total_tokens"] == expected["usage"]["total_tokens"]
    assert written["model"] == expected["model"]
    assert written.get("id") == expected.get("id")


@each(errors=True)
def test_a_recorded_error_is_not_found(recording: Recording) -> None:
    """An unknown model is told as such."""
    assert openai.decode_error(recording.status, {}, recording.body).name == "NOT_FOUND"


@given(st.lists(_FLOATS, min_size=1, max_size=4), st.sampled_from(["float", "base64"]))
def test_vectors_come_back(vectors: list[list[float]], encoding: Encoding) -> None:
    """Every finite 32-bit float survives both forms."""
    response = EmbedResponse(model="m")
    for vector in vectors:
        response.embeddings.add(values=vector)
    again = answered(dumps(openai.encode_embed_response(response, encoding)))

    assert again.embeddings == response.embeddings


@pytest.mark.parametrize("vector", ["!", "AAA=", {"a": 1}, [1, "a"], [True], None, [1e300]], ids=str)
def test_what_is_no_vector_is_the_providers_fault(vector: Any) -> None:
    """A vector that cannot be read is never an empty one."""
    with pytest.raises(GatewayError) as refused:
        answered(dumps({"data": [{"embedding": vector, "index": 0}]}))
    assert refused.value.name == "PROVIDER_FAILED"


@pytest.mark.parametrize(
    ("wire", "param"),
    [
        ({"input": "a"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": []}, "input"),
        ({"model": "m", "input": [{}]}, "input[0]"),
        ({"model": "m", "input": [[1.5]]}, "input[0][0]"),
        ({"model": "m", "input": "a", "dimensions": 0}, "dimensions"),
    ],
)
def test_what_is_wrong_is_named(wire: dict[str, Any], param: str) -> None:
    """A request that cannot be read is refused, with the path of what is wrong."""
    with pytest.raises(GatewayError) as refused:
        read(wire)
    assert refused.value.param == param


def test_an_unknown_encoding_is_refused() -> None:
    """`encoding_format` has two words."""
    with pytest.raises(GatewayError, match="encoding_format"):
        openai.take_encoding(Object({"encoding_format": "int8"}))


def test_each_server_gets_its_own_form() -> None:
    """Voyage and Mistral call the length of the vectors otherwise; the task is told where there is a word for it."""
    request = read({"model": "m", "input": ["a", "b"], "dimensions": 8, "input_type": "search_query", "user": "u"})
    voyage, mistral, plain = [], [], []
    to_voyage = EmbeddingForm(dimensions="output_dimension", input_type=True, base64=True, tokens=False, user=False)
    to_mistral = EmbeddingForm(dimensions="output_dimension", user=False)

    assert openai.encode_embed_request(request, to_voyage, voyage) == {
        "model": "m",
        "input": ["a", "b"],
        "output_dimension": 8,
        "input_type": "query",
        "encoding_format": "base64",
    }
    assert openai.encode_embed_request(request, to_mistral, mistral)["output_dimension"] == 8
    assert openai.encode_embed_request(request, losses=plain)["user"] == "u"
    assert request.task == embeddings_pb2.EMBED_TASK_QUERY
    assert [loss.field for loss in voyage] == ["user"]
    assert [loss.field for loss in mistral] == ["input_type", "user"]
    assert [loss.field for loss in plain] == ["input_type"]


def test_what_only_others_embed() -> None:
    """Texts of a content are joined, a title goes before its document; media and tokens are refused where unknown."""
    request = EmbedRequest(model="m")
    item = request.inputs.add(title="T")
    item.content.parts.add(text="a")
    item.content.parts.add(text="b")
    losses: list[Loss] = []

    assert openai.encode_embed_request(request, losses=losses)["input"] == "T\na\nb"
    assert losses == [Loss("title", LossKind.APPROXIMATED)]
    item.content.parts.add().media.uri = "https://example.com/a.png"
    with pytest.raises(GatewayError, match=r"input\[0\]"):
        openai.encode_embed_request(request)
    with pytest.raises(GatewayError, match="tokens"):
        openai.encode_embed_request(read({"model": "m", "input": [1, 2]}), EmbeddingForm(tokens=False))


def test_another_dialects_fields_are_told() -> None:
    """What another dialect's caller said is left out and named."""
    request = read({"model": "m", "input": "a"})
    request.extras["gemini"] = '{"autoTruncate":true}'
    losses: list[Loss] = []

    assert "autoTruncate" not in openai.encode_embed_request(request, losses=losses)
    assert losses == [Loss("autoTruncate")]


def test_usage_of_voyage() -> None:
    """A server that tells only the total read all of it."""
    body = dumps({"data": [{"embedding": [0.5], "index": 0}], "usage": {"total_tokens": 5}})

    assert answered(body).usage.input_tokens == 5
    assert math.isclose(answered(body).embeddings[0].values[0], 0.5)
