"""Keys and their owners in the store: found by digests, changed one at a time, and told to every replica."""

from __future__ import annotations

import asyncio
import time
from math import inf

import pytest
from sqlalchemy import text

from trunkline.config.problem import ConfigError
from trunkline.errors import GatewayError
from trunkline.store.database import Database
from trunkline.store.keys import KeyStore
from trunkline.v1 import errors_pb2
from trunkline.v1.keys_pb2 import Key, Limits, Organization, Team, User

HOSTILE = "'; DROP TABLE api_keys; --"


@pytest.fixture
async def store(database: Database) -> KeyStore:
    """A store without keys."""
    one = KeyStore(database)
    await one.open(None)
    return one


def digest(name: str) -> bytes:
    """One of its own for each name."""
    return name.encode().ljust(32, b".")


def nothing(key: object) -> None:
    """A change that changes nothing."""


async def test_a_key_lives(store: KeyStore) -> None:
    """It is found by its digest with all that was said of it, changed, and gone."""
    key = Key(id="key_1", name="ann", limits=Limits(requests_per_minute=5), tags=["a"], metadata={"b": "c"})
    key.expire_time.FromSeconds(2_000_000_000)
    await store.add(key, digest("ann"))
    assert await store.get("key_1") == key
    version, (found,) = await store.find([digest("ann"), digest("other")])
    assert (found.key, found.digest, found.until, found.user) == (key, digest("ann"), inf, None)
    changed = await store.change("key_1", lambda one: setattr(one, "disabled", True))
    assert changed.disabled
    later, (again,) = await store.find([digest("ann")])
    assert again.key == changed
    assert later > version
    await store.delete("key_1")
    assert (await store.find([digest("ann")]))[1] == []
    for gone in (store.get("key_1"), store.delete("key_1"), store.change("key_1", nothing)):
        with pytest.raises(GatewayError) as raised:
            await gone
        assert raised.value.reason == errors_pb2.ERROR_REASON_NOT_FOUND


async def test_a_rotation(store: KeyStore) -> None:
    """Both secrets count during the grace, and the one before them no longer."""
    await store.add(Key(id="key_1", name="ann"), digest("one"))
    until = int(time.time()) + 1000
    rotated = await store.rotate("key_1", digest("two"), until, nothing)
    assert rotated.old_secret_expire_time.seconds == until
    _, found = await store.find([digest("one"), digest("two")])
    assert {one.digest: one.until for one in found} == {digest("one"): until, digest("two"): inf}
    await store.rotate("key_1", digest("three"), until, nothing)
    _, found = await store.find([digest(name) for name in ("one", "two", "three")])
    assert {one.digest for one in found} == {digest("two"), digest("three")}
    bare = await store.rotate("key_1", digest("four"), 0, nothing)
    assert not bare.HasField("old_secret_expire_time")
    _, found = await store.find([digest("three"), digest("four")])
    assert [one.digest for one in found] == [digest("four")]


async def test_a_secret_has_one_key(store: KeyStore) -> None:
    """Neither the secret of another key nor its old one is taken twice."""
    await store.add(Key(id="key_1", name="ann"), digest("one"))
    await store.rotate("key_1", digest("two"), int(time.time()) + 1000, nothing)
    for name in ("one", "two"):
        with pytest.raises(GatewayError, match="There is a key with this secret already"):
            await store.add(Key(id="key_2", name="bob"), digest(name))
    assert [key.id for key in await store.page({}, "", 10)] == ["key_1"]


async def test_owners(store: KeyStore) -> None:
    """A key is found with all that own it."""
    organization = Organization(id="org_1", name="acme", models=["a"])
    team = Team(id="team_1", name="red", organization_id="org_1")
    user = User(id="user_1", name="ann", team_id="team_1", organization_id="org_1", subject="corp:ann")
    await store.organizations.add(organization)
    await store.teams.add(team)
    await store.users.add(user)
    key = Key(id="key_1", name="k", user_id="user_1", team_id="team_1", organization_id="org_1")
    await store.add(key, digest("k"))
    _, (found,) = await store.find([digest("k")])
    assert (found.user, found.team, found.organization) == (user, team, organization)
    _, by_subject = await store.find_user("corp:ann")
    assert by_subject is not None
    assert (by_subject.user, by_subject.team, by_subject.organization) == (user, team, organization)
    assert (await store.find_user("corp:bob"))[1] is None
    assert [one.id for one in await store.page({"team_id": "team_1"}, "", 10)] == ["key_1"]
    assert await store.page({"team_id": "team_2"}, "", 10) == []


async def test_what_owns_something_stays(store: KeyStore) -> None:
    """Owners are deleted when nothing is theirs any more, and their subjects are free again."""
    await store.organizations.add(Organization(id="org_1", name="acme"))
    await store.users.add(User(id="user_1", name="ann", organization_id="org_1", subject="corp:ann"))
    await store.add(Key(id="key_1", name="k", user_id="user_1", organization_id="org_1"), digest("k"))
    with pytest.raises(GatewayError, match="still owns `user_1`"):
        await store.organizations.delete("org_1")
    with pytest.raises(GatewayError, match="still owns `key_1`"):
        await store.users.delete("user_1")
    with pytest.raises(GatewayError, match="a user with this subject already"):
        await store.users.add(User(id="user_2", name="bob", subject="corp:ann"))
    await store.delete("key_1")
    await store.users.delete("user_1")
    await store.organizations.delete("org_1")
    await store.users.add(User(id="user_2", name="bob", subject="corp:ann"))
    with pytest.raises(GatewayError, match="There is no organization `org_1`"):
        await store.add(Key(id="key_2", name="k", organization_id="org_1"), digest("k2"))
    for name in ("user_3", "user_4"):  # without a subject there may be many
        await store.users.add(User(id=name, name=name))
    assert [user.id for user in await store.users.page({}, "user_2", 10)] == ["user_3", "user_4"]


