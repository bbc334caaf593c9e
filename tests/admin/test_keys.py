"""What answers `KeyService`: for admins alone, whole or not at all, and in force at once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from trunkline.access.fields import assign
from trunkline.access.grants import Plan, Scope
from trunkline.access.keys import Keys
from trunkline.access.secret import make_secret
from trunkline.admin.keys import KeyDesk, open_keys
from trunkline.call import ANYONE, Call, Caller
from trunkline.config.access import AccessConfig
from trunkline.errors import GatewayError
from trunkline.services import ADMIN as SERVICES
from trunkline.store.database import Database, opened
from trunkline.store.engine import MEMORY
from trunkline.v1 import errors_pb2, keys_pb2
from trunkline.v1.keys_pb2 import (
    CreateKeyRequest,
    CreateKeyResponse,
    CreateOrganizationRequest,
    CreateTeamRequest,
    CreateUserRequest,
    DeleteKeyRequest,
    DeleteOrganizationRequest,
    DisableKeyRequest,
    EnableKeyRequest,
    GetKeyRequest,
    Key,
    Limits,
    ListKeysRequest,
    ListUsersRequest,
    Organization,
    RotateKeyRequest,
    Team,
    UpdateKeyRequest,
    UpdateUserRequest,
    User,
)

ADMIN = Call("id", "native", owner=Caller("root", key_id="key_root", admin=True))


def by(caller: Caller) -> Call:
    """A call of someone."""
    return Call("id", "native", owner=caller)


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """One in memory."""
    one = await opened(MEMORY)
    yield one
    await one.close()


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[KeyDesk]:
    """What one replica answers with."""
    one = await open_keys(AccessConfig(), database)
    one.directory.plan({"gold": Plan("gold", Scope(), Limits())})
    yield one
    await one.directory.close()


async def make(desk: KeyDesk, name: str = "k", **fields: Any) -> CreateKeyResponse:
    """A key."""
    return await desk.create_key(CreateKeyRequest(key=Key(name=name, **fields)), ADMIN)


async def refused(answer: Awaitable[object]) -> GatewayError:
    """The error of what is refused."""
    with pytest.raises(GatewayError) as raised:
        await answer
    return raised.value


async def param(answer: Awaitable[object]) -> str | None:
    """The field that is at fault."""
    error = await refused(answer)
    assert error.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
    return error.param


async def test_only_admins(desk: KeyDesk) -> None:
    """No RPC answers anyone else, whatever he asks for."""
    (service, _) = SERVICES
    for caller in (ANYONE, Caller("static"), Caller("k", key_id="key_1"), Caller("u", user_id="user_1")):
        for method in service.methods:
            name = "".join(f"_{char.lower()}" if char.isupper() else char for char in method.name)[1:]
            request = getattr(keys_pb2, method.input_type.name)()
            error = await refused(getattr(desk, name)(request, by(caller)))
            assert error.reason == errors_pb2.ERROR_REASON_PERMISSION_DENIED, name


async def test_a_key_lives(desk: KeyDesk) -> None:
    """It is made, found, rotated, disabled, enabled and deleted, each in force at once."""
    keys = Keys([], directory=desk.directory)
    made = await make(desk, limits=Limits(requests_per_minute=5))
    assert made.key.prefix == made.secret[:12]
    assert made.secret not in str(made.key)
    assert (await keys.authenticate(made.secret)).key_id == made.key.id
    assert await desk.get_key(GetKeyRequest(id=made.key.id), ADMIN) == made.key
    rotation = RotateKeyRequest(id=made.key.id)
    rotation.grace.FromSeconds(60)
    rotated = await desk.rotate_key(rotation, ADMIN)
    assert rotated.key.prefix == rotated.secret[:12]
    for secret in (made.secret, rotated.secret):
        assert (await keys.authenticate(secret)).key_id == made.key.id
    again = await desk.rotate_key(RotateKeyRequest(id=made.key.id), ADMIN)
    for secret in (made.secret, rotated.secret):
        assert "Incorrect API key" in (await refused(keys.authenticate(secret))).message
    await desk.disable_key(DisableKeyRequest(id=made.key.id), ADMIN)
    assert "is disabled" in (await refused(keys.authenticate(again.secret))).message
    await desk.enable_key(EnableKeyRequest(id=made.key.id), ADMIN)
    assert (await keys.authenticate(again.secret)).key_id == made.key.id
    await desk.delete_key(DeleteKeyRequest(id=made.key.id), ADMIN)
    assert "Incorrect API key" in (await refused(keys.authenticate(again.secret))).message
    error = await refused(desk.get_key(GetKeyRequest(id=made.key.id), ADMIN))
    assert error.reason == errors_pb2.ERROR_REASON_NOT_FOUND


async def test_a_secret_from_elsewhere(desk: KeyDesk) -> None:
    """A key that is in use goes on working, and is not told again."""
    secret = "sk-or-v1-0123456789abcdef"
    made = await desk.create_key(CreateKeyRequest(key=Key(name="k"), secret=secret), ADMIN)
    assert (made.secret, made.key.prefix) == ("", "sk-or-")
    assert (await Keys([], directory=desk.directory).authenticate(secret)).key_id == made.key.id
    wrong = make_secret()[:-1] + "!"
    for bad in ("short", "x" * 513, "with a space in it", "sk-ö-0123456789abcdef", wrong, f"ey{'a' * 20}.b.c", secret):
        assert await param(desk.create_key(CreateKeyRequest(key=Key(name="k"), secret=bad), ADMIN)) == "secret"


async def test_the_first_admin(desk: KeyDesk, database: Database) -> None:
    """A key is made for him once, and does not close an open gateway."""
    secret = await desk.first_admin()
    assert secret is not None
    assert await desk.first_admin() is None
    keys = Keys([], directory=desk.directory)
    admin = await keys.authenticate(secret)
    assert admin.admin
    assert keys.open
    await make(desk)
    assert not keys.open
    second = await open_keys(AccessConfig(), database)
    assert not Keys([], directory=second.directory).open


async def test_an_admin_cannot_lock_himself_out(desk: KeyDesk) -> None:
    """The key that is called with is neither disabled nor deleted by its own call."""
    made = await make(desk, admin=True)
    call = by(Caller("me", key_id=made.key.id, admin=True))
    update = UpdateKeyRequest(key=Key(id=made.key.id, disabled=True))
    assert await param(desk.delete_key(DeleteKeyRequest(id=made.key.id), call)) == "id"
    assert await param(desk.disable_key(DisableKeyRequest(id=made.key.id), call)) == "id"
    assert await param(desk.update_key(update, call)) == "id"


async def test_owners_that_follow(desk: KeyDesk) -> None:
    """A key is also the team's and the organization's of its user, and no other's."""
    acme, other = [
        await desk.create_organization(CreateOrganizationRequest(organization=Organization(name=name)), ADMIN)
        for name in ("acme", "other")
    ]
    team = await desk.create_team(CreateTeamRequest(team=Team(name="red", organization_id=acme.id)), ADMIN)
    user = await desk.create_user(CreateUserRequest(user=User(name="ann", team_id=team.id)), ADMIN)
    assert user.organization_id == acme.id
    key = (await make(desk, user_id=user.id)).key
    assert (key.team_id, key.organization_id) == (team.id, acme.id)
    for wrong in ({"user_id": user.id}, {"team_id": team.id}):
        assert await param(make(desk, organization_id=other.id, **wrong)) == "key.organization_id"
    for field in ("user_id", "team_id", "organization_id"):
        assert await param(make(desk, **{field: "none"})) == f"key.{field}"
    assert (
        await param(desk.create_user(CreateUserRequest(user=User(name="u", team_id="none")), ADMIN)) == "user.team_id"
    )
    error = await refused(desk.delete_organization(DeleteOrganizationRequest(id=acme.id), ADMIN))
    assert team.id in error.message


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"name": ""}, "key.name"),
        ({"name": " "}, "key.name"),
        ({"name": "a\r\nset-cookie: b"}, "key.name"),
        ({"name": "x" * 129}, "key.name"),
        ({"id": "mine"}, "key.id"),
        ({"models": ["gpt-[45]"]}, "key.models[0]"),
        ({"models": ["a", ""]}, "key.models[1]"),
        ({"models": ["m"] * 501}, "key.models"),
        ({"providers": ["open?i"]}, "key.providers[0]"),
        ({"surfaces": ["telnet"]}, "key.surfaces"),
        ({"plan": "none"}, "key.plan"),
        ({"tags": ["x" * 65]}, "key.tags[0]"),
        ({"metadata": {"a": "x" * 1025}}, "key.metadata.a"),
        ({"metadata": {"": "x"}}, "key.metadata"),
        ({"limits": Limits(requests_per_minute=-1)}, "key.limits.requests_per_minute"),
        ({"limits": Limits(daily_nano_usd=2**53)}, "key.limits.daily_nano_usd"),
        ({"limits": Limits(budget_nano_usd=1, budget_days=0)}, "key.limits.budget_days"),
        ({"limits": Limits(models={"a": Limits(models={"b": Limits()})})}, "key.limits.models.a.models"),
        ({"limits": Limits(models={"a": Limits(concurrent_calls=-5)})}, "key.limits.models.a.concurrent_calls"),
    ],
)
async def test_fields(desk: KeyDesk, fields: dict[str, Any], at: str) -> None:
    """What cannot be is refused, and its field is named."""
    assert await param(desk.create_key(CreateKeyRequest(key=Key(**{"name": "k", **fields})), ADMIN)) == at


