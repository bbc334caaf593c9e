"""Embeddings at Vertex AI: what the contract asks for is written, and its answers are read."""

from __future__ import annotations

from array import array

import pytest
from wire.recordings import Recording, recordings

from trunkline.call import Loss, LossKind
from trunkline.dialects import gemini
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1 import embeddings_pb2
from trunkline.v1.embeddings_pb2 import EmbedRequest

_OURS = [one for one in recordings() if one.id.startswith("vertex/embeddings/")]


@pytest.mark.parametrize("recording", [one for one in _OURS if one.request is not None], ids=lambda one: one.id)
def test_recorded_requests(recording: Recording) -> None:
    """A recorded request is what its texts and their task are written as."""
    assert recording.request is not None
    sent = loads(recording.request)
    request = EmbedRequest()
    for instance in sent["instances"]:
        request.inputs.add(text=instance["content"])
        if instance.get("task_type") == "RETRIEVAL_DOCUMENT":
            request.task = embeddings_pb2.EMBED_TASK_DOCUMENT
    assert gemini.encode_vertex_embed(request, "predict", []) == sent


@pytest.mark.parametrize("recording", [one for one in _OURS if not one.is_error], ids=lambda one: one.id)
def test_recorded_answers(recording: Recording) -> None:
    """Each vector is read, and the tokens of all are counted; what Google bills by stays as it is."""
    said = loads(recording.body)
    response = gemini.decode_vertex_embed(Object(loads(recording.body), lenient=True), "predict", "m")
    found = [one["embeddings"] for one in said["predictions"]]

    assert [list(one.values) for one in response.embeddings] == [list(array("f", one["values"])) for one in found]
    assert response.usage.input_tokens == sum(one["statistics"]["token_count"] for one in found)
    assert response.model == "m"
    assert loads(response.extras["gemini"]) == {"metadata": said["metadata"]}


@pytest.mark.parametrize(
    ("model", "method", "one"),
    [
        ("text-embedding-005", "predict", False),
        ("text-multilingual-embedding-002", "predict", False),
        ("textembedding-gecko@003", "predict", False),
        ("123", "predict", False),
        ("gemini-embedding-001", "predict", True),
        ("gemini-embedding-2-preview", "embedContent", True),
        ("multilingual-e5-large-instruct-maas", "embedContent", True),
    ],
)
def test_the_method_of_a_model(model: str, method: str, one: bool) -> None:
    """The newer models have one of their own; those of Gemini's family take one input."""
    assert gemini.embed_method_of(model) == method
    assert gemini.takes_one(model) is one


def test_predict() -> None:
    """A document has its title, its task and its length; what else the caller of Google said goes with the settings."""
    request = EmbedRequest(user="u", task=embeddings_pb2.EMBED_TASK_DOCUMENT, dimensions=64)
    request.inputs.add(title="T", text="a")
    content = request.inputs.add().content
    content.parts.add(text="b")
    content.parts.add(text="c")
    request.extras["gemini"] = '{"autoTruncate":false}'
    losses: list[Loss] = []

    assert gemini.encode_vertex_embed(request, "predict", losses) == {
        "instances": [
            {"task_type": "RETRIEVAL_DOCUMENT", "title": "T", "content": "a"},
            {"task_type": "RETRIEVAL_DOCUMENT", "content": "b\nc"},
        ],
        "parameters": {"outputDimensionality": 64, "autoTruncate": False},
    }
    assert losses == [Loss("user")]


def test_a_title_of_no_document() -> None:
    """Google takes none: it goes before the text, and is named."""
    request = EmbedRequest(task=embeddings_pb2.EMBED_TASK_QUERY)
    request.inputs.add(title="T", text="a")
    losses: list[Loss] = []
    wire = gemini.encode_vertex_embed(request, "predict", losses)
    assert wire == {"instances": [{"task_type": "RETRIEVAL_QUERY", "content": "T\na"}]}
    assert losses == [Loss("title", LossKind.APPROXIMATED)]


def test_embed_content() -> None:
    """Texts and media are embedded together, and the settings stand apart from them."""
    request = EmbedRequest(task=embeddings_pb2.EMBED_TASK_CLUSTERING, dimensions=64)
    content = request.inputs.add().content
    content.parts.add(text="a")
    image = content.parts.add().media
    image.media_type, image.data = "image/png", b"\0"
    assert loads(dumps(gemini.encode_vertex_embed(request, "embedContent", []))) == {
        "content": {"parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}}]},
        "embedContentConfig": {"taskType": "CLUSTERING", "outputDimensionality": 64},
    }
    with pytest.raises(GatewayError, match=r"`input\[0\]` must be a text"):
        gemini.encode_vertex_embed(request, "predict", [])


def test_an_answer_to_embed_content() -> None:
    """One vector, with what was used."""
    body = {"embedding": {"values": [1.0, 0.5]}, "usageMetadata": {"promptTokenCount": 3}}
    response = gemini.decode_vertex_embed(Object(body, lenient=True), "embedContent", "m")
    assert [list(one.values) for one in response.embeddings] == [[1.0, 0.5]]
    assert response.usage.input_tokens == 3


@pytest.mark.parametrize(
    "body", [{}, {"predictions": []}, {"predictions": [{}]}, {"predictions": [{"embeddings": {"values": ["x"]}}]}]
)
def test_answers_without_vectors(body: dict[str, object]) -> None:
    """They are the provider's fault."""
    with pytest.raises(GatewayError) as caught:
        gemini.decode_vertex_embed(Object(loads(dumps(body)), lenient=True), "predict", "m")
    assert caught.value.name == "PROVIDER_FAILED"
