"""Two gateways over one database: what is done to a key at one holds at the other within a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from e2e.conftest import Start

ADMIN = {"authorization": "Bearer an-admin-key-of-at-least-32-characters"}
CALL = {"model": "fake/echo", "messages": [{"role": "user", "content": "Hello"}]}


@asynccontextmanager
async def replica(start: Start, url: str) -> AsyncIterator[httpx.AsyncClient]:
    """One of them, as a client sees it."""
    settings: dict[str, Any] = {
        "store": {"url": url},
        "ledger": {"enabled": False},
        "access": {"admin_key": ADMIN["authorization"].removeprefix("Bearer ")},
    }
    async with start(**settings) as house, httpx.AsyncClient(base_url=house.url) as http:
        yield http


async def status(http: httpx.AsyncClient, secret: str = "") -> int:
    """What a call is answered."""
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    return (await http.post("/v1/chat/completions", json=CALL, headers=headers)).status_code


async def until(http: httpx.AsyncClient, secret: str, wanted: int) -> float:
    """Seconds until a call is answered so."""
    begun = time.monotonic()
    async with asyncio.timeout(20):
        while await status(http, secret) != wanted:  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.01)
    return time.monotonic() - begun


async def admin(http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    """What an admin is answered."""
    answer = await http.request(method, f"/trunkline/v1/{path}", json=body, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_change_holds_everywhere(start: Start, shared_url: str) -> None:
    """The first key closes both; a key that is disabled, rotated or whose owner is disabled is refused by both."""
    async with replica(start, shared_url) as one, replica(start, shared_url) as two:
        assert [await status(http) for http in (one, two)] == [200, 200]
        organization = await admin(one, "POST", "organizations", {"name": "acme"})
        made = await admin(one, "POST", "keys", {"key": {"name": "k", "organizationId": organization["id"]}})
        secret, name = made["secret"], made["key"]["id"]
        assert [await status(http, secret) for http in (one, two)] == [200, 200]
        assert await status(one) == 401
        await until(two, "", 401)
        await admin(one, "POST", f"keys/{name}:disable", {})
        assert await status(one, secret) == 401
        await until(two, secret, 401)
        await admin(two, "POST", f"keys/{name}:enable", {})
        await until(one, secret, 200)
        await admin(two, "PATCH", f"organizations/{organization['id']}", {"disabled": True})
        await until(one, secret, 401)
        await admin(two, "PATCH", f"organizations/{organization['id']}", {"disabled": False})
        await until(one, secret, 200)
        newer = (await admin(two, "POST", f"keys/{name}:rotate", {}))["secret"]
        assert await status(one, newer) == 200
        await until(one, secret, 401)


async def test_it_takes_less_than_a_second(start: Start, shared_url: str) -> None:
    """The best of three, since the machine that tests may be busy."""
    async with replica(start, shared_url) as one, replica(start, shared_url) as two:
        took = []
        for number in range(3):
            made = await admin(one, "POST", "keys", {"key": {"name": f"k{number}"}})
            assert await status(two, made["secret"]) == 200
            await admin(one, "POST", f"keys/{made['key']['id']}:disable", {})
            took.append(await until(two, made["secret"], 401))
        assert min(took) < 1.0


async def test_a_restart(start: Start, shared_url: str) -> None:
    """Keys, and that one is needed, outlive the process; when a key was used is noted as it ends."""
    async with replica(start, shared_url) as http:
        made = await admin(http, "POST", "keys", {"key": {"name": "k"}})
        assert await status(http, made["secret"]) == 200
    async with replica(start, shared_url) as http:
        assert await status(http) == 401
        assert await status(http, made["secret"]) == 200
        assert (await admin(http, "GET", f"keys/{made['key']['id']}"))["lastUseTime"]