async def test_expiry(desk: KeyDesk) -> None:
    """It lies ahead when it is set; a key that has ended can be changed all the same."""
    key = Key(name="k")
    key.expire_time.FromSeconds(1)
    assert await param(desk.create_key(CreateKeyRequest(key=key), ADMIN)) == "key.expire_time"
    key.expire_time.FromSeconds(int(time.time()) + 100)
    made = await desk.create_key(CreateKeyRequest(key=key), ADMIN)
    update = UpdateKeyRequest(key=Key(id=made.key.id), update_mask=FieldMask(paths=["expire_time"]))
    assert not (await desk.update_key(update, ADMIN)).HasField("expire_time")
    update.key.expire_time.FromSeconds(1)
    assert await param(desk.update_key(update, ADMIN)) == "key.expire_time"


async def test_updates(desk: KeyDesk) -> None:
    """A mask changes what it names; without one, what is set is changed."""
    limits = Limits(requests_per_minute=5, tokens_per_minute=6, models={"a": Limits(concurrent_calls=1)})
    made = (await make(desk, models=["a"], limits=limits, plan="gold")).key

    async def update(key: Key, *paths: str) -> Key:
        key.id = made.id
        return await desk.update_key(UpdateKeyRequest(key=key, update_mask=FieldMask(paths=paths)), ADMIN)

    changed = await update(Key(name="new"), "name", "limits.requests_per_minute", "models")
    assert (changed.name, list(changed.models), changed.plan) == ("new", [], "gold")
    assert not changed.limits.HasField("requests_per_minute")
    assert changed.limits.tokens_per_minute == 6
    assert changed.limits.models["a"].concurrent_calls == 1
    assert (await update(Key(tags=["t"]))).name == "new"
    assert list((await update(Key(limits=Limits()), "limits")).limits.ListFields()) == []
    whole = await update(Key(name="whole"), "*")
    assert (whole.name, whole.plan, list(whole.tags)) == ("whole", "", [])
    # Whoever sends back what he got changes nothing.
    assert (await update(await desk.get_key(GetKeyRequest(id=made.id), ADMIN))).name == "whole"
    for path in ("secret", "limits.nothing", "name.x", "metadata.a", ""):
        assert await param(update(Key(name="x"), path)) == "update_mask"
    for key in (Key(admin=True), Key(user_id="user_1"), Key(organization_id="org_1"), Key(prefix="x")):
        ((field, _),) = key.ListFields()
        assert await param(update(key, field.name)) == f"key.{field.name}"
    assert await param(update(Key(plan="none"), "plan")) == "key.plan"
    assert (await desk.get_key(GetKeyRequest(id=made.id), ADMIN)).plan == ""


