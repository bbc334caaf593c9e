"""Callers known by static keys, by those of the database, and by tokens."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import jwt
import pytest
from access.records import FakeRecords, Found
from hypothesis import given
from hypothesis import strategies as st

from trunkline.access.directory import Directory
from trunkline.access.grants import Plan, Scope, limits_of
from trunkline.access.keys import Keys
from trunkline.access.secret import make_secret
from trunkline.access.tokens import Bearer, Issuer, Tokens
from trunkline.call import ANYONE
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.keys_pb2 import Key, Limits, Organization, User

KEYS = Keys([("alice", "sk-alice-0123456789"), ("bob", "sk-bob-0123456789"), ("short", "x")])


def refusal(key: str) -> str:
    """The message with which `key` is refused."""
    with pytest.raises(GatewayError) as raised:
        asyncio.run(KEYS.authenticate(key))
    assert raised.value.reason == errors_pb2.ERROR_REASON_UNAUTHENTICATED
    assert raised.value.row.openai_code == "invalid_api_key"
    return raised.value.message


async def test_a_key_tells_the_caller() -> None:
    """Each key gives the name it is configured with."""
    assert (await KEYS.authenticate("sk-alice-0123456789")).name == "alice"
    assert (await KEYS.authenticate("sk-bob-0123456789")).name == "bob"
    assert (await KEYS.authenticate("x")).name == "short"


@pytest.mark.parametrize("key", ["", "anything", "\udcff"])
async def test_without_keys_everyone_is_let_in(key: str) -> None:
    """Open mode asks for nothing and believes nothing."""
    assert await Keys([]).authenticate(key) == ANYONE


def test_a_missing_key() -> None:
    """A caller without a key is told how to present one."""
    assert refusal("").startswith("You didn't provide an API key.")


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk-alice-01234567890", "sk-al***90"),
        ("sk-alice-012345678", "***"),
        ("alice", "***"),
        ("é" * 40, "***"),
        ("a\r\n" + "b" * 40, "***"),
        ("\udcff" * 40, "***"),
    ],
)
def test_a_wrong_key(key: str, shown: str) -> None:
    """A wrong key is refused with no more of it than it takes to know which one it was."""
    assert refusal(key) == f"Incorrect API key provided: {shown}."


@given(st.text(st.characters(exclude_categories=[]), min_size=1))
def test_any_other_key_is_refused(key: str) -> None:
    """No text but a configured key lets anyone in, and every refusal can be sent."""
    if key != "x":
        refusal(key).encode("ascii")


def test_secrets_are_not_kept() -> None:
    """Nothing that holds the keys in memory holds a secret."""
    assert "sk-alice" not in repr(vars(KEYS))


class Clock:
    """The time, which passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def of_records(records: FakeRecords, clock: Clock | None = None, **more: Any) -> tuple[Keys, Directory]:
    """Keys over records."""
    directory = Directory(records, b"pepper", clock or Clock())
    keys = Keys(more.pop("static", []), directory=directory, clock=clock or Clock(), **more)
    keys.take_over()
    return keys, directory


async def reason(keys: Keys, key: str) -> str:
    """Why `key` is refused."""
    with pytest.raises(GatewayError) as raised:
        await keys.authenticate(key)
    return f"{raised.value.name}: {raised.value.message}"


async def test_a_key_of_the_database() -> None:
    """It is told by its digest, with all that it grants."""
    records = FakeRecords()
    keys, directory = of_records(records)
    secret = make_secret()
    records.put(Found(Key(id="key_1", name="ann", models=["gpt-*"], tags=["a"]), directory.digest(secret)))
    caller = await keys.authenticate(secret)
    assert (caller.name, caller.key_id, caller.account, caller.models) == ("ann", "key_1", "key_1", ("gpt-*",))
    assert await keys.authenticate(secret) is caller


async def test_a_malformed_key_is_not_looked_for() -> None:
    """What the checksum tells costs nobody a query, nor does what is too long to be a key."""
    records = FakeRecords()
    keys, directory = of_records(records)
    await directory.refresh()
    for key in (make_secret()[:-1] + "!", "sk-tl-", "x" * 100_000):
        assert (await reason(keys, key)).startswith("UNAUTHENTICATED: Incorrect API key")
    assert records.queries == []
    await reason(keys, make_secret())
    assert len(records.queries) == 1


async def test_open_until_there_is_a_key() -> None:
    """Without any key everyone may call, whatever he presents; the first key ends that, and for ever."""
    records = FakeRecords()
    records.closed = False
    keys, directory = of_records(records)
    await directory.refresh()
    assert keys.open
    for key in ("", "none", make_secret()):
        assert await keys.authenticate(key) is ANYONE
    records.closed = True
    records.put(Found(Key(id="key_1", name="ann"), directory.digest("sk-ann")))
    await directory.refresh()
    assert not keys.open
    assert await reason(keys, "none") == "UNAUTHENTICATED: Incorrect API key provided: ***."
    assert (await reason(keys, "")).startswith("UNAUTHENTICATED: You didn't provide an API key.")


async def test_what_closes_it() -> None:
    """Keys of the configuration, issuers of tokens and the setting do, each alone."""
    records = FakeRecords()
    records.closed = False
    for more in ({"static": [("a", "b")]}, {"required": True}, {"tokens": Tokens([])}):
        keys, _ = of_records(records, **more)
        assert not keys.open
        await reason(keys, "")


async def test_the_admin_key_of_the_configuration() -> None:
    """It is an admin's, and does not close an open gateway."""
    records = FakeRecords()
    records.closed = False
    keys, directory = of_records(records, admin="a" * 32)
    await directory.refresh()
    admin = await keys.authenticate("a" * 32)
    assert admin.admin
    assert keys.open
    assert not (await keys.authenticate("")).admin


