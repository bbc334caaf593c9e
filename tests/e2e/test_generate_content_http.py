"""Google's surface on the wire: its paths, forms, errors, counts and embeddings."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from e2e.conftest import KEY, Running, Start

HELLO: dict[str, Any] = {"contents": [{"parts": [{"text": "Hello there"}]}]}


async def post(house: Running, path: str, body: Any, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=house.url) as http:
        return await http.post(path, json=body, headers=headers)


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/fake/echo:generateContent",
        "/v1/models/fake/echo:generateContent",
        "/v1alpha/models/fake%2Fecho:generateContent",
        "/v1beta/tunedModels/fake/echo:generateContent",
        "/v1beta1/projects/p/locations/l/publishers/google/models/fake/echo:generateContent",
        "/v1/publishers/google/models/fake/echo:generateContent",
    ],
)
async def test_every_path_that_clients_build(gateway: Running, path: str) -> None:
    """By the Gemini API in any version, or as Vertex AI has it; names of models may hold slashes."""
    reply = await post(gateway, path, HELLO)

    assert reply.status_code == 200
    assert reply.json()["candidates"][0]["content"]["parts"] == [{"text": "Hello there"}]
    assert reply.json()["usageMetadata"]["totalTokenCount"] == 6


async def test_a_stream_as_events_and_as_an_array(gateway: Running) -> None:
    """With `alt=sse` events without comments, else one JSON array."""
    path = "/v1beta/models/fake/echo:streamGenerateContent"
    events = await post(gateway, f"{path}?alt=sse", HELLO)
    array = await post(gateway, path, HELLO)

    chunks = [json.loads(line[6:]) for line in events.text.splitlines() if line]
    assert events.headers["content-type"].startswith("text/event-stream")
    assert array.headers["content-type"].startswith("application/json")
    for told in (chunks, array.json()):
        parts = [part for chunk in told for part in chunk["candidates"][0]["content"]["parts"]]
        assert "".join(part["text"] for part in parts) == "Hello there"
        assert told[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("query", ["?alt=sse", ""])
async def test_a_stream_that_is_cut(gateway: Running, query: str) -> None:
    """The last chunk is an error, and none has a finish reason."""
    reply = await post(gateway, f"/v1beta/models/fake/fault/cut:streamGenerateContent{query}", HELLO)
    text = reply.text
    chunks = json.loads(text) if not query else [json.loads(line[6:]) for line in text.splitlines() if line]

    assert chunks[-1]["error"]["code"] == 502
    assert not any("finishReason" in candidate for chunk in chunks for candidate in chunk.get("candidates", ()))


async def test_silence_is_no_comment(start: Start) -> None:
    """Google's clients fail on comments: an empty line keeps the connection open."""
    async with (
        start(http={"keep_alive": 0.05}) as gateway,
        httpx.AsyncClient(base_url=gateway.url) as http,
        http.stream("POST", "/v1beta/models/fake/fault/stall:streamGenerateContent?alt=sse", json=HELLO) as reply,
    ):
        seen = b""
        async for data in reply.aiter_raw():
            seen += data
            if seen.endswith(b"\n\n\r\n"):
                break
    assert not any(line.startswith(b":") for line in seen.splitlines())


async def test_keys(start: Start) -> None:
    """In Google's header or as a Bearer."""
    async with start(keys=[{"name": "team", "key": KEY}]) as gateway:
        path = "/v1beta/models/fake/echo:generateContent"
        refused = await post(gateway, path, HELLO)
        let_in = [
            await post(gateway, path, HELLO, **{"x-goog-api-key": KEY}),
            await post(gateway, path, HELLO, authorization=f"Bearer {KEY}"),
        ]

    assert [reply.status_code for reply in let_in] == [200, 200]
    assert (refused.status_code, refused.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


async def test_errors_have_googles_form(gateway: Running) -> None:
    """A status with details, among them the field at fault and the id of the request."""
    wrong = await post(
        gateway, "/v1beta/models/fake/echo:generateContent", {"contents": [{"role": "robot", "parts": []}]}
    )
    unknown = await post(gateway, "/v1beta/models/nobody/none:generateContent", HELLO)
    cached = await post(
        gateway, "/v1beta/models/fake/echo:generateContent", {**HELLO, "cachedContent": "cachedContents/1"}
    )
    method = await post(gateway, "/v1beta/models/fake/echo:predict", HELLO)

    assert [reply.status_code for reply in (wrong, unknown, cached, method)] == [400, 404, 400, 404]
    details = {detail["@type"].rpartition(".")[2]: detail for detail in wrong.json()["error"]["details"]}
    assert details["BadRequest"]["fieldViolations"][0]["field"] == "contents[0].role"
    assert details["RequestInfo"]["requestId"] == wrong.headers["x-request-id"]
    assert unknown.json()["error"]["status"] == "NOT_FOUND"
    assert "cachedContent" in cached.json()["error"]["message"]
    assert "generateContent" in method.json()["error"]["message"]


async def test_snake_case(gateway: Running) -> None:
    """Google's servers read both spellings."""
    body = {
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": "aGk_-w=="}}]}],
        "generation_config": {"max_output_tokens": 7},
    }
    await post(gateway, "/v1beta/models/fake/echo:generateContent", body)
    sent = json.loads(gateway.upstream.requests[-1].body)

    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert sent["messages"][1]["content"][0]["image_url"]["url"] == "data:image/png;base64,aGk/+w=="
    assert 7 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))


