"""The gateway's own services over HTTP: answers, streams, errors, headers."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from google.api import annotations_pb2
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from trunkline.admin.keys import KeyDesk
from trunkline.admin.rules import RuleDesk
from trunkline.call import Attempt, Call, Loss
from trunkline.core.fold import fold
from trunkline.errors import TABLE, GatewayError
from trunkline.services import ADMIN, SERVICES, USAGE
from trunkline.usage.usage import Usage
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse
from trunkline.v1.content_pb2 import ROLE_USER
from trunkline.v1.errors_pb2 import ErrorReason
from trunkline.web.native.rules import rules_of

HELLO = {"model": "a", "messages": [{"role": "ROLE_USER", "parts": [{"text": "hello"}]}]}
CHAT = "/trunkline/v1/chat"
STREAM = "/trunkline/v1/chat:stream"


def hello() -> ChatRequest:
    request = ChatRequest(model="a")
    request.messages.add(role=ROLE_USER).parts.add(text="hello")
    return request


def reason_of(status: dict[str, Any]) -> str:
    """The reason in the `ErrorInfo` of a status."""
    (info,) = [detail for detail in status["details"] if detail["@type"].endswith("/google.rpc.ErrorInfo")]
    assert info["domain"] == "trunkline"
    return str(info["reason"])


async def test_unary(client: httpx.AsyncClient, gateway: Any, observer: Any) -> None:
    """A unary RPC gives what the gateway's method gives, and its record tells how it came."""
    answer = await client.post(CHAT, json=HELLO)

    direct = await gateway.chat(hello(), Call("x", "native"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert json_format.ParseDict(answer.json(), ChatResponse()) == direct
    (call,) = observer.ended
    assert (call.surface, call.operation, call.outcome) == ("native", "chat", "ok")


async def test_both_names(client: httpx.AsyncClient, provider: Any) -> None:
    """Fields are read by their camelCase and their proto names, and written in camelCase with zero values."""
    await client.post(CHAT, json={**HELLO, "maxOutputTokens": 5})
    answer = await client.post(CHAT, json={**HELLO, "max_output_tokens": 5, "sampling": {"seed": "12"}})

    assert [request.max_output_tokens for request in provider.requests] == [5, 5]
    assert provider.requests[1].sampling.seed == 12
    choice = answer.json()["choices"][0]
    assert (choice["index"], choice["finish"]["nativeReason"], choice["extras"]) == (0, "", {})
    assert "outputTokens" not in answer.json()["usage"], "a field with presence that is unset is not zero"


async def test_stream(client: httpx.AsyncClient, provider: Any, gateway: Any) -> None:
    """A stream is a line for each event, and folding them gives the unary answer."""
    async with client.stream("POST", STREAM, json=HELLO) as answer:
        lines = [json.loads(line) async for line in answer.aiter_lines()]

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    events = [json_format.ParseDict(line["result"], ChatEvent()) for line in lines]
    assert fold(events) == await gateway.chat(hello(), Call("x", "native"))


async def test_stream_is_not_held_back(client: httpx.AsyncClient, provider: Any) -> None:
    """A line is there before the next event is."""
    first_read = asyncio.Event()

    async def wait() -> None:
        await first_read.wait()

    provider.after_start = wait
    async with client.stream("POST", STREAM, json=HELLO) as answer:
        lines = answer.aiter_lines()
        assert "start" in json.loads(await anext(lines))["result"]
        first_read.set()
        assert len([line async for line in lines]) == 5


async def test_stream_fails_late(client: httpx.AsyncClient, provider: Any, observer: Any) -> None:
    """An error after the first message is the last line, and the connection stays usable."""

    async def fail() -> None:
        raise GatewayError(errors_pb2.ERROR_REASON_RATE_LIMITED, "Slow down.", retry_after=timedelta(seconds=2))

    provider.after_start = fail
    answer = await client.post(STREAM, json=HELLO)

    first, last = [json.loads(line) for line in answer.text.splitlines()]
    assert (answer.status_code, list(first), list(last)) == (200, ["result"], ["error"])
    assert (last["error"]["code"], last["error"]["message"]) == (8, "Slow down.")
    assert reason_of(last["error"]) == "RATE_LIMITED"
    assert observer.ended[0].outcome == "rate_limited"


async def test_stream_fails_early(client: httpx.AsyncClient) -> None:
    """An error before the first message has an HTTP status, and is wrapped as grpc-gateway wraps it."""
    answer = await client.post(STREAM, json={**HELLO, "model": "missing"})

    assert (answer.status_code, list(answer.json())) == (404, ["error"])
    assert reason_of(answer.json()["error"]) == "NOT_FOUND"


async def test_unexpected_failures(client: httpx.AsyncClient, provider: Any, observer: Any) -> None:
    """A fault of the gateway is told as INTERNAL, without its inside, before and within a stream."""

    async def fault(attempt: Attempt) -> None:
        raise KeyError("inside")

    async def late_fault() -> None:
        raise KeyError("inside")

    provider.after_start = late_fault
    late = await client.post(STREAM, json=HELLO)
    provider.before = fault
    early = await client.post(CHAT, json=HELLO)

    assert (early.status_code, reason_of(early.json())) == (500, "INTERNAL")
    assert reason_of(json.loads(late.text.splitlines()[-1])["error"]) == "INTERNAL"
    assert "inside" not in early.text + late.text
    assert [call.outcome for call in observer.ended] == ["internal", "internal"]


@pytest.mark.parametrize("reason", sorted(TABLE))
async def test_errors(reason: ErrorReason.ValueType, client: httpx.AsyncClient, provider: Any) -> None:
    """Every reason is a status in JSON with the HTTP status of its row."""

    async def fail(attempt: Attempt) -> None:
        raise GatewayError(reason, "Why.", param="model", retry_after=timedelta(seconds=1.5), provider="p")

    provider.before = fail
    answer = await client.post(CHAT, json=HELLO)

    row = TABLE[reason]
    status = answer.json()
    assert (answer.status_code, status["code"], status["message"]) == (row.http, row.grpc, "Why.")
    assert f"ERROR_REASON_{reason_of(status)}" == ErrorReason.Name(reason)
    kinds = {detail["@type"].rpartition(".")[2] for detail in status["details"]}
    assert kinds == {"ErrorInfo", "RetryInfo", "BadRequest"}
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, 3),
        (b"\xff", 400, 3),
        (b"[]", 400, 3),
        (b"null", 400, 3),
        (b"[" * 50_000, 400, 3),
        (b"", 400, 3),
        (b'{"model": 5}', 400, 3),
        (b'{"model":"a","messages":[{"role":"ROLE_USER","parts":[{"text":5}]}]}', 400, 3),
        (b" " * (2**20 + 1), 413, 3),
        (b"[" + b"0," * 300_000 + b"0]", 413, 3),
    ],
)
async def test_bad_bodies(body: bytes, status: int, code: int, client: httpx.AsyncClient) -> None:
    """A body that cannot be read is the client's error, never the gateway's."""
    answer = await client.post(CHAT, content=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_slow_body(url: str, observer: Any) -> None:
    """A body that does not come within the deadline ends the call."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /trunkline/v1/chat HTTP/1.1\r\nHost: x\r\nGrpc-Timeout: 1m\r\nContent-Length: 10\r\n\r\n{")

    assert (await reader.readline()).startswith(b"HTTP/1.1 504 ")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "path", ["/trunkline/v1/nothing", "/trunkline/", "/trunkline/v1/chat/", "/trunkline/v1/chat:x"]
)
async def test_unknown_path(path: str, client: httpx.AsyncClient, observer: Any) -> None:
    """An unknown path is NOT_FOUND, and recorded."""
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, 5)
    assert observer.ended[0].outcome == "not_found"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_wrong_method(method: str, client: httpx.AsyncClient) -> None:
    """A wrong method is UNIMPLEMENTED and 501, as in grpc-gateway."""
    answer = await client.request(method, CHAT)

    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (501, 12, "POST")


@pytest.mark.parametrize(("path", "expected"), [("a", "a"), ("b/c", "b/c"), ("b%2Fc", "b/c"), ("d:e", "d:e")])
async def test_models(path: str, expected: str, client: httpx.AsyncClient) -> None:
    """A model is found by its name, slashes and colons included, escaped or not."""
    answer = await client.get(f"/trunkline/v1/models/{path}")

    assert (answer.json()["id"], answer.json()["providers"]) == (expected, ["script"])


async def test_list_models(client: httpx.AsyncClient) -> None:
    """Pages of models are asked for in the query."""
    first = (await client.get("/trunkline/v1/models?pageSize=2")).json()
    second = (await client.get(f"/trunkline/v1/models?page_size=2&page_token={first['nextPageToken']}")).json()

    assert [model["id"] for page in (first, second) for model in page["models"]] == ["a", "b/c", "d:e"]
    assert second["nextPageToken"] == ""


async def test_request_metadata(client: httpx.AsyncClient, observer: Any) -> None:
    """`Grpc-Metadata-X` is metadata `x`, a header of its own name wins, and the id comes back under both names."""
    prefixed = await client.get(
        "/trunkline/v1/models",
        headers={"Grpc-Metadata-X-Request-Id": "id-1", "Grpc-Metadata-Authorization": "Bearer ann"},
    )
    both = await client.get(
        "/trunkline/v1/models", headers={"Grpc-Metadata-X-Request-Id": "id-1", "X-Request-Id": "id-2"}
    )

    assert [answer.headers["grpc-metadata-x-request-id"] for answer in (prefixed, both)] == ["id-1", "id-2"]
    assert [answer.headers["x-request-id"] for answer in (prefixed, both)] == ["id-1", "id-2"]
    assert [call.caller for call in observer.ended] == ["ann", ""]


async def test_wrong_key(client: httpx.AsyncClient) -> None:
    """A wrong key is refused before the body is read."""
    answer = await client.post(CHAT, content=b"{", headers={"Authorization": "Bearer wrong"})

    assert (answer.status_code, answer.json()["code"], answer.headers["www-authenticate"]) == (401, 16, "Bearer")


@pytest.mark.parametrize(
    ("text", "seconds"), [("10S", 10), ("100m", 0.1), ("1H", 3600), ("2M", 120), ("7u", 7e-6), ("5n", 5e-9)]
)
async def test_timeout(text: str, seconds: float, client: httpx.AsyncClient, observer: Any) -> None:
    """`Grpc-Timeout` is the deadline of the call."""
    await client.get("/trunkline/v1/models", headers={"Grpc-Timeout": text})

    (call,) = observer.ended
    # As fine as a clock that has run for weeks can tell.
    assert call.deadline - call.started == pytest.approx(seconds, abs=1e-8)


@pytest.mark.parametrize("text", ["10", "S", "10s", "-1S", "123456789S", "1.5S", ""])
async def test_bad_timeout(text: str, client: httpx.AsyncClient) -> None:
    """A malformed `Grpc-Timeout` is refused."""
    answer = await client.get("/trunkline/v1/models", headers={"Grpc-Timeout": text})

    assert (answer.status_code, "`Grpc-Timeout`" in answer.json()["message"]) == (400, True)


async def test_deadline(client: httpx.AsyncClient, provider: Any) -> None:
    """A provider that does not answer in time is given up at the deadline."""

    async def hang(attempt: Attempt) -> None:
        await asyncio.Event().wait()

    provider.before = hang
    answer = await client.post(CHAT, json=HELLO, headers={"Grpc-Timeout": "10m"})

    assert (answer.status_code, answer.json()["code"]) == (504, 4)


async def test_client_leaves(url: str, provider: Any, observer: Any) -> None:
    """A client that goes away in a stream stops the provider, and the call is recorded as cancelled, once."""

    async def hang() -> None:
        await asyncio.Event().wait()

    provider.after_start = hang
    async with (
        httpx.AsyncClient(base_url=url, trust_env=False) as leaving,
        leaving.stream("POST", STREAM, json=HELLO) as answer,
    ):
        await anext(answer.aiter_lines())
    await provider.closed.wait()
    await observer.over.wait()

    assert [call.outcome for call in observer.ended] == ["cancelled"]


async def raw(url: str, *requests: str) -> bytes:
    """The bytes that the server sends on one connection that asks for `requests` and then ends."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps(HELLO)
    for request in requests:
        writer.write(f"{request}Host: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    text = await reader.read()
    writer.close()
    await writer.wait_closed()
    return text


@pytest.mark.parametrize("path", [CHAT, STREAM])
async def test_trailers(path: str, url: str, provider: Any) -> None:
    """A client that reads trailers gets them after the body, and the connection goes on; others get headers alone."""

    async def lose(attempt: Attempt) -> None:
        attempt.losses.append(Loss("top_logprobs"))

    provider.before = lose
    text = await raw(
        url,
        f"POST {path} HTTP/1.1\r\nTE: trailers\r\n",
        f"POST {path} HTTP/1.1\r\nConnection: close\r\n",
    )

    first, second = text.split(b"HTTP/1.1 200 OK\r\n")[1:]
    head, _, body = first.lower().partition(b"\r\n\r\n")
    assert b"trailer: grpc-trailer-x-request-id, " in head
    assert b"grpc-metadata-x-trunkline-dropped: top_logprobs\r\n" in head
    assert body.endswith(b"\r\n\r\n")
    last = body[body.rindex(b"\r\n0\r\n") :]
    assert b"grpc-trailer-x-trunkline-dropped: top_logprobs\r\n" in last
    assert b"grpc-trailer" not in second.lower()


@pytest.mark.parametrize("path", [CHAT, STREAM])
async def test_http_1_0(path: str, url: str) -> None:
    """HTTP/1.0 has no chunks and no trailers: the body ends with the connection."""
    text = await raw(url, f"POST {path} HTTP/1.0\r\nTE: trailers\r\n")

    head, _, body = text.partition(b"\r\n\r\n")
    assert b" 200 " in head
    assert b"chunked" not in head.lower()
    assert body.strip().endswith(b"}")


async def test_unknown_fields(client: httpx.AsyncClient) -> None:
    """A field that the request does not have is ignored and named, whatever its name; a strict call refuses it."""
    body = {**HELLO, "tempurature\r\nx: y, ü": 1}
    lax = await client.post(CHAT, json=body)
    strict = await client.post(CHAT, json=body, headers={"x-trunkline-strict": "1"})

    assert lax.status_code == 200
    assert lax.headers["x-trunkline-dropped"].startswith("tempurature??x:?y")
    assert strict.status_code == 400


async def test_every_rpc_has_its_method(gateway: Any) -> None:
    """Each RPC of the contract is answered by a method of the gateway, or of the desk of its service."""
    desks = {USAGE: Usage, **dict(zip(ADMIN, (KeyDesk, RuleDesk), strict=True))}
    for service in SERVICES:
        answers = desks.get(service, gateway)
        assert all(callable(getattr(answers, rule.answer)) for rule in rules_of([service]))


async def test_empty_stream(shelf_client: httpx.AsyncClient) -> None:
    """A stream without messages is an empty body."""
    answer = await shelf_client.get("/shelf/v1/watch")

    assert (answer.status_code, answer.content) == (200, b"")


async def test_stream_of_a_get(shelf_client: httpx.AsyncClient) -> None:
    """Any RPC that streams does so, with 64-bit integers as strings."""
    answer = await shelf_client.get("/shelf/v1/watch?number=2")

    assert [json.loads(line)["result"]["number"] for line in answer.text.splitlines()] == ["0", "1"]


@pytest.mark.parametrize(
    ("http", "problem"),
    [
        ({"get": "/{a}"}, "literal"),
        ({"get": "/x/{b}"}, "no field that a path can fill"),
        ({"get": "/x/{me}"}, "no field that a path can fill"),
        ({"get": "/x/{a.b}"}, "no field that a path can fill"),
        ({"get": "x"}, "slash"),
        ({"post": "/x", "body": "b"}, "no field `b`"),
        ({"body": "*"}, "names no path"),
    ],
)
def test_bad_rules(http: dict[str, str], problem: str) -> None:
    """A rule that cannot be served is refused when it is read."""
    file = FileDescriptorProto(name="bad.proto", package="bad", syntax="proto3")
    message = file.message_type.add(name="M")
    message.field.add(name="a", number=1, type=9, label=1, json_name="a")
    message.field.add(name="me", number=2, type=11, label=1, type_name=".bad.M", json_name="me")
    method = file.service.add(name="S").method.add(name="Do", input_type=".bad.M", output_type=".bad.M")
    json_format.ParseDict(http, method.options.Extensions[annotations_pb2.http])
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())

    with pytest.raises(ValueError, match=problem):
        rules_of([pool.FindServiceByName("bad.S")])
