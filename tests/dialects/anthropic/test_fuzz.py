"""Whatever comes, by accident or on purpose: `GatewayError` or an answer, nothing else."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from typing import Any

from dialects.anthropic.cases import ANSWERS, REQUESTS, STREAMS, load, write_answer, write_stream
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.core.fold import unfold
from trunkline.core.grammar import Grammar
from trunkline.dialects import anthropic, sse
from trunkline.dialects.wire import Object, dumps
from trunkline.errors import GatewayError

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "text", "data:", "data:image/png;base64,%", "trunkline1:e30=", "\ud7ff", "tool_use", "thinking"]
    ),
    st.sampled_from([[], {}, [[]], [{}], {"type": []}, [{"type": {}}], [None], {"type": "text"}]),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a JSON value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


class Bodies(list[bytes]):
    """Bodies that are not shown at length."""

    def __repr__(self) -> str:
        return f"Bodies({len(self)})"


@st.composite
def mutated(draw: st.DrawFn, bodies: Bodies) -> Any:
    """A recorded body in which some things were replaced, left out or doubled."""
    value = load(bodies[draw(st.integers(0, len(bodies) - 1))])
    for _ in range(draw(st.integers(1, 4))):
        known = places(value)
        if not known:
            break
        *above, key = draw(st.sampled_from(known))
        holder = value
        for step in above:
            holder = holder[step]
        match draw(st.sampled_from(["replace", "drop", "double"])):
            case "drop" if isinstance(holder, dict):
                del holder[key]
            case "double" if isinstance(holder, list):
                holder.append(deepcopy(holder[key]))
            case _:
                holder[key] = deepcopy(draw(ODD))
    return value


def lines(body: bytes) -> list[bytes]:
    """The data of the events of a stream."""
    reader = sse.Reader()
    return [event.data for event in [*reader.feed(body), *reader.end()]]


SMALL = Bodies(one.request for one in REQUESTS if one.request is not None and len(one.request) < 20_000)
WHOLE = Bodies(one.body for one in ANSWERS if len(one.body) < 20_000)
EVENTS = [lines(one.body) for one in STREAMS if len(one.body) < 20_000]


@given(mutated(SMALL))
@settings(max_examples=300)
def test_requests(wire: Any) -> None:
    """A broken request is refused, or read and written for any model."""
    with suppress(GatewayError):
        body = Object(wire)
        anthropic.take_stream(body)
        request = anthropic.decode_request(body)
        for model in ("claude-sonnet-4-5", "claude-opus-4-8", "other"):
            with suppress(GatewayError):
                dumps(anthropic.encode_request(request, anthropic.profile_of(model)))


@given(mutated(WHOLE))
@settings(max_examples=300)
def test_answers(wire: Any) -> None:
    """A broken answer is refused, or read and written whole and streamed."""
    if not isinstance(wire, dict):
        return
    with suppress(GatewayError):
        response = anthropic.decode_response(Object(wire, lenient=True))
        write_answer(response)
        write_stream(unfold(response))


@given(st.data())
@settings(max_examples=300)
def test_streams(data: st.DataObject) -> None:
    """A broken stream is an error, or events in legal order that can be written."""
    events = list(EVENTS[data.draw(st.integers(0, len(EVENTS) - 1))])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(events) - 1))
        match data.draw(st.sampled_from(["mutate", "drop", "double", "swap"])):
            case "mutate":
                events[place] = dumps(data.draw(mutated(Bodies([events[place]]))))
            case "drop" if len(events) > 1:
                del events[place]
            case "double":
                events.insert(place, events[place])
            case _:
                events[place], events[0] = events[0], events[place]
    decoder, grammar, told = anthropic.StreamDecoder(), Grammar(), []
    with suppress(GatewayError):
        for event in events:
            told += decoder.feed(event)
    for event in told:
        grammar.feed(event)
    write_stream(told)


@given(st.binary(max_size=64))
def test_errors(body: bytes) -> None:
    """Any body of an error is an error."""
    assert isinstance(anthropic.decode_error(500, {}, body), GatewayError)
