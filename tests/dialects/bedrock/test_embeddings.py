"""Embeddings at Bedrock: what the contract asks for is written as the model has it, and its answers are read."""

from __future__ import annotations

from array import array
from urllib.parse import unquote

import pytest
from wire.recordings import Recording, recordings

from trunkline.call import Loss, LossKind
from trunkline.dialects import bedrock
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1 import embeddings_pb2
from trunkline.v1.embeddings_pb2 import EmbedRequest

_RECORDED = [pytest.param(one, id=one.id) for one in recordings() if one.id.startswith("bedrock/embeddings/")]
_TASKS = {"search_query": "QUERY", "search_document": "DOCUMENT"}


@pytest.mark.parametrize("recording", _RECORDED)
def test_recordings(recording: Recording) -> None:
    """A recorded request is what its texts, its task and its length are written as; the vectors of its answer are read,
    and how much was read of the request."""
    form = bedrock.embed_form_of(unquote(recording.path))
    assert form is not None
    assert recording.request is not None
    sent, said = loads(recording.request), loads(recording.body)
    request = EmbedRequest()
    for text in sent.get("texts") or [sent["inputText"]]:
        request.inputs.add(text=text)
    if "input_type" in sent:
        task = sent["input_type"]
        request.task = embeddings_pb2.EmbedTask.Value(f"EMBED_TASK_{_TASKS.get(task, task.upper())}")
    if "dimensions" in sent:
        request.dimensions = sent["dimensions"]
    losses: list[Loss] = []
    written = bedrock.encode_embed_request(request, form, losses)
    response = bedrock.decode_embed_response(Object(loads(recording.body), lenient=True), form, recording.headers)

    sent = {"embedding_types": ["float"], **sent}  # what it is where nothing is said
    assert {key: sent[key] for key in written} == written
    assert losses == []
    told = said.get("embeddings", said.get("embedding"))
    vectors = told["float"] if isinstance(told, dict) else told if isinstance(told[0], list) else [told]
    assert [list(one.values) for one in response.embeddings] == [list(array("f", vector)) for vector in vectors]
    assert response.usage.input_tokens == int(recording.headers["x-amzn-bedrock-input-token-count"])


@pytest.mark.parametrize(
    ("model", "form"),
    [
        ("amazon.titan-embed-text-v2:0", "titan-2"),
        ("amazon.titan-embed-text-v1", "titan-1"),
        ("amazon.titan-embed-g1-text-02", "titan-1"),
        ("cohere.embed-english-v3", "cohere-3"),
        ("cohere.embed-multilingual-v3", "cohere-3"),
        ("us.cohere.embed-v4:0", "cohere-4"),
        ("arn:aws:bedrock:us-east-1::foundation-model/cohere.embed-v4:0", "cohere-4"),
        ("amazon.nova-pro-v1:0", None),
        ("amazon.titan-embed-image-v1", None),
    ],
)
def test_the_language_of_a_model(model: str, form: str | None) -> None:
    """It is that of its publisher and version."""
    assert bedrock.embed_form_of(model) == form


def _everything() -> EmbedRequest:
    request = EmbedRequest(user="u", task=embeddings_pb2.EMBED_TASK_SIMILARITY, dimensions=256)
    request.inputs.add(title="T", text="a")
    request.extras["openai"] = '{"truncate":"END"}'
    return request


@pytest.mark.parametrize(
    ("form", "wire", "lost"),
    [
        ("titan-1", {"inputText": "T\na"}, {"truncate", "dimensions", "input_type", "user", "title"}),
        ("titan-2", {"inputText": "T\na", "dimensions": 256}, {"truncate", "input_type", "user", "title"}),
        (
            "cohere-3",
            {"texts": ["T\na"], "input_type": "search_document", "embedding_types": ["float"]},
            {"truncate", "dimensions", "input_type", "user", "title"},
        ),
        (
            "cohere-4",
            {
                "inputs": [{"content": [{"type": "text", "text": "T"}, {"type": "text", "text": "a"}]}],
                "input_type": "search_document",
                "embedding_types": ["float"],
                "output_dimension": 256,
            },
            {"truncate", "input_type", "user", "title"},
        ),
    ],
)
def test_what_is_lost(form: bedrock.EmbedForm, wire: dict[str, object], lost: set[str]) -> None:
    """Whatever a model cannot take is named."""
    losses: list[Loss] = []
    assert bedrock.encode_embed_request(_everything(), form, losses) == wire
    assert {loss.field for loss in losses} == lost
    assert Loss("title", LossKind.APPROXIMATED) in losses


def test_images() -> None:
    """The newer model takes them by their data alone, as Bedrock writes them; the others embed no images."""
    request = EmbedRequest()
    image = request.inputs.add().content.parts.add().media
    image.media_type, image.data = "image/png", b"\0"
    wire = bedrock.encode_embed_request(request, "cohere-4", [])
    block = {"type": "image_url", "image_url": "data:image/png;base64,AA=="}
    assert wire["inputs"] == [{"content": [block]}]

    for form in ("titan-1", "titan-2", "cohere-3"):
        with pytest.raises(GatewayError, match=r"`input\[0\]` must be a text"):
            bedrock.encode_embed_request(request, form, [])
    image.uri = "https://example.org/a.png"
    with pytest.raises(GatewayError, match=r"`input\[0\]` holds an address"):
        bedrock.encode_embed_request(request, "cohere-4", [])


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("titan-2", {}),
        ("titan-2", {"embedding": "AAAA!"}),
        ("titan-1", {"embedding": [None]}),
        ("cohere-3", {"embeddings": [["x"]]}),
        ("cohere-4", {"embeddings": {"int8": [[1]]}}),
    ],
)
def test_answers_without_vectors(form: bedrock.EmbedForm, body: dict[str, object]) -> None:
    """They are the provider's fault."""
    with pytest.raises(GatewayError) as caught:
        bedrock.decode_embed_response(Object(loads(dumps(body)), lenient=True), form, {})
    assert caught.value.name == "PROVIDER_FAILED"


@pytest.mark.parametrize("told", ["", "many", "-1", "9" * 40, "\u0663"])
def test_a_count_that_is_none(told: str) -> None:
    """A header that holds no count counts nothing; the body's own stays."""
    wire = Object({"embedding": [1.0], "inputTextTokenCount": 3}, lenient=True)
    headers = {"x-amzn-bedrock-input-token-count": told}
    assert bedrock.decode_embed_response(wire, "titan-2", headers).usage.input_tokens == 3
