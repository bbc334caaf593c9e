"""The OpenAPI document: valid, up to date, and true of what is served."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from trunkline.call import Call
from trunkline.core.status import status_of
from trunkline.errors import invalid_request
from trunkline.services import SERVICES
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse
from trunkline.web.native.encode import result_line, to_json
from trunkline.web.native.rules import rules_of
from trunkline.web.native.template import parse
from trunkline.web.openapi.build import build
from trunkline.web.openapi.comments import comments_of, compile_protos
from trunkline.web.openapi.document import document
from trunkline.web.openapi.operations import path_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def served() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(document())
    return parsed


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command that writes the document, in the root of the checkout."""
    command = [sys.executable, "-m", "trunkline.web.openapi", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def validator(served: dict[str, Any], pointer: str) -> Draft202012Validator:
    return Draft202012Validator({**served, "$ref": f"#{pointer}"})


def test_valid(served: dict[str, Any]) -> None:
    """The document is OpenAPI 3.1."""
    OpenAPIV31SpecValidator(served).validate()


def test_up_to_date() -> None:
    """The committed document is what the protos and the hand-written part give, byte by byte."""
    done = run("--check", "gen/openapi/openapi.json")

    assert (done.returncode, done.stderr) == (0, "")


def test_check_tells(tmp_path: Path) -> None:
    """`--check` fails on a file that is missing or differs, and writes nothing; without it the file is written."""
    path = tmp_path / "new" / "openapi.json"
    check = run("--check", str(path))
    write = run(str(path))

    assert (check.returncode, "out of date" in check.stderr) == (1, True)
    assert (write.returncode, path.read_bytes()) == (0, document())


def test_stable() -> None:
    """The same protos give the same bytes, which end with a newline."""
    protos = ROOT / "protos"
    comments = comments_of(compile_protos(protos, sorted(protos.rglob("*.proto"))))

    assert build(SERVICES, comments) == build(SERVICES, dict(reversed(comments.items())))
    assert build(SERVICES, comments).endswith(b"}\n")


def test_bad_protos(tmp_path: Path) -> None:
    """Protos that protoc refuses are an error."""
    (tmp_path / "bad.proto").write_text("message")
    with pytest.raises(ValueError, match="refuses"):
        compile_protos(tmp_path, [tmp_path / "bad.proto"])


def test_every_route(served: dict[str, Any]) -> None:
    """Each rule of the contract is described, and each operation has an id of its own."""
    for rule in rules_of(SERVICES):
        assert rule.method.lower() in served["paths"][path_of(rule.template)]
    ids = [operation["operationId"] for item in served["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))


def test_every_element_is_described(served: dict[str, Any]) -> None:
    """The comments of the protos reach the schemas."""
    schemas = {
        name: schema for name, schema in served["components"]["schemas"].items() if name.startswith("trunkline.")
    }
    bare = [
        f"{name}.{key}"
        for name, schema in schemas.items()
        for key, field in {"": schema, **schema.get("properties", {})}.items()
        if "description" not in field
    ]
    assert bare == []
    assert "`ROLE_TOOL`: The tools that were called." in schemas["trunkline.v1.Role"]["description"]


def test_answers_match(served: dict[str, Any]) -> None:
    """What the native surface writes matches the schemas: an answer, an event of a stream, an error."""
    response = ChatResponse(id="x")
    response.create_time.GetCurrentTime()
    part = response.choices.add().message.parts.add(text="a")
    part.logprobs.add(token="a", raw=b"a")
    part.cache.ttl.seconds = 5
    response.choices.add().message.parts.add().media.data = b"\xff"
    error = status_of(invalid_request("No.", "model"), Call("x", "native"))

    validator(served, "/components/schemas/trunkline.v1.ChatResponse").validate(json.loads(to_json(response)))
    validator(served, "/components/schemas/google.rpc.Status").validate(json.loads(to_json(error)))
    line = "/paths/~1trunkline~1v1~1chat:stream/post/responses/200/content/application~1json/schema"
    validator(served, line).validate(json.loads(result_line(ChatEvent(start=response))))


def test_requests_match(served: dict[str, Any]) -> None:
    """A request that the contract takes matches its schema, and a wrong one does not."""
    request = ChatRequest(model="a", stop_sequences=["x"])
    request.messages.add(role=3).parts.add(text="a")
    request.sampling.seed = 2**60
    value = json_format.MessageToDict(request)
    schema = validator(served, "/components/schemas/trunkline.v1.ChatRequest")

    assert schema.is_valid(value)
    assert not schema.is_valid({**value, "messages": "a"})
    assert not schema.is_valid({"messages": []})


def test_openai_schemas(served: dict[str, Any]) -> None:
    """The schemas of the OpenAI surface take what its clients send."""
    schema = validator(served, "/components/schemas/openai.ChatCompletionRequest")
    body = {
        "model": "a",
        "stop": ["x"],
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
        "metadata": {"k": "v"},
    }

    assert list(schema.iter_errors(body)) == []
    assert not schema.is_valid({**body, "messages": []})


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("/v1/chat:stream", "/v1/chat:stream"),
        ("/v1/{id=**}", "/v1/{id}"),
        ("/v1/{name=shelves/*}/books/{book}:read", "/v1/{name}/books/{book}:read"),
        ("/v1/*/x", "/v1/*/x"),
    ],
)
def test_path(template: str, expected: str) -> None:
    """A template is written as OpenAPI does, one parameter for each variable."""
    assert path_of(parse(template)) == expected
