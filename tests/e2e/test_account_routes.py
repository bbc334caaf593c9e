"""What clients of OpenRouter and of routing.run ask of keys."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from e2e.conftest import Start

ADMIN = "an-admin-key-of-at-least-32-characters"
SECRET = "a-secret-of-at-least-32-characters"
CALL = {"model": "fake/echo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}
PLANS = {"free": {"models": ["fake/*"], "limits": {"requests_per_minute": 10, "requests_per_day": 50}}}


def bearer(secret: str) -> dict[str, str]:
    """The header of a key."""
    return {"authorization": f"Bearer {secret}"}


def token(**claims: Any) -> dict[str, str]:
    """The header of a user's token."""
    return bearer(jwt.encode({"sub": "ann", "exp": time.time() + 600, "plan": "free", **claims}, SECRET, "HS256"))


@pytest.fixture
async def http(start: Start, tmp_path: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway with an admin, an issuer of tokens, a plan, and a price."""
    async with (
        start(
            store={"url": f"sqlite:///{tmp_path}/t.db"},
            ledger={"folder": str(tmp_path)},
            access={"admin_key": ADMIN, "tokens": [{"name": "corp", "secret": SECRET}]},
            plans=PLANS,
            catalog={"fake/echo": {"prices": [{"input": 1000, "output": 1000}]}},
        ) as house,
        httpx.AsyncClient(base_url=house.url) as client,
    ):
        yield client


async def test_keys_as_openrouter_has_them(http: httpx.AsyncClient) -> None:
    """They are made with a limit, listed, changed and deleted; the secret is told once."""
    admin = bearer(ADMIN)
    settings = {"name": "mine", "limit": 12.5, "limit_reset": "weekly", "expires_at": "2099-01-01T00:00:00Z"}
    made = await http.post("/api/v1/keys", json=settings, headers=admin)
    assert made.status_code == 201
    key = made.json()["data"]
    secret = made.json()["key"]
    assert (key["name"], key["limit"], key["limit_remaining"], key["limit_reset"]) == ("mine", 12.5, 12.5, "weekly")
    assert (key["expires_at"], key["disabled"], key["usage"]) == ("2099-01-01T00:00:00Z", False, 0)
    path = f"/api/v1/keys/{key['hash']}"
    assert (await http.get(path, headers=admin)).json() == {"data": key}
    assert secret not in (await http.get("/api/v1/keys", headers=admin)).text
    for reset, limit in ((None, 5), ("daily", 6), ("monthly", 7), ("weekly", 8)):
        told = (await http.patch(path, json={"limit": limit, "limit_reset": reset}, headers=admin)).json()["data"]
        assert (told["limit"], told["limit_reset"]) == (limit, reset)
    told = (await http.patch(path, json={"limit": None}, headers=admin)).json()["data"]
    assert (told["limit"], told["limit_remaining"], told["name"]) == (None, None, "mine")
    await http.patch(path, json={"disabled": True, "name": "off"}, headers=admin)
    assert (await http.get("/api/v1/key", headers=bearer(secret))).status_code == 401
    listed = (await http.get("/api/v1/keys", headers=admin)).json()["data"]
    every = (await http.get("/api/v1/keys?include_disabled=true", headers=admin)).json()["data"]
    assert ([one["name"] for one in listed], [one["name"] for one in every]) == ([], ["off"])
    assert (await http.get("/api/v1/keys?include_disabled=true&offset=1", headers=admin)).json() == {"data": []}
    assert (await http.delete(path, headers=admin)).json() == {"deleted": True}
    assert (await http.get(path, headers=admin)).status_code == 404


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"name": 7},
        {"name": "a", "limit": -1},
        {"name": "a", "limit": "5"},
        {"name": "a", "limit_reset": "hourly"},
        {"name": "a", "limit": 5, "limit_reset": "hourly"},
        {"name": "a", "expires_at": "soon"},
        {"name": "a", "expires_at": "1999-01-01"},
        {"name": "a", "workspace_id": "none"},
    ],
)
async def test_what_cannot_be(http: httpx.AsyncClient, settings: Any) -> None:
    """It is refused in OpenRouter's words."""
    answer = await http.post("/api/v1/keys", json=settings, headers=bearer(ADMIN))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 400)


