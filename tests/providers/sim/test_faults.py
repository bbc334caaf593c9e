"""How the wire breaks."""

from __future__ import annotations

import asyncio
import json

import pytest
from openai.types.chat import ChatCompletionChunk
from providers.sim.asking import Got, ask, body_of, stream

from trunkline.errors import GatewayError
from trunkline.providers.sim.faults import FAULTS
from trunkline.providers.sim.transport import SimTransport
from trunkline.v1 import errors_pb2

_UNTIL_CANCELLED = {"hang", "stall"}
_BROKEN = {"refuse", "cut"}
_WHOLE = {"duplicate-usage", "slow-drip", "split-utf8", "huge", "huge-line", "wrong-content-type"}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("streamed", [False, True])
async def test_no_fault_leaves_a_reply_open(transport: SimTransport, name: str, streamed: bool) -> None:
    """Each fault, unary and streamed, ends in an answer, a gateway error or a wait that can be cancelled."""
    model = f"fault/{name}:megabytes=1" if name.startswith("huge") else f"fault/{name}"
    model = "fault/slow-drip:delay=0" if name == "slow-drip" else model
    asked = asyncio.create_task(ask(transport, model, stream=streamed))
    if name in _UNTIL_CANCELLED:
        await transport.replies_reach(1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    elif name in _BROKEN:
        with pytest.raises(GatewayError):
            await asked
    else:
        await asked
    assert transport.open_replies == 0


@pytest.mark.parametrize("name", sorted(_WHOLE))
async def test_what_is_only_odd_is_whole(transport: SimTransport, name: str) -> None:
    """Faults of the manner leave the answer whole, unary and streamed."""
    tail = ":megabytes=1" if name.startswith("huge") else ":delay=0"
    unary = (await ask(transport, f"fault/{name}{tail}")).completion
    events = (await stream(transport, f"fault/{name}{tail}")).events
    text = "".join(event.choices[0].delta.content or "" for event in events if event.choices)
    assert text == unary.choices[0].message.content


@pytest.mark.parametrize(
    ("name", "status", "kind", "code"),
    [
        ("rate-limit", 429, "requests", "rate_limit_exceeded"),
        ("quota", 429, "insufficient_quota", "insufficient_quota"),
        ("error-500", 500, "server_error", None),
        ("overloaded-503", 503, "server_error", None),
        ("unauthorized", 401, "invalid_request_error", "invalid_api_key"),
        ("forbidden", 403, "permission_error", "permission_denied"),
        ("not-found", 404, "invalid_request_error", "model_not_found"),
        ("invalid-request", 400, "invalid_request_error", "unsupported_value"),
        ("context-length", 400, "invalid_request_error", "context_length_exceeded"),
        ("content-filter", 400, "invalid_request_error", "content_filter"),
        ("too-large", 413, "invalid_request_error", "request_too_large"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_errors_with_a_status(
    transport: SimTransport, name: str, status: int, kind: str, code: str | None, streamed: bool
) -> None:
    """The status and OpenAI's error object, in JSON whether or not a stream was asked for."""
    got = await ask(transport, f"fault/{name}", stream=streamed)
    assert (got.status, got.error["type"], got.error["code"]) == (status, kind, code)
    assert got.error.keys() == {"message", "type", "param", "code"}
    assert got.headers["content-type"] == "application/json"
    assert got.headers["content-length"] == str(len(got.body))


async def test_rate_limit_tells_when_to_come_back(transport: SimTransport) -> None:
    """The wait is in `retry-after`, and can be chosen."""
    assert (await ask(transport, "fault/rate-limit")).headers["retry-after"] == "1"
    headers = (await ask(transport, "fault/rate-limit:retry_after=2.5")).headers
    assert headers["retry-after"] == "2.5"
    assert headers["x-ratelimit-remaining-requests"] == "0"


async def test_html_error(transport: SimTransport) -> None:
    """A proxy's page is neither JSON nor called so."""
    got = await ask(transport, "fault/html-error")
    assert (got.status, got.headers["content-type"]) == (502, "text/html")
    assert got.body.startswith(b"<html>")


async def test_refuse(transport: SimTransport) -> None:
    """A refused connection is an unavailable provider."""
    with pytest.raises(GatewayError) as caught:
        await ask(transport, "fault/refuse")
    assert caught.value.reason == errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_stall_falls_silent_after_so_many_events(transport: SimTransport, after: int) -> None:
    """Exactly `after` events come; then reading waits until it is cancelled, and closing ends the script."""
    reply = await transport.send("POST", "/chat/completions", {}, body_of(f"fault/stall:after={after}", stream=True))
    chunks = reply.chunks()
    for _ in range(after):
        ChatCompletionChunk.model_validate_json((await anext(chunks)).removeprefix(b"data: "))
    waiting = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert transport.open_replies == 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await reply.close()
    assert transport.open_replies == 0


async def test_cut_breaks_within_an_event(transport: SimTransport) -> None:
    """After the events comes a part of one, then the error that a broken connection gives."""
    reply = await transport.send("POST", "/chat/completions", {}, body_of("fault/cut:after=2", stream=True))
    stream = reply.chunks()
    chunks = [await anext(stream) for _ in range(3)]
    with pytest.raises(GatewayError) as caught:
        await anext(stream)
    assert caught.value.reason == errors_pb2.ERROR_REASON_PROVIDER_FAILED
    assert [chunk.endswith(b"\n\n") for chunk in chunks] == [True, True, False]


@pytest.mark.parametrize("name", ["stall", "cut", "cut-clean", "truncated-json", "error-in-stream"])
async def test_a_broken_answer_never_looks_finished(transport: SimTransport, name: str) -> None:
    """However late the break, it is before any finish reason and before the end of a unary body."""
    for streamed in (True, False):
        reply = await transport.send(
            "POST", "/chat/completions", {}, body_of(f"fault/{name}:after=1000000", stream=streamed)
        )
        got = b""
        chunks = reply.chunks()
        while True:
            # What never comes is not waited for: the script has nothing to wait for but its own silence.
            step = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0)
            if not step.done():
                step.cancel()
                break
            try:
                got += step.result()
            except (StopAsyncIteration, GatewayError):
                break
        await asyncio.gather(step, return_exceptions=True)
        await reply.close()
        assert got
        if streamed:
            assert b'"finish_reason":"stop"' not in got
            assert b"[DONE]" not in got
        elif name != "error-in-stream":
            with pytest.raises(json.JSONDecodeError):
                json.loads(got)


async def test_cut_clean_ends_between_events(transport: SimTransport) -> None:
    """Whole events, and no end."""
    data = (await stream(transport, "fault/cut-clean:after=2")).data
    assert len([ChatCompletionChunk.model_validate_json(one) for one in data]) == 2


async def test_truncated_json_ends_within_an_event(transport: SimTransport) -> None:
    """The last line, or the unary body, is the beginning of JSON."""
    last = (await stream(transport, "fault/truncated-json")).body.decode().rsplit("\n\n", 1)[1]
    for text in (last.removeprefix("data: "), (await ask(transport, "fault/truncated-json")).body.decode()):
        assert text
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)


async def test_malformed_line(transport: SimTransport) -> None:
    """One event is no JSON and the others are whole; a unary body is no JSON."""
    whole = (await stream(transport, "echo")).data
    broken = (await stream(transport, "fault/malformed-line:after=2")).data
    assert len(broken) == len(whole) + 1
    bad = []
    for index, data in enumerate(broken[:-1]):
        try:
            json.loads(data)
        except json.JSONDecodeError:
            bad.append(index)
    assert bad == [2]
    with pytest.raises(json.JSONDecodeError):
        json.loads((await ask(transport, "fault/malformed-line")).body)


async def test_error_in_stream(transport: SimTransport) -> None:
    """The last event of a stream, or the whole unary body, is an error object, with status 200."""
    got = await stream(transport, "fault/error-in-stream:after=2")
    assert got.status == 200
    assert len(got.data) == 3
    assert json.loads(got.data[-1])["error"]["type"] == "server_error"
    unary = await ask(transport, "fault/error-in-stream")
    assert (unary.status, unary.error["type"]) == (200, "server_error")


async def test_duplicate_usage(transport: SimTransport) -> None:
    """The usage chunk comes twice."""
    usages = [event.usage for event in (await stream(transport, "fault/duplicate-usage")).events if event.usage]
    assert len(usages) == 2
    assert usages[0] == usages[1]


async def test_slow_drip(transport: SimTransport) -> None:
    """Each chunk is one byte."""
    assert {len(chunk) for chunk in (await stream(transport, "fault/slow-drip:delay=0")).chunks} == {1}


@pytest.mark.parametrize("streamed", [False, True])
async def test_split_utf8(transport: SimTransport, streamed: bool) -> None:
    """No chunk holds two bytes of one character, nor a character of several bytes."""
    got = await ask(transport, "fault/split-utf8", stream=streamed)
    assert all(chunk.isascii() or len(chunk) == 1 for chunk in got.chunks)
    assert {len(char.encode()) for char in got.body.decode()} == {1, 2, 3, 4}


@pytest.mark.parametrize(("name", "longest"), [("huge", 1 << 17), ("huge-line", 2_000_000)])
async def test_huge_answers(transport: SimTransport, name: str, longest: int) -> None:
    """The answer has the size asked for: over many events, or in a single one."""
    got = await stream(transport, f"fault/{name}:megabytes=1")
    size = sum(len(event.choices[0].delta.content or "") for event in got.events if event.choices)
    assert size == 1_000_000
    assert max(len(line) for line in got.data) < longest
    assert (max(len(line) for line in got.data) > 1_000_000) == (name == "huge-line")


async def test_empty(transport: SimTransport) -> None:
    """A success without a body."""
    got = await stream(transport, "fault/empty")
    assert got == Got(200, got.headers, [])


async def test_a_fault_plays_over_any_script(transport: SimTransport) -> None:
    """A script after the fault's name is what gets spoiled, and takes its own parameters."""
    got = await stream(transport, "fault/cut-clean/long:after=50,tokens=60,delay=0")
    assert len(got.data) == 50
    calls = await stream(transport, "fault/cut-clean/tool:after=2", tools=[{"function": {"name": "f"}}])
    assert '"name":"f"' in calls.data[-1]