async def test_counts_and_vectors(gateway: Running) -> None:
    """Both forms of a count, one vector, and a batch of them."""
    models = "/v1beta/models"
    plain = await post(gateway, f"{models}/fake/echo:countTokens", HELLO)
    whole = await post(gateway, f"{models}/fake/echo:countTokens", {"generateContentRequest": HELLO})
    content = {"content": {"parts": [{"text": "fish"}]}}
    one = await post(gateway, f"{models}/fake/embed:embedContent", {**content, "outputDimensionality": 8})
    batch = await post(gateway, f"{models}/fake/embed:batchEmbedContents", {"requests": [content, content]})
    mixed = await post(
        gateway,
        f"{models}/fake/embed:batchEmbedContents",
        {"requests": [content, {**content, "outputDimensionality": 8}]},
    )

    assert plain.json()["totalTokens"] == whole.json()["totalTokens"] > 0
    assert plain.headers["x-trunkline-estimated"] == "totalTokens"
    assert len(one.json()["embedding"]["values"]) == 8
    assert [len(vector["values"]) for vector in batch.json()["embeddings"]] == [256, 256]
    assert mixed.status_code == 400


async def test_models_in_pages(gateway: Running) -> None:
    """As Google lists them, below every version."""
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        first = (await http.get("/v1beta/models?pageSize=1")).json()
        second = (await http.get(f"/v1beta/models?pageSize=1&pageToken={first['nextPageToken']}")).json()
        one = (await http.get("/v1beta/models/house-model")).json()

    assert [model["name"] for page in (first, second) for model in page["models"]] == [
        "models/house-model",
        "models/second-helps",
    ]
    assert "nextPageToken" not in second
    assert one["name"] == "models/house-model"


@pytest.mark.parametrize("path", ["models/fake/echo:generateContent", "models"])
async def test_the_key_may_stand_in_the_query(start: Start, path: str) -> None:
    """As Google's own examples have it; a wrong one is refused in Google's form."""
    async with start(keys=[{"name": "team", "key": KEY}]) as gateway, httpx.AsyncClient(base_url=gateway.url) as http:
        method = "POST" if ":" in path else "GET"
        let_in = await http.request(method, f"/v1/{path}?key={KEY}", json=HELLO)
        refused = await http.request(method, f"/v1/{path}?key=wrong", json=HELLO)

    assert let_in.status_code == 200
    assert let_in.json().keys() & {"candidates", "models"}
    assert (refused.status_code, refused.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


async def test_what_is_not_served_is_refused_in_googles_form(gateway: Running) -> None:
    """Files and cached contents, which only Google keeps."""
    for path, why in (
        ("/v1beta/files", "Files are not kept"),
        ("/upload/v1beta/files", "Files are not kept"),
        ("/v1beta/cachedContents", "Contents are not cached"),
        ("/v1beta/interactions", "Unknown request URL"),
    ):
        reply = await post(gateway, path, {})
        assert reply.status_code == 404
        assert reply.json()["error"]["message"].startswith(why)
        assert (reply.json()["error"]["code"], reply.json()["error"]["status"]) == (404, "NOT_FOUND")


async def test_no_contents(gateway: Running) -> None:
    """The error names the caller's own field."""
    for body in ({}, {"contents": []}):
        reply = await post(gateway, "/v1beta/models/fake/echo:generateContent", body)
        assert reply.status_code == 400
        assert "`contents`" in reply.json()["error"]["message"]