async def test_the_key_that_is_called_with(http: httpx.AsyncClient) -> None:
    """It is told what it spent and what is left."""
    settings = {"name": "mine", "limit": 10}
    made = (await http.post("/api/v1/keys", json=settings, headers=bearer(ADMIN))).json()
    mine = bearer(made["key"])
    answer = await http.post("/v1/chat/completions", json=CALL, headers=mine)
    assert answer.status_code == 200, answer.text
    told = (await http.get("/api/v1/key", headers=mine)).json()["data"]
    assert told["label"] == f"{made['key'][:12]}..."
    assert (told["limit"], told["limit_reset"], told["is_management_key"]) == (10, None, False)
    spent = 10 - told["limit_remaining"]
    assert spent > 0
    told = (await http.get("/api/v1/credits", headers=mine)).json()["data"]
    assert (told["total_credits"], told["total_usage"]) == (10, pytest.approx(spent))
    assert (await http.get("/api/v1/key", headers=bearer(ADMIN))).json()["data"]["is_management_key"] is True
    assert (await http.get("/api/v1/key")).status_code == 401


async def test_a_user_and_his_keys(http: httpx.AsyncClient) -> None:
    """He makes them with his token; they are on his plan, and share its limits."""
    admin = bearer(ADMIN)
    user = {"name": "ann", "subject": "corp:ann", "plan": "free"}
    assert (await http.post("/trunkline/v1/users", json=user, headers=admin)).status_code == 200
    made = (await http.post("/v1/user/key", json={"name": "mine"}, headers=token())).json()
    assert (made["name"], made["plan_tier"], made["key_prefix"]) == ("mine", "free", made["key"][:12])
    for headers in (token(), bearer(made["key"])):
        assert (await http.post("/v1/chat/completions", json=CALL, headers=headers)).status_code == 200
        refused = await http.post("/v1/chat/completions", json={**CALL, "model": "sim/echo"}, headers=headers)
        assert refused.status_code == 403
    listed = (await http.get("/v1/user/key", headers=token())).json()["data"]
    assert [key["id"] for key in listed] == [made["id"]]
    assert "key" not in listed[0]
    for headers in (token(), bearer(made["key"])):
        told = (await http.get("/v1/user/requests", headers=headers)).json()
        assert (told["requests_used_today"], told["requests_limit_today"], told["requests_remaining"]) == (2, 50, 48)
        assert (told["requests_limit_per_minute"], told["requests_remaining_this_minute"]) == (10, 8)
        assert (told["requests_limit_this_hour"], told["plan_tier"]) == (0, "free")
        hourly = (await http.get("/v1/user/requests/hourly", headers=headers)).json()
        assert hourly == {"limit": 0, "used": 0, "remaining": 0, "plan_tier": "free"}
    assert (await http.post("/v1/user/key", json={"name": "more"}, headers=bearer(made["key"]))).status_code == 403
    assert (await http.get("/v1/user/key", headers=token(sub="bob"))).status_code == 403
    gone = await http.delete(f"/v1/user/key/{made['id']}", headers=token())
    assert gone.json() == {"message": "API key revoked"}
    assert (await http.post("/v1/chat/completions", json=CALL, headers=bearer(made["key"]))).status_code == 401


@pytest.mark.parametrize("claims", [{"exp": 1}, {"plan": "admin"}, {"plan": 7}, {"aud": "x"}, {"sub": ""}])
async def test_tokens_that_are_refused(http: httpx.AsyncClient, claims: dict[str, Any]) -> None:
    """In OpenAI's words, and without a word of the token."""
    headers = token(**claims)
    answer = await http.post("/v1/chat/completions", json=CALL, headers=headers)
    assert answer.status_code in (401, 403)
    assert headers["authorization"][20:] not in answer.text
