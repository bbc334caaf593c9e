"""The log tells all about a call but what it said."""

from __future__ import annotations

import logging
import os
import pty
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observe.samples import PARENT, TRACE, answered, failure, output, refused, started, tried

from trunkline.access.keys import MISSING
from trunkline.call import Call, Loss
from trunkline.errors import invalid_request
from trunkline.observe.human import printable
from trunkline.observe.log import Log
from trunkline.observe.redaction import WITHHELD, scrub

ANY_TEXT = st.text(st.characters(categories=None))


def written(call: Call, level: str = "info") -> list[dict]:
    with output() as pipe:
        log = Log("json", level, fd=pipe.fd)
        log.call_started(call)
        log.call_ended(call)
        log.close()
        return pipe.records()


def line(call: Call) -> str:
    with output() as pipe:
        log = Log("human", fd=pipe.fd)
        log.call_ended(call)
        log.close()
        return pipe.text()


def test_our_own_words_about_keys():
    """How a key is to be sent is told as it is; a key in its place is not."""
    for sent, told in (
        ("Bearer auth (i.e. Authorization: Bearer YOUR_KEY).", "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."),
        ("Bearer auth-1234", "Bearer [key]"),
        ("Bearer YOUR_KEY1", "Bearer [key]"),
        ("Bearer authority", "Bearer [key]"),
        ("Bearer k-0123", "Bearer [key]"),
    ):
        assert scrub(sent, 1000) == told
    assert scrub(MISSING, 1000) == MISSING


def test_answered_call():
    """An answered call leaves one record with all that is known of it."""
    call = answered(traceparent=f"00-{TRACE}-{PARENT}-01")
    [record] = written(call)
    time = datetime.fromisoformat(record.pop("time")).timestamp()
    assert time == pytest.approx(call.start_time + 1, abs=0.001)
    assert record == {
        "event": "call",
        "level": "info",
        "id": "req_1",
        "surface": "openai",
        "outcome": "ok",
        "seconds": 1.0,
        "operation": "stream_chat",
        "caller": "alice",
        "model": "best",
        "served_model": "gpt-4o-2024-08-06",
        "provider": "openai",
        "first_token_seconds": 0.5,
        "input_tokens": 12,
        "output_tokens": 34,
        "cached_input_tokens": 5,
        "reasoning_output_tokens": 7,
        "finish": "stop",
        "attempts": [
            {
                "provider": "openai",
                "model": "gpt-4o",
                "outcome": "ok",
                "seconds": 0.5,
                "status": 200,
                "upstream_id": "up_1",
            }
        ],
        "losses": [{"field": "seed", "kind": "dropped"}],
        "trace_id": TRACE,
    }


def test_fallen_back_call():
    """Each attempt tells its own outcome, and a failed one why."""
    call = answered()
    tried(call, "groq", "llama", failure(message="Slow down.", provider="groq", provider_status=429)).status = 429
    call.attempts.reverse()
    [record] = written(call)
    assert record["attempts"][0] == {
        "provider": "groq",
        "model": "llama",
        "outcome": "rate_limited",
        "seconds": 0.5,
        "status": 429,
        "error": {"reason": "RATE_LIMITED", "message": "Slow down.", "provider_status": 429},
    }
    assert record["attempts"][1]["outcome"] == "ok"
    assert record["provider"] == "openai"


def test_failed_call():
    """A failed call tells the reason, the message and the field."""
    [record] = written(refused(invalid_request("`messages[0].role` must be a string.", "messages[0].role")))
    assert record["outcome"] == "invalid_request"
    assert record["error"] == {
        "reason": "INVALID_REQUEST",
        "message": "`messages[0].role` must be a string.",
        "param": "messages[0].role",
    }
    assert "attempts" not in record


def test_cancelled_attempt():
    """An attempt that the caller cut short shares the outcome of the call."""
    call = started(operation="stream_chat", model="best")
    tried(call)
    call.cancel()
    call.ended = call.started + 1
    [record] = written(call)
    assert record["attempts"][0]["outcome"] == record["outcome"] == "cancelled"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("INTERNAL", "error"), ("PROVIDER_FAILED", "warning"), ("RATE_LIMITED", "warning"), ("NOT_FOUND", "warning")],
)
def test_level_of_failures(name: str, expected: str):
    """A provider's failure is a warning, the gateway's an error."""
    assert written(refused(failure(name)))[0]["level"] == expected


def test_level_filters_calls():
    """A log for warnings holds no answered calls, but those that a provider failed."""
    assert written(answered(), "warning") == []
    assert len(written(refused(failure("PROVIDER_FAILED")), "warning")) == 1


