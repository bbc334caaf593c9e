"""What a caller may do is what his key, its owners and their plans all allow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.access.grants import Granted, Owners, Plan, Scope, grant_key, grant_static, grant_user, limits_of
from trunkline.access.limits.model import CALENDAR_DAY, CALENDAR_MONTH, HELD, TOTAL, Unit, rolling
from trunkline.call import ANYONE, Caller
from trunkline.v1.keys_pb2 import Key, Limits, Organization, Team, User

NAMES = ["gpt-4", "gpt-4o", "claude", "house", "*", "gpt-*", "*4*", "openai/*", "anthropic/claude"]
PROVIDERS = ["openai", "anthropic", "azure", "a*", "*"]

patterns = st.lists(st.sampled_from(NAMES), max_size=3)
providers = st.lists(st.sampled_from(PROVIDERS), max_size=2)
scopes = st.tuples(patterns, providers)
asked = st.tuples(
    st.sampled_from(["gpt-4", "gpt-4o", "claude", "house"]),
    st.sampled_from(["openai", "anthropic", "azure"]),
    st.sampled_from(["gpt-4", "gpt-4o", "claude"]),
)


def granted(key: tuple[list[str], list[str]], *owners: tuple[list[str], list[str]]) -> Granted:
    """A key and its owners, the organization first, then the team, the user, and the plan of the user."""
    organization, team, user, plan = (*owners, *[([], [])] * 4)[:4]
    plans = {"plan": Plan("plan", Scope(tuple(plan[0]), tuple(plan[1])), Limits())}
    return grant_key(
        Key(id="key", name="key", models=key[0], providers=key[1], user_id="user"),
        Owners(
            User(id="user", models=user[0], providers=user[1], plan="plan"),
            Team(id="team", models=team[0], providers=team[1]),
            Organization(id="org", models=organization[0], providers=organization[1]),
        ),
        plans,
    )


@given(scopes, st.lists(scopes, max_size=4), asked)
def test_the_intersection(
    key: tuple[list[str], list[str]], owners: list[tuple[list[str], list[str]]], call: tuple[str, str, str]
) -> None:
    """A model may be asked exactly where the key and each of its owners alone would allow it."""
    alone = [
        Caller("one", models=tuple(models), providers=tuple(names)).may_ask(*call) for models, names in [key, *owners]
    ]
    one = granted(key, *owners)
    assert one.may_ask(*call) == all(alone)
    assert one.restricted or all(alone)


@given(scopes, st.lists(scopes, max_size=3), scopes, asked)
def test_never_wider(
    key: tuple[list[str], list[str]],
    owners: list[tuple[list[str], list[str]]],
    more: tuple[list[str], list[str]],
    call: tuple[str, str, str],
) -> None:
    """One more owner never allows what was not allowed, whatever the owner allows himself."""
    if granted(key, *owners, more).may_ask(*call):
        assert granted(key, *owners).may_ask(*call)


def test_every_limit() -> None:
    """Each field is a limit of its unit and its window; what is not set is none."""
    limits = Limits(
        requests_per_minute=1,
        requests_per_hour=2,
        requests_per_day=3,
        tokens_per_minute=4,
        concurrent_calls=5,
        concurrent_streams=0,
        daily_nano_usd=7,
        monthly_nano_usd=8,
        total_nano_usd=9,
        budget_nano_usd=10,
        budget_days=7,
        models={"gpt-*": Limits(tokens_per_minute=11)},
    )
    found = limits_of(grant_key(Key(id="key_1", name="k", limits=limits), Owners(), {}))
    assert [(one.unit, one.window, one.most, one.scope) for one in found] == [
        (Unit.REQUESTS, rolling(60), 1, ""),
        (Unit.REQUESTS, rolling(3600), 2, ""),
        (Unit.REQUESTS, rolling(86_400), 3, ""),
        (Unit.TOKENS, rolling(60), 4, ""),
        (Unit.CALLS, HELD, 5, ""),
        (Unit.STREAMS, HELD, 0, ""),
        (Unit.MONEY, CALENDAR_DAY, 7, ""),
        (Unit.MONEY, CALENDAR_MONTH, 8, ""),
        (Unit.MONEY, TOTAL, 9, ""),
        (Unit.MONEY, rolling(7 * 86_400), 10, ""),
        (Unit.TOKENS, rolling(60), 11, "gpt-*"),
    ]
    assert {one.owner for one in found} == {"key"}
    assert len({one.counter for one in found}) == len(found)
    assert limits_of(grant_key(Key(id="key_1", name="k"), Owners(), {})) == ()


def test_limits_are_shared_by_their_owners() -> None:
    """Two keys of one user share his limits, those of his team and his organization, and those of his plan."""
    each = Limits(requests_per_minute=5)
    plans = {"gold": Plan("gold", Scope(), each)}
    owners = Owners(
        User(id="u", plan="gold", limits=each), Team(id="t", limits=each), Organization(id="o", limits=each)
    )
    one, two = (limits_of(grant_key(Key(id=name, user_id="u", limits=each), owners, plans)) for name in ("a", "b"))
    counters = [{limit.counter for limit in limits} for limits in (one, two)]
    assert {limit.owner for limit in one} == {"key", "user", "team", "organization", "plan"}
    assert len(counters[0]) == 5
    assert counters[0] - counters[1] == {"key:a:requests:r60"}


def test_the_plans_of_a_key_and_of_its_user() -> None:
    """Both hold, and one that is named twice counts once."""
    plans = {name: Plan(name, Scope((f"{name}*",)), Limits(requests_per_minute=1)) for name in ("free", "gold")}
    user = Owners(User(id="u", plan="free"))
    both = grant_key(Key(id="k", user_id="u", plan="gold"), user, plans)
    assert both.plan == "gold"
    assert not both.may_ask("gold-1", "p", "m")
    assert {one.id for one in both.limits} == {"plan:free:u:requests", "plan:gold:u:requests"}
    once = grant_key(Key(id="k", user_id="u", plan="free"), user, plans)
    assert [one.id for one in once.limits] == ["plan:free:u:requests"]
    assert [one.id for one in grant_key(Key(id="k", plan="free"), Owners(), plans).limits] == ["plan:free:k:requests"]


def test_a_plan_that_there_is_not() -> None:
    """It allows nothing: who is on it is refused rather than let do anything."""
    for refused in (
        lambda: grant_key(Key(id="k", plan="gone"), Owners(), {}),
        lambda: grant_key(Key(id="k"), Owners(User(id="u", plan="gone")), {}),
        lambda: grant_user("corp:ann", Owners(), "gone", (), {}),
        lambda: grant_static("me", "gone", {}),
    ):
        with pytest.raises(LookupError, match="gone"):
            refused()


def test_tags() -> None:
    """Those of the key and of all its owners, each once."""
    owners = Owners(User(tags=["a", "b"]), None, Organization(tags=["c", "a"]))
    assert grant_key(Key(tags=["k", "a"]), owners, {}).tags == ("k", "a", "b", "c")


def test_callers_without_limits() -> None:
    """Whoever has no key of the database has none."""
    assert limits_of(ANYONE) == ()
    assert limits_of(Caller("someone")) == ()
