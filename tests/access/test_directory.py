"""Keys in memory: found at once, right within a moment, and bounded whatever is presented."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest
from access.records import FakeRecords, Found

from trunkline.access import directory as module
from trunkline.access.directory import Directory
from trunkline.access.grants import Plan, Scope
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.keys_pb2 import Key, Limits, User


class Clock:
    """The time, which passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(most: int = 100) -> tuple[Directory, FakeRecords, Clock]:
    """A directory over records."""
    records, clock = FakeRecords(), Clock()
    return Directory(records, b"pepper", clock, poll=0.001, most=most), records, clock


def key(directory: Directory, secret: str, **fields: object) -> Found:
    """A key with this secret, whose id is `key_` and the secret."""
    one = Key(id=f"key_{secret}", name=secret, prefix=secret[:4])
    one.MergeFrom(Key(**fields))  # type: ignore[arg-type]
    return Found(one, directory.digest(secret))


async def name_of(directory: Directory, secret: str) -> str:
    """Whose secret it is; empty for nobody's, and the refusal where there is one."""
    digest = directory.digest(secret)
    entry = directory.known(digest) or await directory.look_up(digest)
    if entry is None:
        return ""
    return entry.granted.name if entry.granted is not None else entry.refusal


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what another task does."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0)


async def test_one_query_for_a_key() -> None:
    """What was found is known from then on."""
    directory, records, _ = made()
    records.put(key(directory, "ann"))
    for _ in range(3):
        assert await name_of(directory, "ann") == "ann"
    assert len(records.queries) == 1


async def test_guesses_cost_no_query_each() -> None:
    """One query runs at a time and takes all that wait; the same guess is not looked for twice."""
    directory, records, _ = made(most=1000)
    records.put(key(directory, "ann"))
    records.gate.clear()
    asked = [asyncio.create_task(name_of(directory, f"guess{number % 200}")) for number in range(400)]
    asked.append(asyncio.create_task(name_of(directory, "ann")))
    await eventually(lambda: bool(records.queries))
    records.gate.set()
    told = await asyncio.gather(*asked)
    assert told == [""] * 400 + ["ann"]
    assert len(records.queries) == 1
    assert await name_of(directory, "guess7") == ""
    assert len(records.queries) == 1


async def test_the_memory_is_bounded() -> None:
    """Neither wrong keys nor right ones fill it."""
    directory, records, _ = made(most=10)
    for number in range(50):
        records.put(key(directory, f"key{number}"))
    for number in range(50):
        assert await name_of(directory, f"key{number}") == f"key{number}"
        assert await name_of(directory, f"wrong{number}") == ""
    kept = {name: value for name, value in vars(directory).items() if name in ("_known", "_by_id", "_wrong", "_asked")}
    assert len(kept) == 4
    assert all(len(value) <= 10 for value in kept.values())