async def test_changes(store: KeyStore) -> None:
    """Each names what it touched, and a key that is no admin's closes the gateway."""
    begin = await store.changes(-1)
    assert (begin.version, begin.closed, list(begin.ids)) == (0, False, [])
    assert await store.add_admin(Key(id="key_0", name="admin", admin=True), digest("admin"))
    assert not (await store.changes(0)).closed
    await store.organizations.add(Organization(id="org_1", name="acme"))
    await store.add(Key(id="key_1", name="k"), digest("k"))
    told = await store.changes(0)
    assert (told.closed, sorted(told.ids)) == (True, ["key_0", "key_1", "org_1"])
    await store.delete("key_1")
    later = await store.changes(told.version)
    assert (later.closed, list(later.ids)) == (True, ["key_1"])
    assert list((await store.changes(later.version)).ids) == []


async def test_use_is_no_change(store: KeyStore) -> None:
    """When a key was used is noted without anyone being told; the time never goes back."""
    await store.add(Key(id="key_1", name="k"), digest("k"))
    version = (await store.changes(-1)).version
    for at in (500, 400):
        await store.touch({"key_1": at, "key_2": at})
    assert (await store.get("key_1")).last_use_time.seconds == 500
    assert (await store.changes(-1)).version == version
    changed = await store.change("key_1", nothing)
    assert changed.last_use_time.seconds == 500


async def test_one_first_admin(store: KeyStore, database: Database) -> None:
    """However many replicas start at once, one makes it; when it is deleted, the next start makes another."""
    others = [store, *(KeyStore(database) for _ in range(4))]
    made = [one.add_admin(Key(id=f"key_{n}", name="admin", admin=True), digest(f"{n}")) for n, one in enumerate(others)]
    told = await asyncio.gather(*made)
    assert sorted(told) == [False] * 4 + [True]
    (admin,) = await store.page({}, "", 10)
    await store.delete(admin.id)
    assert await store.add_admin(Key(id="key_9", name="admin", admin=True), digest("9"))


async def test_changes_at_once(store: KeyStore) -> None:
    """None is lost, since one runs after the other."""
    await store.add(Key(id="key_1", name="k"), digest("k"))
    changes = [store.change("key_1", lambda key, n=n: key.tags.append(str(n))) for n in range(20)]  # type: ignore[misc]
    await asyncio.gather(*changes)
    assert len((await store.get("key_1")).tags) == 20
    assert (await store.changes(-1)).version == 21


@pytest.mark.parametrize("given", [None, b"a secret of the configuration"])
async def test_the_pepper(database: Database, given: bytes | None) -> None:
    """It is the same at every start, and kept in the database only where the configuration has none."""
    first = await KeyStore(database).open(given)
    assert await KeyStore(database).open(given) == first
    async with database.reading() as connection:
        kept = (await connection.execute(text("SELECT pepper FROM access_state"))).scalar_one()
    assert bytes(kept) == (b"" if given else first)


async def test_another_pepper(database: Database) -> None:
    """It is refused where there are keys that would all be wrong, and taken where there are none."""
    store = KeyStore(database)
    await store.open(None)
    assert await store.open(b"one") == b"one"
    await store.add(Key(id="key_1", name="k"), digest("k"))
    with pytest.raises(ConfigError, match=r"access\.pepper: .* another: set that"):
        await store.open(b"two")
    with pytest.raises(ConfigError, match=r"access\.pepper: .* another: set that"):
        await store.open(None)


async def test_a_pepper_where_the_database_has_its_own(store: KeyStore) -> None:
    """It is refused where there are keys."""
    await store.add(Key(id="key_1", name="k"), digest("k"))
    with pytest.raises(ConfigError, match="the secret of the database itself: unset it"):
        await store.open(b"one")


async def test_texts_are_only_texts(store: KeyStore) -> None:
    """What looks like SQL is a name like any other."""
    await store.add(Key(id=HOSTILE, name=HOSTILE, tags=["%_"]), digest("k"))
    assert (await store.get(HOSTILE)).name == HOSTILE
    assert await store.page({"user_id": HOSTILE}, "", 10) == []
    assert (await store.find_user(HOSTILE))[1] is None
    for name in (HOSTILE[:-1], "%", "_"):
        with pytest.raises(GatewayError, match="There is no key"):
            await store.get(name)


async def test_no_secret_is_stored(store: KeyStore, database: Database) -> None:
    """Only digests are."""
    await store.add(Key(id="key_1", name="k", prefix="sk-tl-abc"), digest("k"))
    async with database.reading() as connection:
        columns = (await connection.execute(text("SELECT * FROM api_keys"))).mappings().one()
    assert bytes(columns["digest"]) == digest("k")
    assert {name for name in columns if "secret" in name} == set()
