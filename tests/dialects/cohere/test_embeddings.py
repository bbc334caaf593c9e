"""Cohere's embeddings: what the contract asks for is written, and its answers are read."""

from __future__ import annotations

from array import array

import pytest
from wire.recordings import Recording, recordings

from trunkline.call import Loss, LossKind
from trunkline.dialects import cohere
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1 import embeddings_pb2
from trunkline.v1.embeddings_pb2 import EmbedRequest

_RECORDED = [pytest.param(one, id=one.id) for one in recordings() if one.id.startswith("cohere/embeddings/")]


@pytest.mark.parametrize("recording", _RECORDED)
def test_recordings(recording: Recording) -> None:
    """A recorded request is what its texts and its task are written as, and the vectors of its answer are read."""
    assert recording.request is not None
    sent, said = loads(recording.request), loads(recording.body)
    tasks = {"search_query": "QUERY", "search_document": "DOCUMENT"}
    request = EmbedRequest(task=embeddings_pb2.EmbedTask.Value(f"EMBED_TASK_{tasks[sent['input_type']]}"))
    for text in sent["texts"]:
        request.inputs.add(text=text)
    losses: list[Loss] = []
    written = cohere.encode_embed_request(request, losses)
    response = cohere.decode_embed_response(Object(loads(recording.body), lenient=True))

    sent = {"embedding_types": ["float"], **sent}  # what it is where nothing is said
    assert {key: sent[key] for key in written} == written
    assert not losses
    assert [list(one.values) for one in response.embeddings] == [
        list(array("f", vector)) for vector in said["embeddings"]["float"]
    ]
    assert response.usage.input_tokens == said["meta"]["billed_units"]["input_tokens"]


def test_images_and_titles() -> None:
    """Texts and images of one input are embedded together; a title is a text before them."""
    request = EmbedRequest(user="u", task=embeddings_pb2.EMBED_TASK_SIMILARITY, dimensions=256)
    content = request.inputs.add(title="T").content
    content.parts.add(text="a")
    image = content.parts.add().media
    image.media_type, image.uri = "image/png", "data:image/png;base64,AA=="
    losses: list[Loss] = []

    assert cohere.encode_embed_request(request, losses) == {
        "input_type": "search_document",
        "embedding_types": ["float"],
        "inputs": [
            {
                "content": [
                    {"type": "text", "text": "T"},
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                ]
            }
        ],
        "output_dimension": 256,
    }
    assert {(loss.field, loss.kind) for loss in losses} == {
        ("input_type", LossKind.APPROXIMATED),
        ("title", LossKind.APPROXIMATED),
        ("user", LossKind.DROPPED),
    }


def test_what_cannot_be_embedded() -> None:
    """Tokens and sounds are refused, and an answer without vectors is the provider's fault."""
    request = EmbedRequest()
    request.inputs.add().tokens.ids.append(1)
    with pytest.raises(GatewayError, match=r"input\[0\]"):
        cohere.encode_embed_request(request, [])
    with pytest.raises(GatewayError, match="no vectors"):
        cohere.decode_embed_response(Object(loads(dumps({"embeddings": {"int8": [[1]]}})), lenient=True))
