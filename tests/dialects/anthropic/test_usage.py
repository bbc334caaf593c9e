"""What an answer used: cached input is counted once, and every count survives both ways."""

from __future__ import annotations

import pytest
from dialects.anthropic.cases import ANSWERS, STREAMS, each, load, read_answer, read_stream, whole, write_answer
from hypothesis import given
from hypothesis import strategies as st
from wire.recordings import Recording

from trunkline.dialects.anthropic.usage import decode_usage, encode_usage
from trunkline.dialects.wire import Object
from trunkline.v1.chat_pb2 import Usage

COUNTS = st.one_of(st.none(), st.integers(0, 2**29))


@each(ANSWERS)
def test_input_includes_what_was_cached(recording: Recording) -> None:
    """Input is the sum of the three counts that Anthropic tells apart."""
    wire = load(recording.body)["usage"]
    usage = read_answer(load(recording.body)).usage
    keys = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    assert usage.input_tokens == sum(wire.get(key) or 0 for key in keys)
    assert usage.HasField("cached_input_tokens") == (wire.get("cache_read_input_tokens") is not None)
    assert usage.output_tokens == wire["output_tokens"]


@each(STREAMS)
def test_counts_of_streams_are_running_totals(recording: Recording) -> None:
    """The last of the counts of a stream, whether its end repeats the input or not, are those of the answer."""
    wire: dict[str, int] = {}
    for line in recording.body.decode().splitlines():
        if not line.startswith("data:"):
            continue
        event = load(line[5:].encode())
        counts = event.get("message", event).get("usage") or {}
        wire.update((key, value) for key, value in counts.items() if value is not None)
        if event["type"] == "message_stop":
            break
    usage = whole(read_stream(recording.body)).usage
    keys = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    assert usage.input_tokens == sum(wire.get(key, 0) for key in keys)
    assert usage.output_tokens == wire["output_tokens"]


@given(fresh=st.integers(0, 2**29), read=COUNTS, written=COUNTS, output=st.integers(0, 2**30), thinking=COUNTS)
def test_counts_survive_both_ways(
    fresh: int, read: int | None, written: int | None, output: int, thinking: int | None
) -> None:
    """Writing and reading any counts gives them back: what is unset stays unset."""
    usage = Usage(
        input_tokens=fresh + (read or 0) + (written or 0),
        output_tokens=output,
        cached_input_tokens=read,
        cache_write_input_tokens=written,
        reasoning_output_tokens=thinking,
    )
    assert decode_usage(Object(encode_usage(usage), lenient=True)) == usage


def test_what_was_written_and_read_counts_once() -> None:
    """OpenRouter tells Gemini's cached tokens as both: together they are no more than the input."""
    usage = Usage(input_tokens=2168, cached_input_tokens=2161, cache_write_input_tokens=2161, output_tokens=1)
    wire = encode_usage(usage)
    assert (wire["input_tokens"], wire["cache_read_input_tokens"], wire["cache_creation_input_tokens"]) == (0, 2161, 7)


def test_the_tier_is_no_count() -> None:
    """`usage.service_tier` is the response's, and is written back to where it stood."""
    answer = read_answer({"content": [], "usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": "priority"}})
    assert answer.service_tier == "priority"
    assert not answer.usage.extras
    assert write_answer(answer)["usage"]["service_tier"] == "priority"


@pytest.mark.parametrize("value", [-1, 2**31, "5", 1.5, None, [], True])
def test_a_count_that_is_none_is_unset(value: object) -> None:
    """A count of another shape is no count, and no crash."""
    usage = decode_usage(Object({"input_tokens": value, "output_tokens": 5}, lenient=True))
    assert not usage.HasField("input_tokens")
    assert usage.output_tokens == 5