names = st.sampled_from(["name", "tags", "metadata", "limits", "limits.total_nano_usd", "disabled", "expire_time"])
keys = st.builds(
    Key,
    name=st.text(max_size=3),
    tags=st.lists(st.text(max_size=2), max_size=2),
    metadata=st.dictionaries(st.text(max_size=2), st.text(max_size=2), max_size=2),
    limits=st.builds(Limits, total_nano_usd=st.one_of(st.none(), st.integers(0, 3)), requests_per_day=st.none()),
    disabled=st.booleans(),
)


@given(keys, keys, st.sets(names, min_size=1))
def test_the_law_of_masks(target: Key, source: Key, paths: set[str]) -> None:
    """What is named is as in the source, all else as before, and a second time changes nothing."""
    before = Key()
    before.CopyFrom(target)
    assign(target, source, FieldMask(paths=sorted(paths)))
    for name in ("name", "tags", "metadata", "disabled"):
        assert getattr(target, name) == getattr(source if name in paths else before, name)
    money = source if paths & {"limits", "limits.total_nano_usd"} else before
    assert target.limits.total_nano_usd == money.limits.total_nano_usd
    assert target.limits.HasField("total_nano_usd") == money.limits.HasField("total_nano_usd")
    once = target.SerializeToString(deterministic=True)
    assign(target, source, FieldMask(paths=sorted(paths)))
    assert target.SerializeToString(deterministic=True) == once


