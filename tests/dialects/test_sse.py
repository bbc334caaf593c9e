"""Server-sent events, however they are framed and cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects import sse
from trunkline.dialects.sse import Event
from trunkline.errors import GatewayError


def read(*pieces: bytes) -> list[Event]:
    """The events of a stream in pieces."""
    reader = sse.Reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.end()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"data: a\n\n", [(b"", b"a")]),
        (b"data:a\n\ndata:  b\n\n", [(b"", b"a"), (b"", b" b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"", b"a"), (b"", b"b")]),
        (b"data: a\r\rdata: b\r\r", [(b"", b"a"), (b"", b"b")]),
        (b"data: a\ndata: b\ndata\n\n", [(b"", b"a\nb\n")]),
        (b"event: error\ndata: a\n\ndata: b\n\n", [(b"error", b"a"), (b"", b"b")]),
        (b"data: a\nevent: late\n\n", [(b"late", b"a")]),
        (b": comment\n\n: another\ndata: a\n\n", [(b"", b"a")]),
        (b"id: 1\nretry: 5\nother: x\ndata: a\n\n", [(b"", b"a")]),
        (b"event: nothing\n\n\n\ndata: a\n\n", [(b"", b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [(b"", b"a")]),
        (b"data: a\n\ndata: b", [(b"", b"a"), (b"", b"b")]),
        (b"data: a\n\ndata: b\r", [(b"", b"a"), (b"", b"b")]),
        (b'{"error":{}}', []),
    ],
)
def test_the_framing(stream: bytes, events: list[tuple[bytes, bytes]]) -> None:
    """Line ends, comments, other fields, several lines of data, an end without a blank line."""
    assert read(stream) == events
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events


_LINES = st.one_of(
    st.sampled_from(
        [b"data: x", b"data:", b"data", b"event: e", b": c", b"", b"\xef\xbb\xbf", b"id: 1", b"data: \xc3\xa4"]
    ),
    st.binary(max_size=6),
)
_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(st.tuples(_LINES, _ENDS).map(b"".join), max_size=12).map(b"".join), st.data())
def test_any_bytes_in_any_pieces(stream: bytes, data: st.DataObject) -> None:
    """The pieces do not matter."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
    assert read(*pieces) == read(stream)


@pytest.mark.parametrize("piece", [b"x" * 2**20, b"data: " + b"x" * 2**20 + b"\n"], ids=["a line", "an event"])
def test_an_endless_event_is_refused(piece: bytes) -> None:
    """What one event may hold is bounded, whether it is one line or many."""
    reader = sse.Reader()
    with pytest.raises(GatewayError, match="larger than"):
        for _ in range(64):
            assert reader.feed(piece) == []