def test_refusal_of_a_provider_is_withheld():
    """What a provider says about a request may quote it, and stays out."""
    message = "Input should be a string: {'content': 'my secret plan'}"
    [record] = written(refused(failure("INVALID_REQUEST", message, provider_status=400)))
    assert record["error"]["message"] == WITHHELD
    assert record["error"]["provider_status"] == 400


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-0123456789abcdef.",
        "Incorrect API key provided: 0123456789.",
        "bad header authorization: Bearer 0123456789",
        'got {"x-api-key": "0123456789"}',
        "GET https://host/v1beta/models?alt=sse&key=0123456789",
        "key AIzaSyA0123456789012345678901234567890",
        "x" * 995 + " sk-proj-0123456789",
    ],
)
def test_keys_are_scrubbed(text: str):
    """A key that a provider quotes back stays out."""
    [record] = written(refused(failure("PROVIDER_UNAUTHENTICATED", text)))
    assert "0123" not in record["error"]["message"]


def test_huge_names_are_cut():
    """Nothing that a stranger makes up is written at full length."""
    call = refused(invalid_request("m" * 10**6, "p" * 10**6), model="x" * 10**6)
    for _ in range(100):
        tried(call, model="y" * 10**6).losses = [Loss("f" * 10**6)] * 1000
    [record] = written(call)
    assert len(repr(record)) < 20_000
    assert record["attempts_omitted"] == 84
    assert record["losses_omitted"] == 984


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_any_text_is_one_record(model: str, message: str, param: str):
    """No text, however odd, breaks a JSON record or a human line."""
    error = invalid_request(message, param)
    assert len(written(refused(error, model=model))) == 1
    text = line(refused(error, model=model))
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert len(text.splitlines()) == 1


@given(ANY_TEXT)
def test_printable(text: str):
    """No control character is left, and printable text is not touched."""
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


def test_human_line():
    """A line for people has no colour off a terminal, and all that matters."""
    text = line(answered())
    assert "\x1b" not in text
    for word in ("ok", "stream_chat", "1.00s", "first 500ms", "12 > 34", "best -> openai/gpt-4o", "alice", "req_1"):
        assert word in text
    assert "lost seed" in text


def test_human_lines_align():
    """The id of each line stands in the same column."""
    short = answered(model="a", caller="b")
    long = refused(invalid_request("no"), operation="list_models")
    assert line(short).index("req_1") == line(long).index("req_1")


def test_format_follows_the_terminal(monkeypatch: pytest.MonkeyPatch):
    """`auto` writes coloured lines on a terminal, and JSON elsewhere."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    ours, theirs = pty.openpty()
    log = Log("auto", fd=theirs)
    log.call_ended(answered())
    log.close()
    text = os.read(ours, 4096).decode()
    os.close(ours)
    os.close(theirs)
    assert "\x1b[32mok" in text
    with output() as pipe:
        log = Log("auto", fd=pipe.fd)
        log.call_ended(answered())
        log.close()
        assert len(pipe.records()) == 1


def test_program_messages():
    """Messages of the program, with tracebacks, and warnings of libraries are in the log; keys are not."""
    with output() as pipe:
        log = Log("json", fd=pipe.fd)
        log.install()
        logging.getLogger("trunkline.app").info("listening on %s", "127.0.0.1:8080")
        logging.getLogger("trunkline.app").debug("too much")
        logging.getLogger("aiohttp.access").info("not ours")
        try:
            raise ValueError("bad key sk-proj-0123456789")
        except ValueError:
            logging.getLogger("asyncio").exception("it broke")
        log.close()
        logging.getLogger("trunkline.app").warning("after the end")
        first, second = pipe.records()
    assert (first["event"], first["level"], first["logger"]) == ("message", "info", "trunkline.app")
    assert first["message"] == "listening on 127.0.0.1:8080"
    assert (second["level"], second["message"]) == ("error", "it broke")
    assert "ValueError: bad key [key]" in second["traceback"]
    assert "test_log.py" in second["traceback"]


def test_human_messages():
    """A message for people has its traceback on indented lines."""
    with output() as pipe:
        log = Log("human", fd=pipe.fd)
        log.install()
        try:
            raise ValueError("no\x1b[2J")
        except ValueError:
            logging.getLogger("trunkline").exception("first\nsecond")
        log.close()
        head, *rest = pipe.text().splitlines()
    assert head.endswith("error   first\\nsecond")
    assert rest[-1] == "    ValueError: no\\x1b[2J"