async def test_pages(desk: KeyDesk) -> None:
    """Every key is in one page, the oldest first."""
    made = [(await make(desk, f"k{number}")).key.id for number in range(5)]
    listed, token = [], ""
    while True:
        page = await desk.list_keys(ListKeysRequest(page_size=2, page_token=token), ADMIN)
        assert len(page.keys) <= 2
        listed += [key.id for key in page.keys]
        token = page.next_page_token
        if not token:
            break
    assert listed == sorted(made)
    assert await param(desk.list_keys(ListKeysRequest(page_size=-1), ADMIN)) == "page_size"
    assert await param(desk.list_keys(ListKeysRequest(page_token="\0"), ADMIN)) == "page_token"
    assert await param(desk.list_users(ListUsersRequest(team_id="x" * 65), ADMIN)) == "team_id"


async def test_subjects(desk: KeyDesk) -> None:
    """They have the name of an issuer, and one user each."""
    user = await desk.create_user(CreateUserRequest(user=User(name="ann", subject="corp:ann")), ADMIN)
    for subject in ("ann", ":ann", "corp:", "corp:ann"):
        made = desk.create_user(CreateUserRequest(user=User(name="bob", subject=subject)), ADMIN)
        assert await param(made) == "user.subject"
    changed = await desk.update_user(UpdateUserRequest(user=User(id=user.id, subject="corp:bob")), ADMIN)
    assert changed.subject == "corp:bob"


async def test_standard_limits(desk: KeyDesk) -> None:
    """Where they are switched on, a key has them, and no more than their most; an admin's has none."""
    desk.standard_limits = True
    made = (await make(desk)).key.limits
    assert (made.requests_per_minute, made.tokens_per_minute) == (100, 10_000)
    assert (made.budget_nano_usd, made.budget_days) == (100 * 10**9, 30)
    most = {
        "requests_per_minute": 1000,
        "tokens_per_minute": 100_000,
        "budget_nano_usd": 1000 * 10**9,
        "budget_days": 90,
    }
    key = (await make(desk, limits=Limits(**most))).key  # type: ignore[arg-type]
    for field, value in most.items():
        assert await param(make(desk, limits=Limits(**{field: value + 1}))) == f"key.limits.{field}"  # type: ignore[arg-type]
    update = UpdateKeyRequest(key=Key(id=key.id), update_mask=FieldMask(paths=["limits"]))
    assert (await desk.update_key(update, ADMIN)).limits == made
    assert not (await make(desk, admin=True)).key.HasField("limits")


async def test_keys_of_a_user(desk: KeyDesk) -> None:
    """He makes and deletes his own by a token, which can do no more than the token, and by no key."""
    ann, bob = [await desk.create_user(CreateUserRequest(user=User(name=name)), ADMIN) for name in ("ann", "bob")]
    token = Caller("corp:ann", user_id=ann.id, plan="gold", models=("gpt-*",), providers=("openai",))
    made = await desk.create_own("mine", by(token))
    assert (made.key.user_id, made.key.plan) == (ann.id, "gold")
    assert (list(made.key.models), list(made.key.providers), made.key.admin) == (["gpt-*"], ["openai"], False)
    assert [key.id for key in await desk.keys_of_user(by(token))] == [made.key.id]
    stranger = by(Caller("corp:bob", user_id=bob.id))
    assert (await refused(desk.delete_own(made.key.id, stranger))).reason == errors_pb2.ERROR_REASON_NOT_FOUND
    denied: list[Callable[[], Awaitable[object]]] = [
        lambda: desk.create_own("mine", by(Caller("k", key_id=made.key.id, user_id=ann.id))),
        lambda: desk.create_own("mine", by(Caller("corp:new", user_id="corp:new"))),
        lambda: desk.keys_of_user(by(ANYONE)),
    ]
    for each in denied:
        assert (await refused(each())).reason == errors_pb2.ERROR_REASON_PERMISSION_DENIED
    await desk.delete_own(made.key.id, by(token))
    assert await desk.keys_of_user(by(token)) == []