async def test_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever would make the queue too long is told to come back, at once."""
    monkeypatch.setattr(module, "_WAITING", 3)
    directory, records, _ = made()
    records.gate.clear()
    asked = [asyncio.create_task(name_of(directory, f"guess{number}")) for number in range(3)]
    await eventually(lambda: bool(records.queries))
    with pytest.raises(GatewayError) as raised:
        await name_of(directory, "one more")
    assert raised.value.reason == errors_pb2.ERROR_REASON_UNAVAILABLE
    assert raised.value.retry_after is not None
    records.gate.set()
    assert await asyncio.gather(*asked) == [""] * 3


async def test_a_change_is_noticed() -> None:
    """A key that is disabled is refused from the next look on, and so are those of a disabled owner."""
    directory, records, _ = made()
    await directory.refresh()
    records.put(key(directory, "ann"))
    user = Found(key(directory, "bob").key, directory.digest("bob"), user=User(id="u"))
    records.put(user)
    assert [await name_of(directory, name) for name in ("ann", "bob")] == ["ann", "bob"]
    records.put(key(directory, "ann", disabled=True))
    records.put(Found(user.key, user.digest, user=User(id="u", disabled=True)), "u")
    await directory.refresh()
    assert "is disabled" in await name_of(directory, "ann")
    assert "is disabled: so is its user" in await name_of(directory, "bob")


async def test_a_new_key_is_known_though_it_was_wrong() -> None:
    """What was not there when it was asked for is looked for again after a change."""
    directory, records, _ = made()
    await directory.refresh()
    assert await name_of(directory, "ann") == ""
    records.put(key(directory, "ann"))
    await directory.refresh()
    assert await name_of(directory, "ann") == "ann"


async def test_what_changed_while_it_was_read_is_not_kept() -> None:
    """An answer that is older than a change is given to who asked, and to nobody after him."""
    directory, records, _ = made()
    await directory.refresh()
    records.put(key(directory, "ann"))
    records.after.clear()
    asked = asyncio.create_task(name_of(directory, "ann"))
    await eventually(lambda: bool(records.queries))
    records.put(key(directory, "ann", disabled=True))
    await directory.refresh()
    records.after.set()
    assert await asked == "ann"
    assert "is disabled" in await name_of(directory, "ann")


async def test_expiry() -> None:
    """A key ends at its time though nobody looks; an old secret with its grace."""
    directory, records, clock = made()
    one = key(directory, "ann")
    one.key.expire_time.FromSeconds(1010)
    records.put(one)
    records.put(Found(Key(id="k", name="bob"), directory.digest("old"), until=1010))
    assert [await name_of(directory, name) for name in ("ann", "old")] == ["ann", "bob"]
    clock.now = 1010.0
    assert await name_of(directory, "ann") == "The API key `ann...` has expired."
    assert await name_of(directory, "old") == ""


async def test_an_unknown_plan() -> None:
    """It is refused until the plan is there."""
    directory, records, _ = made()
    records.put(key(directory, "ann", plan="gold"))
    assert "plan 'gold'" in await name_of(directory, "ann")
    directory.plan({"gold": Plan("gold", Scope(), Limits())})
    assert await name_of(directory, "ann") == "ann"


async def test_the_database_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """What is known counts, what is not is no reason to say that a key is wrong, and the log says it once."""
    directory, records, _ = made()
    records.put(key(directory, "ann"))
    assert await name_of(directory, "ann") == "ann"
    records.away = True
    running = asyncio.create_task(directory.run())
    with caplog.at_level(logging.WARNING, "trunkline"):
        await eventually(lambda: "the database is away" in caplog.text)
        assert await name_of(directory, "ann") == "ann"
        with pytest.raises(GatewayError) as raised:
            await name_of(directory, "bob")
        assert raised.value.reason == errors_pb2.ERROR_REASON_UNAVAILABLE
        records.put(key(directory, "ann", disabled=True))
        records.away = False
        await eventually(lambda: "the database is back" in caplog.text)
        assert "is disabled" in await name_of(directory, "ann")
    assert caplog.text.count("the database is away") == 1
    running.cancel()
    await asyncio.wait([running])


async def test_who_asked_and_left() -> None:
    """He takes nobody with him who waits for the same."""
    directory, records, _ = made()
    records.put(key(directory, "ann"))
    records.gate.clear()
    leaving, staying = (asyncio.create_task(name_of(directory, "ann")) for _ in range(2))
    await eventually(lambda: bool(records.queries))
    leaving.cancel()
    await asyncio.wait([leaving])
    records.gate.set()
    assert await staying == "ann"


async def test_when_keys_were_used() -> None:
    """It is noted in one go, each key once."""
    directory, records, clock = made()
    for name in ("ann", "bob"):
        records.put(key(directory, name))
        await name_of(directory, name)
    clock.now = 1007.9
    await name_of(directory, "ann")
    await directory.flush()
    assert records.touched == {"key_ann": 1007, "key_bob": 1000}
    records.away = True
    await name_of(directory, "ann")
    await directory.close()
