"""Records are found again, whatever became of the bytes between them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.ledger.frame import OVERHEAD, Damage, Kind, Reader, Record, frame, seed

SEED = seed("a/1")
KINDS = st.sampled_from([Kind.OPENED, Kind.CLOSED])
PAYLOADS = st.one_of(st.binary(max_size=80), st.sampled_from([b"\xf1TL", b"\xf1TL\x02" * 9, bytes(40)]))
RECORDS = st.lists(st.tuples(KINDS, PAYLOADS), min_size=1, max_size=6)


def written(records: list[tuple[Kind, bytes]], synced: bool = True) -> tuple[bytes, list[int]]:
    """A segment, and where each record begins. All before a record is known to be synced, or nothing is."""
    data, starts = b"", []
    for kind, payload in records:
        starts.append(len(data))
        data += frame(kind, payload, len(data) if synced else 0, SEED)
    return data, starts


def read(data: bytes) -> tuple[list[tuple[Kind, bytes]], list[Damage], int]:
    """The records, the damage, and how much is known to have been synced."""
    reader = Reader(data, SEED)
    found = list(reader)
    records = [(one.kind, one.payload) for one in found if isinstance(one, Record)]
    return records, [one for one in found if isinstance(one, Damage)], reader.synced


@given(RECORDS, st.integers(0, 3000))
def test_what_is_written_is_read(records: list[tuple[Kind, bytes]], rest: int) -> None:
    """In order, and what is not used yet of the segment is nothing."""
    data, starts = written(records)
    assert read(data + bytes(rest)) == (records, [], starts[-1])


@given(RECORDS, st.booleans())
def test_a_torn_end_at_every_byte(records: list[tuple[Kind, bytes]], preallocated: bool) -> None:
    """Wherever the last record was cut, all before it are read, and the cut is no damage to what was synced."""
    data, starts = written(records)
    for cut in range(starts[-1], len(data)):
        torn = data[:cut] + (bytes(len(data) - cut + 100) if preallocated else b"")
        if torn.startswith(data):  # the record ended in zeros: nothing was cut
            continue
        found, damage, synced = read(torn)
        assert found == records[:-1]
        assert all(one.start >= starts[-1] >= synced for one in damage)
        assert bool(damage) == bool(data[starts[-1] : cut].strip(b"\0"))


@given(RECORDS, st.data())
def test_a_flipped_bit_costs_one_record(records: list[tuple[Kind, bytes]], data: st.DataObject) -> None:
    """The record that it is in is not read, every other is, and where more was synced after it, that is known."""
    whole, starts = written(records)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    hurt = bytearray(whole)
    hurt[bit // 8] ^= 1 << bit % 8
    place = sum(start <= bit // 8 for start in starts) - 1
    found, damage, synced = read(bytes(hurt) + bytes(50))
    assert found == records[:place] + records[place + 1 :]
    assert len(damage) == 1
    assert damage[0].start == starts[place]
    assert (synced > damage[0].start) == (place < len(records) - 1)


@given(RECORDS)
def test_what_a_hole_hides_was_not_synced(records: list[tuple[Kind, bytes]]) -> None:
    """Of what was never synced, any part may be there: what is, is read, and the rest is no damage."""
    data, _ = written(records, synced=False)
    hurt = bytearray(data)
    hurt[: OVERHEAD // 2] = bytes(OVERHEAD // 2)
    found, damage, synced = read(bytes(hurt))
    assert found == records[1:]
    assert all(one.start >= synced for one in damage)


@given(RECORDS)
def test_records_of_another_segment_are_none(records: list[tuple[Kind, bytes]]) -> None:
    """What stood on the disk's blocks before does not come back."""
    data, _ = written(records)
    reader = Reader(data, seed("a/2"))
    assert not [one for one in reader if isinstance(one, Record)]


@given(st.binary(max_size=400))
def test_anything_can_be_read(data: bytes) -> None:
    """And comes to an end."""
    reader = Reader(data, SEED)
    last = 0
    for one in reader:
        assert isinstance(one, Damage)
        assert last <= one.start < one.end <= len(data)
        last = one.end


def test_nothing_follows_an_end() -> None:
    """Whatever stands there."""
    first = frame(Kind.CLOSED, b"a", 0, SEED)
    end = frame(Kind.END, b"", len(first), SEED)
    assert read(first + end + frame(Kind.CLOSED, b"b", 0, SEED)) == ([(Kind.CLOSED, b"a")], [], len(first))
