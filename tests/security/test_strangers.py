"""What one caller keeps, no other can read, go on with, change or delete."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx
from e2e.conftest import Start

ADMIN = "admin-key-0123456789-0123456789-0123456789"
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def _made(client: httpx.AsyncClient, name: str) -> dict[str, str]:
    """The header of a key that an admin makes."""
    made = await client.post(
        "/trunkline/v1/keys", json={"key": {"name": name}}, headers={"authorization": f"Bearer {ADMIN}"}
    )
    assert made.status_code == 200, made.text
    return {"authorization": f"Bearer {made.json()['secret']}"}


async def test_callers_are_strangers_to_each_other(start: Start, tmp_path: Path) -> None:
    """Responses, conversations, their items, usage and generations of another are as if they were not there, told in
    the same words; and so they are to a key of the same name that was made later."""
    settings: dict[str, Any] = {
        "access": {"admin_key": ADMIN, "require_key": True},
        "store": {"url": f"sqlite:///{tmp_path}/trunkline.db"},
        "ledger": {"enabled": True, "folder": str(tmp_path), "keep_free_bytes": 1},
    }
    async with start(**settings) as gateway, httpx.AsyncClient(base_url=gateway.url, verify=TLS, timeout=30) as client:
        alice = await _made(client, "alice")
        said = {"model": "fake/echo", "input": "The secret is violet.", "store": True}
        response = (await client.post("/v1/responses", json=said, headers=alice)).json()["id"]
        conversation = (await client.post("/v1/conversations", json={}, headers=alice)).json()["id"]
        within = await client.post("/v1/responses", json={**said, "conversation": conversation}, headers=alice)
        assert within.status_code == 200
        items = (await client.get(f"/v1/conversations/{conversation}/items", headers=alice)).json()["data"]
        other = "resp_" + "0" * len(response.removeprefix("resp_"))
        bob, impostor = await _made(client, "bob"), await _made(client, "alice2")

        asked: list[tuple[str, str, Any]] = [
            ("GET", "/v1/responses/{}", None),
            ("GET", "/v1/responses/{}?stream=true", None),
            ("GET", "/v1/responses/{}/input_items", None),
            ("POST", "/v1/responses/{}/cancel", {}),
            ("DELETE", "/v1/responses/{}", None),
        ]
        for stranger in (bob, impostor):
            for method, path, body in asked:
                told = [
                    await client.request(method, path.format(name), json=body, headers=stranger)
                    for name in (response, other)
                ]
                assert [one.status_code for one in told] == [404, 404], (path, told[0].text)
                assert told[0].text.replace(response, "") == told[1].text.replace(other, "")
            for method, path in (
                ("GET", f"/v1/conversations/{conversation}"),
                ("GET", f"/v1/conversations/{conversation}/items"),
                ("GET", f"/v1/conversations/{conversation}/items/{items[0]['id']}"),
                ("DELETE", f"/v1/conversations/{conversation}/items/{items[0]['id']}"),
                ("POST", f"/v1/conversations/{conversation}"),
                ("DELETE", f"/v1/conversations/{conversation}"),
            ):
                body = {"metadata": {}} if method == "POST" else None
                answer = await client.request(method, path, json=body, headers=stranger)
                assert answer.status_code == 404, (path, answer.text)
            for more in ({"previous_response_id": response}, {"conversation": conversation}):
                answer = await client.post("/v1/responses", json={**said, "input": "x", **more}, headers=stranger)
                assert answer.status_code in (400, 404), answer.text
            named = {"type": "item_reference", "id": items[0]["id"]}
            answer = await client.post("/v1/responses", json={**said, "input": [named]}, headers=stranger)
            assert answer.status_code in (400, 404), answer.text
            for path in ("/trunkline/v1/usage", "/trunkline/v1/ledger/entries", "/api/v1/activity"):
                answer = await client.get(path, headers=stranger)
                assert response not in answer.text
                assert "alice" not in answer.text
            answer = await client.get(f"/api/v1/generation?id={response}", headers=stranger)
            assert answer.status_code == 404
            for path in ("/trunkline/v1/keys", "/trunkline/v1/users", "/trunkline/v1/rules", "/api/v1/keys"):
                assert (await client.get(path, headers=stranger)).status_code == 403, path
        assert b"violet" not in b"".join(request.body for request in gateway.upstream.requests[2:])

        assert (await client.get(f"/v1/responses/{response}", headers=alice)).status_code == 200
        assert (await client.get(f"/v1/conversations/{conversation}", headers=alice)).status_code == 200
