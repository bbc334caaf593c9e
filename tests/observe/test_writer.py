"""The writer never blocks, and no record is lost without being counted."""

from __future__ import annotations

import os
import threading

from hypothesis import given, settings
from hypothesis import strategies as st
from observe.samples import answered, output

from trunkline.observe.log import Log
from trunkline.observe.writer import LogWriter


def test_overflow_is_reported():
    """Records that a slow reader leaves no room for are counted, and the log says how many."""
    with output(read=False) as pipe:
        log = Log("json", fd=pipe.fd, capacity=10)
        for _ in range(2000):
            log.call_ended(answered())
        pipe.read()
        log.close()
        records = pipe.records()
    calls = [record for record in records if record["event"] == "call"]
    notices = [record for record in records if record["event"] == "message"]
    assert notices
    assert notices[0]["level"] == "error"
    told = sum(int(notice["message"].split()[0]) for notice in notices)
    assert told == log.dropped > 0
    assert len(calls) + told == 2000


def test_close_gives_up_on_a_dead_reader():
    """A reader that never reads holds up the end for no longer than the timeout."""
    with output(read=False) as pipe:
        writer = LogWriter(pipe.fd, lambda lost: b"")
        for _ in range(100):
            writer.write(b"x" * 4000)
        writer.close(timeout=0.01)
        pipe.read()
        writer.close()


def test_unwritable_log_is_counted():
    """A log whose reader left loses records, and nothing else."""
    reading, writing = os.pipe()
    os.close(reading)
    log = Log("json", fd=writing)
    log.call_ended(answered())
    log.call_ended(answered())
    log.close()
    os.close(writing)
    assert log.dropped == 2


def test_closed_writer_counts():
    """A record after the end is lost and counted."""
    with output() as pipe:
        writer = LogWriter(pipe.fd, lambda lost: b"")
        writer.close()
        writer.write(b"late\n")
    assert writer.dropped == 1


def test_nonblocking_descriptor():
    """A pipe that another program made non-blocking loses nothing."""
    with output(read=False) as pipe:
        os.set_blocking(pipe.fd, False)
        writer = LogWriter(pipe.fd, lambda lost: b"")
        for _ in range(100):
            writer.write(b"x" * 3999 + b"\n")
        pipe.read()
        writer.close()
        assert len(pipe.text()) == 100 * 4000
    assert writer.dropped == 0


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=9000).map(lambda data: data.replace(b"\n", b"") + b"\n"), max_size=50))
def test_order_is_kept(records: list[bytes]):
    """What comes out is what went in, in order, whatever its size."""
    seen = bytearray()
    reading, writing = os.pipe()

    def read() -> None:
        while data := os.read(reading, 65536):
            seen.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    writer = LogWriter(writing, lambda lost: b"", linger=0)
    for record in records:
        writer.write(record)
    writer.close()
    os.close(writing)
    reader.join()
    os.close(reading)
    assert bytes(seen) == b"".join(records)


def test_threads_share_a_writer():
    """Records of several threads come out whole."""
    with output() as pipe:
        writer = LogWriter(pipe.fd, lambda lost: b"", linger=0)

        def write(name: str) -> None:
            for number in range(500):
                writer.write(f"{name} {number}\n".encode())

        threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writer.close()
        lines = pipe.text().splitlines()
    for name in "abc":
        assert [line for line in lines if line[0] == name] == [f"{name} {number}" for number in range(500)]
