"""What answers `RuleService`, and keeps the rules that were made in force."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from google.protobuf.empty_pb2 import Empty

from trunkline.admin.caller import check_admin
from trunkline.call import Call
from trunkline.errors import GatewayError, invalid_request
from trunkline.routing.made import as_rule, check_rule
from trunkline.routing.rules import MadeRules
from trunkline.store.rules import Mark, RuleStore
from trunkline.v1.rules_pb2 import (
    CreateRuleRequest,
    DeleteRuleRequest,
    GetRuleRequest,
    ListRulesRequest,
    ListRulesResponse,
    ReplaceRuleRequest,
    RoutingRule,
)

_EACH: Final = 0.5
"""Seconds between two looks at whether another replica changed a rule."""
_PAGE: Final = 100

_log = logging.getLogger("trunkline")


class RuleDesk:
    """Makes, lists, replaces and deletes rules. Each method takes the message of one RPC and the call it belongs to,
    and raises `GatewayError`: PERMISSION_DENIED unless an admin calls. `made` holds those that are in force."""

    def __init__(self, store: RuleStore, made: MadeRules) -> None:
        self._store = store
        self.made = made
        self._mark: Mark | None = None

    async def create_rule(self, request: CreateRuleRequest, call: Call) -> RoutingRule:
        """Make a rule."""
        check_admin(call)
        check_rule(request.rule)
        rule = await self._store.add(request.rule)
        await self.look()
        return rule

    async def list_rules(self, request: ListRulesRequest, call: Call) -> ListRulesResponse:
        """A page of the rules."""
        check_admin(call)
        if request.page_size < 0:
            raise invalid_request("`page_size` must not be negative.", "page_size")
        rules = await self._store.all()
        ids = [rule.id for rule in rules]
        begin = ids.index(request.page_token) + 1 if request.page_token in ids else 0
        page = rules[begin : begin + min(request.page_size or _PAGE, _PAGE)]
        token = page[-1].id if page and page[-1] is not rules[-1] else ""
        return ListRulesResponse(rules=page, next_page_token=token)

    async def get_rule(self, request: GetRuleRequest, call: Call) -> RoutingRule:
        """One rule."""
        check_admin(call)
        return await self._store.get(request.id)

    async def replace_rule(self, request: ReplaceRuleRequest, call: Call) -> RoutingRule:
        """Put another rule in the place of one."""
        check_admin(call)
        check_rule(request.rule)
        rule = await self._store.replace(request.rule)
        await self.look()
        return rule

    async def delete_rule(self, request: DeleteRuleRequest, call: Call) -> Empty:
        """Delete a rule."""
        check_admin(call)
        await self._store.delete(request.id)
        await self.look()
        return Empty()

    async def look(self) -> None:
        """See whether rules were changed, and put those that are there in force. Raises `GatewayError`."""
        mark = await self._store.mark()
        if mark != self._mark:
            self.made.rules = [as_rule(rule) for rule in await self._store.all() if not rule.disabled]
            self._mark = mark

    async def follow(self) -> None:
        """Look again and again, for ever."""
        failed = False
        while True:
            try:
                await self.look()
                failed = False
            except GatewayError as error:
                if not failed:
                    _log.warning("the routing rules cannot be read, and those that were read stay: %s", error.message)
                failed = True
            await asyncio.sleep(_EACH)
