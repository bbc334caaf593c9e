"""The routing rules that were made by API."""

from __future__ import annotations

import secrets
import time
from typing import Final

from sqlalchemy import func, insert, select, update

from trunkline.errors import invalid_request, not_found
from trunkline.store.database import Database, unbroken
from trunkline.store.tables import ROUTING_RULES
from trunkline.v1.rules_pb2 import RoutingRule

_MOST: Final = 1000
"""The most rules: each call looks at them until one matches."""

Mark = tuple[int, int]
"""What changes whenever a rule does: how many rows there are, and when the last one was changed."""


class RuleStore:
    """Rules by their ids."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @unbroken
    async def mark(self) -> Mark:
        """What tells whether rules were changed."""
        columns = (func.count(), func.coalesce(func.max(ROUTING_RULES.c.changed_at), 0))
        async with self._database.reading() as connection:
            rows, changed = (await connection.execute(select(*columns).select_from(ROUTING_RULES))).one()
        return rows, changed

    @unbroken
    async def all(self) -> list[RoutingRule]:
        """Every rule, those of the highest priority first."""
        table = ROUTING_RULES
        order = select(table.c.body).where(~table.c.deleted).order_by(table.c.priority.desc(), table.c.id)
        async with self._database.reading() as connection:
            return [RoutingRule.FromString(body) for body in (await connection.execute(order)).scalars()]

    @unbroken
    async def get(self, name: str) -> RoutingRule:
        """One rule. Raises `GatewayError` (NOT_FOUND)."""
        table = ROUTING_RULES
        one = select(table.c.body).where(table.c.id == name, ~table.c.deleted)
        async with self._database.reading() as connection:
            body = (await connection.execute(one)).scalar()
        if body is None:
            raise _unknown(name)
        return RoutingRule.FromString(body)

    @unbroken
    async def add(self, rule: RoutingRule) -> RoutingRule:
        """Store a rule that is new, and give it with its id. Raises `GatewayError` where there are too many."""
        table = ROUTING_RULES
        made = RoutingRule()
        made.CopyFrom(rule)
        made.id = f"rule_{secrets.token_hex(12)}"
        now = _now(made)
        made.create_time.CopyFrom(made.update_time)
        async with self._database.writing() as connection:
            count = (await connection.execute(select(func.count()).where(~table.c.deleted))).scalar_one()
            if count >= _MOST:
                raise invalid_request(f"There are {count} rules, as many as there may be: delete one.", "rule")
            body = made.SerializeToString()
            await connection.execute(
                insert(table).values(id=made.id, priority=made.priority, changed_at=now, deleted=False, body=body)
            )
        return made

    @unbroken
    async def replace(self, rule: RoutingRule) -> RoutingRule:
        """Put `rule` in the place of the one with its id. Raises `GatewayError` (NOT_FOUND)."""
        table = ROUTING_RULES
        made = RoutingRule()
        made.CopyFrom(rule)
        now = _now(made)
        async with self._database.writing() as connection:
            one = select(table.c.body).where(table.c.id == rule.id, ~table.c.deleted)
            body = (await connection.execute(one)).scalar()
            if body is None:
                raise _unknown(rule.id)
            made.create_time.CopyFrom(RoutingRule.FromString(body).create_time)
            values = {"priority": made.priority, "changed_at": now, "body": made.SerializeToString()}
            await connection.execute(update(table).where(table.c.id == rule.id).values(values))
        return made

    @unbroken
    async def delete(self, name: str) -> None:
        """Delete a rule. Raises `GatewayError` (NOT_FOUND)."""
        table = ROUTING_RULES
        values = {"deleted": True, "body": b"", "changed_at": time.time_ns()}
        async with self._database.writing() as connection:
            gone = await connection.execute(update(table).where(table.c.id == name, ~table.c.deleted).values(values))
            if not gone.rowcount:
                raise _unknown(name)


def _now(rule: RoutingRule) -> int:
    now = time.time_ns()
    rule.update_time.FromNanoseconds(now)
    return now


def _unknown(name: str) -> Exception:
    return not_found(f"There is no rule `{name[:64]}`.", "id")
