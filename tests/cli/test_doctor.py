"""The doctor's findings and remedies."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from aiohttp import web
from cli.running import Gateway, run

STATUSES = (401, 403, 404, 429, 500)


class Upstream(NamedTuple):
    """The ports of a server that answers in many ways, in the clear and over TLS with a certificate nobody trusts."""

    plain: int
    tls: int


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """Providers: `/ok` lists two models, `/<status>` fails with it, and `/hang` says nothing."""
    leave = asyncio.Event()

    async def models(request: web.Request) -> web.Response:
        match request.match_info["how"]:
            case "ok":
                return web.json_response({"object": "list", "data": [{"id": "small"}, {"id": "large"}]})
            case "hang":
                await leave.wait()
                return web.Response()
            case status:
                return web.json_response({"error": {"message": "no"}}, status=int(status))

    app = web.Application()
    app.router.add_get("/{how}/models", models)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    ports = []
    for each in (None, context):
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=each)
        await site.start()
        ports.append(runner.addresses[-1][1])
    yield Upstream(*ports)
    leave.set()
    await runner.cleanup()


def _provider(base_url: str) -> dict[str, str]:
    return {"kind": "openai-compatible", "base_url": base_url, "api_key": "sk-secret"}


def _write(folder: Path, providers: dict[str, Any], **rest: Any) -> str:
    """A configuration (JSON is YAML) on addresses that are free."""
    path = folder / "trunkline.yaml"
    addresses = {name: {"address": "127.0.0.1:0"} for name in ("http", "grpc")}
    path.write_text(json.dumps({**addresses, "providers": providers, **rest}))
    return str(path)


async def _examine(*arguments: str) -> tuple[int, dict[str, Any]]:
    """The status, and what the doctor says as JSON."""
    done = await asyncio.to_thread(run, "doctor", "--json", *arguments)
    assert "sk-secret" not in done.stdout + done.stderr
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, told


async def test_each_failure_has_its_own_remedy(upstream: Upstream, tmp_path: Path) -> None:
    """One provider's failure hides no other's, each is named, and no two kinds have the same remedy."""
    plain = f"http://127.0.0.1:{upstream.plain}"
    bases = {f"status-{status}": f"{plain}/{status}" for status in STATUSES} | {
        "well": f"{plain}/ok",
        "hang": f"{plain}/hang",
        "refused": "http://127.0.0.1:1/v1",
        "dns": "http://host.invalid/v1",
        "untrusted": f"https://127.0.0.1:{upstream.tls}/ok",
        "no-tls": f"https://127.0.0.1:{upstream.plain}/ok",
    }
    path = _write(tmp_path, {name: _provider(base) for name, base in bases.items()})
    status, told = await _examine("--config", path, "--timeout", "3")
    found = {each["name"]: each for each in told["providers"]}
    assert (status, told["ok"]) == (1, False)
    assert found["well"].items() >= {"ok": True, "detail": "2 models"}.items()
    assert found["well"]["latencyMs"] > 0
    details = {
        "status-401": "key is missing or wrong",
        "status-403": "no permission",
        "status-404": "no such path",
        "status-429": "limits",
        "status-500": "it fails (500)",
        "hang": "no answer in time",
        "refused": "nothing listens there",
        "dns": "cannot be resolved",
        "untrusted": "certificate is not trusted",
        "no-tls": "TLS handshake failed",
    }
    for name, detail in details.items():
        assert detail in found[name]["detail"], name
        assert not found[name]["ok"]
    assert len({found[name]["remedy"].replace(name, "").replace(bases[name], "") for name in details}) == len(details)
    assert "`providers.refused.base_url` (http://127.0.0.1:1/v1)" in found["refused"]["remedy"]


async def test_all_is_well(upstream: Upstream, tmp_path: Path) -> None:
    """Where every provider answers and the addresses are free, the status is zero."""
    path = _write(tmp_path, {"mine": _provider(f"http://127.0.0.1:{upstream.plain}/ok")})
    status, told = await _examine("--config", path)
    assert (status, told["ok"]) == (0, True)
    assert [each["name"] for each in told["providers"]] == ["mine", "sim"]
    assert all("remedy" not in each for each in (*told["providers"], *told["addresses"]))
    assert {"python", "trunkline", "grpcio"} <= told["versions"].keys()


async def test_a_table_for_people(upstream: Upstream, tmp_path: Path) -> None:
    """The same in words: what answers, with its latency, and the remedies below."""
    base = f"http://127.0.0.1:{upstream.plain}"
    path = _write(tmp_path, {"well": _provider(f"{base}/ok"), "ill": _provider(f"{base}/404")})
    done = await asyncio.to_thread(run, "doctor", "--config", path)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert any(row[:2] == ["ok", "well"] and row[3:] == ["ms", "2", "models"] for row in rows)
    assert any(row[:2] == ["!!", "ill"] for row in rows)
    assert "ill: Check the path in `providers.ill.base_url`" in done.stdout
    assert "\x1b" not in done.stdout


async def test_addresses_that_are_in_use(gateway: Gateway, tmp_path: Path) -> None:
    """A gateway that runs is told from another program, which has a remedy."""
    http = gateway.http[1].removeprefix("http://")
    path = _write(tmp_path, {}, http={"address": http}, grpc={"address": gateway.grpc[1]})
    status, told = await _examine("--config", path)
    assert status == 0
    assert [each["detail"] for each in told["addresses"]] == ["a gateway runs there"] * 2
    with socket.create_server(("127.0.0.1", 0)) as other:
        # Whoever dials is turned away, rather than left waiting for an answer.
        other.listen(0)
        answer = asyncio.create_task(_hang_up(other))
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        status, told = await _examine("--config", _write(tmp_path, {}, http={"address": taken}))
        answer.cancel()
    assert status == 1
    (found,) = (each for each in told["addresses"] if not each["ok"])
    assert found["detail"] == "another program listens there"
    assert "`http.address`" in found["remedy"]


async def _hang_up(listener: socket.socket) -> None:
    listener.setblocking(False)
    while True:
        connection, _ = await asyncio.get_running_loop().sock_accept(listener)
        connection.close()


async def test_a_configuration_that_cannot_be_used(tmp_path: Path) -> None:
    """Its problems are told as `check-config` tells them."""
    status, told = await _examine("--config", _write(tmp_path, {"mine": {"kind": "opnai"}}))
    assert (status, told["ok"]) == (1, False)
    assert "`providers.mine.kind`" in told["problems"][0]
