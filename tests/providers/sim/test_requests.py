"""What the simulator makes of names, paths and bodies, good and bad."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Model
from providers.sim.asking import Got, ask, body_of, send

from trunkline.providers.sim.catalogue import MODELS
from trunkline.providers.sim.simulator import Simulator
from trunkline.providers.sim.transport import SimTransport


async def _get(transport: SimTransport, method: str, path: str) -> Got:
    reply = await transport.send(method, path, {}, None)
    return Got(reply.status, reply.headers, [chunk async for chunk in reply.chunks()])


async def test_models_are_listed(transport: SimTransport) -> None:
    """Every script and every fault, in OpenAI's shape."""
    listed = json.loads((await _get(transport, "GET", "/models")).body)
    assert listed["object"] == "list"
    assert [Model.model_validate(model).id for model in listed["data"]] == list(MODELS)


@pytest.mark.parametrize("name", ["echo", "fault/stall", "fault%2Fstall", "long:tokens=5"])
async def test_a_model_is_found_by_its_name(transport: SimTransport, name: str) -> None:
    """Parameters may ride along."""
    got = await _get(transport, "GET", f"/models/{name}")
    assert got.status == 200
    assert Model.model_validate_json(got.body).id == name.replace("%2F", "/")


@pytest.mark.parametrize(
    ("model", "near"),
    [("ehco", "`echo`"), ("fault/stal", "`fault/stall`"), ("jsn", "`json`"), ("fault/cut/ehco", "does not exist")],
)
async def test_an_unknown_model_is_not_found(transport: SimTransport, model: str, near: str) -> None:
    """The error is OpenAI's for an unknown model, and tells what may have been meant."""
    got = await ask(transport, model)
    assert (got.status, got.error["code"]) == (404, "model_not_found")
    assert near in got.error["message"]
    assert (await _get(transport, "GET", f"/models/{model}")).status == 404


@pytest.mark.parametrize("model", ["", "x" * 10_000, "gpt-4o", "fault/", "fault", "echo/echo", "fault/huge/echo"])
async def test_names_of_no_model(transport: SimTransport, model: str) -> None:
    """None of them is a model, whatever its shape."""
    assert (await ask(transport, model)).status == 404


@pytest.mark.parametrize(
    "model",
    [
        "echo:",
        "echo:delay",
        "echo:delay=",
        "echo:delay=x",
        "echo:delay=nan",
        "echo:delay=-1",
        "echo:delay=1e9",
        "echo:delay=1,delay=1",
        "echo:tokens=5",
        "long:tokens=0",
        "long:tokens=1.5",
        "long:tokens=" + "9" * 100,
        "fault/stall:megabytes=1",
        "echo:seed=99999999999999999999",
    ],
)
async def test_bad_parameters_are_refused(transport: SimTransport, model: str) -> None:
    """A parameter that is unknown, repeated, no number or out of bounds is an error that names `model`."""
    got = await ask(transport, model)
    assert (got.status, got.error["param"], got.error["code"]) == (400, "model", "invalid_model_parameter")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": "1"}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 1}, "top_logprobs"),
        ({"tools": [{"function": {}}]}, "tools[0].function"),
        ({"stop": [5]}, "stop[0]"),
    ],
)
async def test_bad_fields_are_refused(transport: SimTransport, fields: dict[str, Any], param: str) -> None:
    """The error names the field at fault."""
    got = await ask(transport, "echo", **fields)
    assert (got.status, got.error["type"], got.error["param"]) == (400, "invalid_request_error", param)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"model":"\xff","messages":[]}', b"[" * 100_000, b'{"x":' + b"[" * 100_000],
)
async def test_bodies_that_are_no_request(transport: SimTransport, body: bytes) -> None:
    """What cannot be read is refused in the same shape."""
    got = await send(transport, body)
    assert got.status == 400
    assert got.error["type"] == "invalid_request_error"


async def test_a_schema_that_nothing_satisfies(transport: SimTransport) -> None:
    """The error names where the schema was."""
    wanted = {"type": "json_schema", "json_schema": {"name": "it", "schema": {"type": "integer", "enum": ["a"]}}}
    got = await ask(transport, "json", response_format=wanted)
    assert (got.status, got.error["param"]) == (400, "response_format")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/chat/completions?x=1", 400),
        ("GET", "/chat/completions", 405),
        ("POST", "/models", 405),
        ("GET", "/nowhere", 404),
        ("POST", "/", 404),
        ("GET", "/modelsx", 404),
    ],
)
async def test_paths(transport: SimTransport, method: str, path: str, status: int) -> None:
    """Other paths and methods are errors in OpenAI's shape."""
    got = await _get(transport, method, path)
    assert (got.status, got.error["type"]) == (status, "invalid_request_error")


@given(st.binary(max_size=200) | st.text(max_size=40).map(body_of) | st.text().map(str.encode))
async def test_any_body_gets_an_answer(body: bytes) -> None:
    """No body makes the simulator fail."""
    answer = await Simulator().answer("POST", "/chat/completions", body)
    async for _ in answer.body:
        pass
    assert 200 <= answer.status < 500


async def test_text_that_is_no_unicode_is_answered(transport: SimTransport) -> None:
    """Half a surrogate pair, which JSON can hold and UTF-8 cannot, is refused or answered, not a failure."""
    assert (await ask(transport, "echo", "\ud83d")).status in (200, 400)
    tools = [{"function": {"name": "f", "parameters": {"const": "\ud83d"}}}]
    assert (await ask(transport, "tool", tools=tools)).status in (200, 400)