async def test_every_lookup_compares_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets are never compared themselves, and digests in constant time."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, two: bytes) -> bool:
        compared.append((one, two))
        return True

    records = FakeRecords()
    keys, directory = of_records(records)
    secret = make_secret()
    records.put(Found(Key(id="key_1", name="ann"), directory.digest(secret)))
    monkeypatch.setattr("hmac.compare_digest", compare)
    await keys.authenticate(secret)
    await keys.authenticate(secret)
    assert compared == [(directory.digest(secret),) * 2] * 2


SECRET = "a secret of at least 32 characters"


def token(**claims: Any) -> str:
    """A token of the issuer `corp`."""
    return jwt.encode({"sub": "ann", "exp": time.time() + 600, **claims}, SECRET, "HS256")


def with_tokens(records: FakeRecords, **more: Any) -> tuple[Keys, Directory, Clock]:
    """Keys that take tokens of the issuer `corp`."""
    clock = Clock()
    clock.now = time.time()
    tokens = Tokens([Issuer("corp", SECRET, ["HS256"], **more)])
    plans = {name: Plan(name, Scope(), Limits(requests_per_minute=1)) for name in ("free", "gold")}
    keys, directory = of_records(records, clock, tokens=tokens, plans=plans)
    return keys, directory, clock


async def test_a_token_of_a_user() -> None:
    """He may do what the token and he himself may, and his owners."""
    records = FakeRecords()
    keys, _, _ = with_tokens(records, scopes={"llm": ["gpt-*"]})
    user = User(id="user_1", plan="free", models=["*4*"], organization_id="org_1", tags=["u"])
    records.users["corp:ann"] = Found(user=user, organization=Organization(id="org_1", providers=["openai"]))
    caller = await keys.authenticate(token(scope="llm", plan="gold"))
    assert (caller.name, caller.user_id, caller.organization_id) == ("corp:ann", "user_1", "org_1")
    assert (caller.plan, caller.tags, caller.account) == ("gold", ("u",), "corp:ann")
    assert caller.may_ask("gpt-4", "openai", "gpt-4")
    assert not caller.may_ask("gpt-5", "openai", "gpt-5")
    assert not caller.may_ask("o4", "openai", "o4")
    assert not caller.may_ask("gpt-4", "azure", "gpt-4")
    assert {limit.id for limit in limits_of(caller)} == {"plan:gold:user_1:requests", "plan:free:user_1:requests"}


async def test_a_disabled_user() -> None:
    """His tokens are refused as soon as that is known."""
    records = FakeRecords()
    keys, directory, _ = with_tokens(records)
    await directory.refresh()
    records.users["corp:ann"] = Found(user=User(id="user_1"))
    presented = token()
    assert (await keys.authenticate(presented)).user_id == "user_1"
    records.users["corp:ann"] = Found(user=User(id="user_1", disabled=True))
    records.put(Found(), "user_1")
    await directory.refresh()
    assert await reason(keys, presented) == "UNAUTHENTICATED: The token is refused: its user is disabled."


async def test_a_user_who_is_not_known() -> None:
    """He is taken for what the token says, or refused where the configuration wants to know him; once he is there, he
    counts."""
    records = FakeRecords()
    keys, directory, _ = with_tokens(records)
    await directory.refresh()
    presented = token(plan="free")
    caller = await keys.authenticate(presented)
    assert (caller.user_id, caller.key_id, caller.plan) == ("corp:ann", "", "free")
    records.users["corp:ann"] = Found(user=User(id="user_1"))
    records.put(Found(), "user_1")
    await directory.refresh()
    assert (await keys.authenticate(presented)).user_id == "user_1"
    strict, _, _ = with_tokens(FakeRecords(), known_users=True)
    assert (await reason(strict, token())).startswith("PERMISSION_DENIED: The token is of a user whom")


async def test_a_plan_that_a_token_makes_up() -> None:
    """It allows nothing."""
    keys, _, _ = with_tokens(FakeRecords())
    assert await reason(keys, token(plan="admin")) == "PERMISSION_DENIED: The plan of the token is not configured."


async def test_a_token_that_was_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not verified again for a minute, or until it ends."""
    keys, _, clock = with_tokens(FakeRecords(), leeway=0.0)
    presented = token(exp=clock.now + 90)
    verified = 0
    read = Tokens.read

    async def counted(self: Tokens, text: str) -> Bearer:
        nonlocal verified
        verified += 1
        return await read(self, text)

    monkeypatch.setattr(Tokens, "read", counted)
    for later, times in ((0, 1), (59, 1), (61, 2), (89, 2)):
        begun = clock.now
        clock.now += later
        await keys.authenticate(presented)
        assert verified == times
        clock.now = begun
    soon = token(exp=clock.now + 30)
    await keys.authenticate(soon)
    clock.now += 31
    await keys.authenticate(soon)
    assert verified == 4


async def test_static_plans() -> None:
    """A key of the configuration may be on a plan."""
    plans = {"free": Plan("free", Scope(("gpt-*",)), Limits(requests_per_minute=1))}
    keys = Keys([("me", "sk-me"), ("you", "sk-you")], plans=plans, named={"me": "free"})
    me, you = [await keys.authenticate(f"sk-{name}") for name in ("me", "you")]
    assert (me.plan, you.plan) == ("free", "")
    assert not me.may_ask("claude", "anthropic", "claude")
    assert you.may_ask("claude", "anthropic", "claude")
    assert [limit.id for limit in limits_of(me)] == ["plan:free:keys/me:requests"]
