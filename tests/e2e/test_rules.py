"""Rules that admins make by API, in a gateway that has none in its configuration."""

from __future__ import annotations

import grpc
import httpx
from e2e.conftest import Start

from trunkline.v1.rules_pb2 import CreateRuleRequest, DeleteRuleRequest, RoutingRule
from trunkline.v1.rules_pb2_grpc import RuleServiceStub

ADMIN = {"authorization": "Bearer an-admin-key-of-at-least-32-characters"}
BODY = {"model": "fake/tool", "messages": [{"role": "user", "content": "Hello"}]}


async def test_the_next_call_follows_it_until_it_is_gone(start: Start) -> None:
    """Made over one wire and deleted over the other; the answer names it, and so do the metrics what was asked."""
    key = ADMIN["authorization"].removeprefix("Bearer ")
    async with (
        start(access={"admin_key": key}) as running,
        httpx.AsyncClient(base_url=running.url) as http,
        grpc.aio.insecure_channel(running.grpc) as channel,
    ):
        assert "x-trunkline-rule" not in (await http.post("/v1/chat/completions", json=BODY)).headers
        rule = RoutingRule(name="elsewhere")
        rule.match.models.append("fake/tool")
        rule.action.model = "fake/echo"
        rules = RuleServiceStub(channel)
        made = await rules.CreateRule(CreateRuleRequest(rule=rule), metadata=tuple(ADMIN.items()))

        answer = await http.post("/v1/chat/completions", json=BODY)
        assert (answer.headers["x-trunkline-rule"], answer.json()["model"]) == ("elsewhere", "echo")
        listed = await http.get("/trunkline/v1/rules", headers=ADMIN)
        assert [one["id"] for one in listed.json()["rules"]] == [made.id]

        await rules.DeleteRule(DeleteRuleRequest(id=made.id), metadata=tuple(ADMIN.items()))
        assert "x-trunkline-rule" not in (await http.post("/v1/chat/completions", json=BODY)).headers
        told = (await http.get("/metrics")).text
        assert 'operation="create_rule"' in told
        assert 'operation="list_rules"' in told
