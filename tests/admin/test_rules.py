"""What answers `RuleService`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from trunkline.admin.rules import RuleDesk
from trunkline.call import Call, Caller
from trunkline.errors import GatewayError
from trunkline.routing.rules import MadeRules
from trunkline.store.database import Database, opened
from trunkline.store.rules import RuleStore
from trunkline.v1 import errors_pb2
from trunkline.v1.rules_pb2 import (
    CreateRuleRequest,
    DeleteRuleRequest,
    GetRuleRequest,
    ListRulesRequest,
    ReplaceRuleRequest,
    RoutingRule,
)

ADMIN = Call("id", "native", owner=Caller("root", admin=True))


@pytest.fixture
async def database(store_url: str) -> AsyncIterator[Database]:
    """A store of each kind."""
    one = await opened(store_url)
    yield one
    await one.close()


def desk(database: Database) -> RuleDesk:
    """What one replica answers with."""
    return RuleDesk(RuleStore(database), MadeRules())


def rule(name: str, priority: int = 0) -> RoutingRule:
    """A rule that sends everything to the model of its name."""
    made = RoutingRule(name=name, priority=priority)
    made.action.model = name
    return made


def in_force(one: RuleDesk) -> list[str]:
    """The names of the rules that calls look at."""
    return [found.name for found in one.made.rules]


async def test_a_rule_lives(database: Database) -> None:
    """It is made, found, replaced and deleted, and in force at once where that is done."""
    one = desk(database)
    made = await one.create_rule(CreateRuleRequest(rule=rule("a")), ADMIN)
    assert made.id.startswith("rule_")
    assert made.create_time.seconds
    assert in_force(one) == ["a"]
    assert await one.get_rule(GetRuleRequest(id=made.id), ADMIN) == made

    changed = rule("b", 3)
    changed.id = made.id
    replaced = await one.replace_rule(ReplaceRuleRequest(rule=changed), ADMIN)
    assert (replaced.name, replaced.create_time) == ("b", made.create_time)
    assert in_force(one) == ["b"]

    await one.delete_rule(DeleteRuleRequest(id=made.id), ADMIN)
    assert in_force(one) == []
    for ask in (one.get_rule(GetRuleRequest(id=made.id), ADMIN), one.delete_rule(DeleteRuleRequest(id=made.id), ADMIN)):
        with pytest.raises(GatewayError) as raised:
            await ask
        assert raised.value.reason == errors_pb2.ERROR_REASON_NOT_FOUND


async def test_a_disabled_rule_is_kept_and_not_in_force(database: Database) -> None:
    """Until it is replaced by one that is."""
    one = desk(database)
    off = rule("off")
    off.disabled = True
    made = await one.create_rule(CreateRuleRequest(rule=off), ADMIN)
    assert in_force(one) == []
    made.disabled = False
    await one.replace_rule(ReplaceRuleRequest(rule=made), ADMIN)
    assert in_force(one) == ["off"]


async def test_rules_are_listed_by_priority_and_page(database: Database) -> None:
    """Each once."""
    one = desk(database)
    for priority in (1, 3, 2):
        await one.create_rule(CreateRuleRequest(rule=rule(f"p{priority}", priority)), ADMIN)
    first = await one.list_rules(ListRulesRequest(page_size=2), ADMIN)
    second = await one.list_rules(ListRulesRequest(page_size=2, page_token=first.next_page_token), ADMIN)

    assert [found.name for found in (*first.rules, *second.rules)] == ["p3", "p2", "p1"]
    assert not second.next_page_token


async def test_another_replica_hears_of_it(database: Database) -> None:
    """By looking, as it does again and again."""
    here, there = desk(database), desk(database)
    following = asyncio.create_task(there.follow())
    made = await here.create_rule(CreateRuleRequest(rule=rule("a")), ADMIN)
    async with asyncio.timeout(30):
        while in_force(there) != ["a"]:
            await there.look()
        await here.delete_rule(DeleteRuleRequest(id=made.id), ADMIN)
        while in_force(there):
            await there.look()
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following


async def test_only_admins_manage_rules(database: Database) -> None:
    """Everyone else is refused, whatever is asked."""
    one, call = desk(database), Call("id", "native", owner=Caller("alice"))
    for ask in (
        one.create_rule(CreateRuleRequest(rule=rule("a")), call),
        one.list_rules(ListRulesRequest(), call),
        one.get_rule(GetRuleRequest(id="x"), call),
        one.replace_rule(ReplaceRuleRequest(rule=rule("a")), call),
        one.delete_rule(DeleteRuleRequest(id="x"), call),
    ):
        with pytest.raises(GatewayError) as raised:
            await ask
        assert raised.value.reason == errors_pb2.ERROR_REASON_PERMISSION_DENIED
