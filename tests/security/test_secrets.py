"""Secrets go to whom they are for, and nowhere else."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import os
import re
import ssl
import sys
import traceback
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import pytest
import yaml
from cli.running import PROGRAM, environment
from pydantic import SecretStr
from security.spiller import MODES, Spiller

from trunkline.call import Call
from trunkline.cli.program import run
from trunkline.config.load import load
from trunkline.config.model import Config
from trunkline.config.settings import SETTINGS, bare, section
from trunkline.house import build
from trunkline.observe.log import Log
from trunkline.providers.build import KINDS
from trunkline.v1 import chat_pb2, chat_pb2_grpc, content_pb2, routes_pb2, routes_pb2_grpc

MARK: Final = "canary"
"""What every secret here begins with: nothing that comes out may hold it."""

_SPILLING: Final = (
    "openai-compatible",
    "openai",
    "openai-responses",
    "anthropic",
    "gemini",
    "cohere",
    "mistral",
    "deepseek",
)
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Secrets:
    """Makes secrets, and writes each into the configuration in one of the ways there are."""

    def __init__(self, folder: Path) -> None:
        self.environ: dict[str, str] = {}
        self.made: dict[str, str] = {}
        self._folder = folder
        self._ways: cycle[Callable[[str, str], str]] = cycle([self._by_variable, self._by_file, lambda _, value: value])

    def new(self, name: str, *, value: str = "", around: str = "{}") -> str:
        """What to write into the configuration for a secret `name`."""
        value = value or f"{MARK}-{name}-0123456789-abcdefghijklmnopqrstuvwxyz"
        self.made[name] = value
        return around.format(next(self._ways)(re.sub(r"\W", "_", name).upper(), value))

    def _by_variable(self, name: str, value: str) -> str:
        self.environ[name] = value
        return f"${{{name}}}"

    def _by_file(self, name: str, value: str) -> str:
        path = self._folder / name
        path.write_text(value + "\n")
        return f"${{file:{path}}}"


def settings(secrets: Secrets, spiller: Spiller, data: Path) -> dict[str, Any]:
    """A configuration in which every setting that is secret has a secret."""
    dead = "127.0.0.1:9"
    providers: dict[str, Any] = {
        kind: {
            "kind": kind,
            "base_url": f"{spiller.url}/v1",
            "api_key": secrets.new(f"key-{kind}"),
            "headers": {"x-team-secret": secrets.new(f"header-{kind}")},
            "models": ["words"],
        }
        for kind in _SPILLING
    }
    providers["many"] = {
        "kind": "openai-compatible",
        "base_url": f"{spiller.url}/v1",
        "api_keys": {"one": secrets.new("key-one"), "two": secrets.new("key-two")},
    }
    providers["dead"] = {"kind": "openai", "base_url": f"http://{dead}/v1", "api_key": secrets.new("key-dead")}
    return {
        "http": {"address": "127.0.0.1:0"},
        "grpc": {"address": "127.0.0.1:0"},
        "providers": providers,
        "models": {"all": {"targets": [f"{name}/quote500" for name in providers] + ["openai-compatible/words"]}},
        "keys": [{"name": "me", "key": secrets.new("caller")}],
        "access": {
            "admin_key": secrets.new("admin"),
            "pepper": secrets.new("pepper"),
            "tokens": [{"name": "house", "secret": secrets.new("tokens")}],
        },
        "routing": {"retries": 0, "breaker": {"failures": 1_000_000}},
        "plugins": {"search": {"kind": "tavily", "base_url": spiller.url, "api_key": secrets.new("search")}},
        "store": {
            "url": secrets.new("folder", value=f"sqlite:///{data}/trunkline.db"),
            "encryption_key": secrets.new("sealing", value=f"{MARK}{'A' * 37}="),
        },
        "counters": {"url": secrets.new("counters", around=f"redis://me:{{}}@{dead}/0"), "when_away": "local"},
        "tracing": {
            "endpoint": f"http://{dead}/v1/traces",
            "headers": {"authorization": secrets.new("tracing", around="Bearer {}")},
        },
        "log": {"level": "debug", "format": "json"},
        "shutdown_grace": 1,
    }


def _secret_settings(model: Any, path: str = "") -> set[str]:
    """Every setting of the models that is secret, wherever it is."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        here = f"{path}.{name}".lstrip(".")
        text = repr(field.annotation)
        inner = section(field.annotation)
        listed = re.search(r"(?:list|dict)\[.*?(trunkline\.config\.\w+\.\w+Config)\]", text)
        if inner is not None:
            found |= _secret_settings(inner, here)
        elif listed is not None:
            module, _, cls = listed[1].rpartition(".")
            found |= _secret_settings(getattr(sys.modules[module], cls), f"{here}.*")
        elif "SecretStr" in text or bare(field.annotation) is SecretStr:
            found.add(here)
    return found


def test_every_secret_setting_is_tried() -> None:
    """A new secret setting must come into this file, too."""
    assert _secret_settings(Config) == {
        "providers.*.api_key", "providers.*.api_keys", "providers.*.headers", "keys.*.key", "access.admin_key",
        "access.pepper", "access.tokens.*.secret", "plugins.search.api_key", "store.url", "store.encryption_key",
        "counters.url", "tracing.headers",
    }  # fmt: skip
    assert {setting.name for setting in SETTINGS if setting.secret} <= _secret_settings(Config)
    assert set(_SPILLING) < KINDS


async def _over_http(url: str, key: str, admin: str) -> list[bytes]:
    """Calls of every surface to every model, right and wrong; all that was answered."""
    said = []
    messages = [{"role": "user", "content": "Hi"}]
    parts = {"messages": [{"role": "ROLE_USER", "parts": [{"text": "Hi"}]}]}
    asked: list[tuple[str, dict[str, Any]]] = []
    kinds = cycle(["openai-compatible", "openai-responses", "anthropic", "gemini"])
    for mode in MODES:
        for kind in (*_SPILLING, "many", "dead"):
            asked += [("/v1/chat/completions", {"model": f"{kind}/{mode}", "messages": messages})]
        model = f"{next(kinds)}/{mode}"
        body: dict[str, Any] = {"model": model, "messages": messages, "stream": True}
        asked += [
            ("/v1/chat/completions", body),
            ("/v1/messages", {**body, "max_tokens": 9}),
            ("/v1/responses", {"model": model, "input": "Hi", "stream": True}),
            ("/trunkline/v1/chat:stream", {"model": model, **parts}),
            (f"/v1beta/models/{model}:generateContent", {"contents": [{"parts": [{"text": "Hi"}]}]}),
            ("/v1/embeddings", {"model": model, "input": "Hi"}),
            ("/api/v1/chat/completions", body),
        ]
    asked.append(("/v1/chat/completions", {"model": "all", "messages": messages}))
    asked.append(("/v1/chat/completions", {"model": "all", "messages": messages, "plugins": [{"id": "web"}]}))
    asked.append(("/trunkline/v1/routes:explain", {"request": {"model": "all", **parts}}))
    for path, body in list(asked[:3]):
        asked.append((path, {**body, "user": 7, "n": "x"}))
    async with httpx.AsyncClient(base_url=url, verify=_TLS, timeout=20) as client:

        async def note(answer: httpx.Response) -> None:
            said.append(str(answer.headers.raw).encode() + await answer.aread())

        async def ask(few: list[tuple[str, dict[str, Any]]]) -> None:
            for path, body in few:
                await note(await client.post(path, json=body, headers={"authorization": f"Bearer {key}"}))

        await asyncio.gather(*(ask(asked[start::8]) for start in range(8)))
        for wrong in (f"{key}x", f"{MARK}-wrong-key-of-somebody", f"ey{MARK}.ey{MARK}.{MARK}"):
            for header in ("authorization", "x-api-key", "x-goog-api-key"):
                value = f"Bearer {wrong}" if header == "authorization" else wrong
                await note(await client.post("/v1/chat/completions", json={}, headers={header: value}))
        await note(await client.get(f"/v1beta/models?key={MARK}-in-the-query"))
        for path in (
            "/metrics", "/openapi.json", "/healthz", "/readyz", "/v1/models", "/api/v1/models", "/trunkline/v1/models",
            "/api/v1/key", "/api/v1/keys", "/api/v1/providers", "/trunkline/v1/keys", "/trunkline/v1/rules",
            "/trunkline/v1/usage", "/trunkline/v1/ledger/entries", "/trunkline/v1/users", "/v1beta/models", "/nothing",
        ):  # fmt: skip
            for secret in (key, admin, "none"):
                await note(await client.get(path, headers={"authorization": f"Bearer {secret}"}))
    return said


async def _over_grpc(address: str, key: str) -> list[bytes]:
    """The same over gRPC, with the metadata of each end."""
    said = []
    message = content_pb2.Message(role=content_pb2.ROLE_USER, parts=[content_pb2.Part(text="Hi")])
    async with grpc.aio.insecure_channel(address) as channel:
        stub = chat_pb2_grpc.ChatServiceStub(channel)
        for model in ["all", *(f"{kind}/{mode}" for kind, mode in zip(cycle(_SPILLING), MODES))]:
            request = chat_pb2.ChatRequest(model=model, messages=[message])
            for call in (
                stub.Chat(request, metadata=[("authorization", f"Bearer {key}")]),
                stub.StreamChat(request, metadata=[("authorization", f"Bearer {key}")]),
                stub.Chat(request, metadata=[("authorization", f"Bearer {MARK}-wrong-key-of-somebody")]),
            ):
                try:
                    answers = [call async for call in call] if hasattr(call, "__aiter__") else [await call]
                    said += [answer.SerializeToString() for answer in answers]
                except grpc.aio.AioRpcError as error:
                    said.append(repr(error).encode())
                said.append(repr((await call.initial_metadata(), await call.trailing_metadata())).encode())
        explain = routes_pb2_grpc.RouteServiceStub(channel).Explain
        report = await explain(
            routes_pb2.ExplainRequest(request=request), metadata=[("authorization", f"Bearer {key}")]
        )
        said.append(report.SerializeToString())
    return said


def _found(said: bytes) -> list[str]:
    """Where a secret is in what was said, with what stands around it."""
    return [
        said[max(0, at.start() - 160) : at.end() + 60].decode(errors="replace")
        for at in re.finditer(MARK.encode(), said)
    ]


async def test_no_secret_comes_out(tmp_path: Path) -> None:
    """A gateway whose every secret can be told from all else is asked for everything, by calls that go well and that
    fail in every way; none of it is in an answer, the log, the metrics, or on the disk."""
    data, secrets = tmp_path / "data", Secrets(tmp_path)
    async with Spiller() as spiller:
        path = tmp_path / "trunkline.yaml"
        path.write_text(yaml.safe_dump(settings(secrets, spiller, data)))
        environ = environment(**secrets.environ, TRUNKLINE_DATA=str(data))
        del environ["TRUNKLINE_STORE_URL"]
        log = (tmp_path / "log").open("wb")
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "serve", "-c", str(path), env=environ, stdout=asyncio.subprocess.PIPE, stderr=log
        )
        assert process.stdout is not None
        try:
            start = b""
            while b"trunkline chat" not in start:
                line = await asyncio.wait_for(process.stdout.readline(), 30)
                assert line, (tmp_path / "log").read_text()
                start += line
            ports = re.findall(r"127\.0\.0\.1:(\d+)", start.decode())
            http = next(p for p in ports if f"http://127.0.0.1:{p}" in start.decode())
            rpc = next(p for p in ports if p != http)
            key, admin = secrets.made["caller"], secrets.made["admin"]
            answers, messages = await asyncio.gather(
                _over_http(f"http://127.0.0.1:{http}", key, admin), _over_grpc(f"127.0.0.1:{rpc}", key)
            )
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), 30)
            log.close()
    kept = [each.read_bytes() for each in data.rglob("*") if each.is_file()]
    logged = (tmp_path / "log").read_bytes()

    for name, secret in secrets.made.items():
        if name.startswith(("key-", "header-")) and "dead" not in name:
            assert secret.encode() in spiller.heard, f"{name} was not used"
    assert logged.count(b'"event":"call"') > 100
    assert sum(map(len, kept)) > 10_000
    for said in (start, logged, *answers, *messages, *kept):
        assert not _found(said)
        assert base64.b64decode(secrets.made["sealing"]) not in said


async def test_no_command_shows_a_secret(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What commands tell of a configuration, of its providers and of a database that cannot be had is without them."""
    secrets = Secrets(tmp_path)
    async with Spiller() as spiller:
        path = tmp_path / "trunkline.yaml"
        path.write_text(yaml.safe_dump(settings(secrets, spiller, tmp_path / "data")))
        for name, value in {**secrets.environ, "TRUNKLINE_DATA": str(tmp_path / "data")}.items():
            monkeypatch.setenv(name, value)
        for command in (
            ["check-config", str(path)],
            ["check-config", str(path), "--json"],
            ["doctor", "-c", str(path)],
            ["doctor", "-c", str(path), "--json"],
        ):
            await asyncio.to_thread(run, command)
        for url in (f"postgresql://me:{MARK}@127.0.0.1:9/none?password={MARK}", f"mysql://me:{MARK}@h/n", f"{MARK}://"):
            monkeypatch.setenv("TRUNKLINE_STORE_URL", url)
            assert await asyncio.to_thread(run, ["serve", "-c", str(path)]) == 1
    said = "".join(capfd.readouterr())

    assert said.count("openai-responses") >= 4
    assert said.count("store.url") == 3
    assert not _found(said.encode())


async def test_no_object_shows_a_secret(tmp_path: Path) -> None:
    """Whatever ends up in a message by its `repr`, no object that a gateway is made of has a secret in it."""
    secrets = Secrets(tmp_path)
    async with Spiller() as spiller:
        path = tmp_path / "trunkline.yaml"
        path.write_text(yaml.safe_dump(settings(secrets, spiller, tmp_path)))
        config = load(path, secrets.environ, {}, KINDS)
        house = await build(config, {})
        try:
            call = Call("req_1", "openai", headers={"authorization": f"Bearer {secrets.made['caller']}"})
            own = [one for one in gc.get_objects() if str(type(one).__module__).startswith("trunkline.")]
            said = [repr(one) for one in (*own, call, config.model_dump(), config.model_dump_json())]
        finally:
            await house.close()

    assert len(own) > 300
    assert any("ProviderConfig" in each for each in said)
    assert not [each[:300] for each in said if MARK in each]


def test_a_traceback_shows_no_variables(tmp_path: Path) -> None:
    """A failure that nobody foresaw is logged by its lines of code, without what its variables held."""

    def fail(secret: str) -> None:
        raise RuntimeError(f"it failed on {len(secret)} characters")

    with (tmp_path / "log").open("wb") as file:
        log = Log("json", "debug", fd=file.fileno())
        log.install()
        try:
            try:
                fail(MARK + "-in-a-variable")
            except RuntimeError:
                logging.getLogger("trunkline").exception("a call failed")
        finally:
            log.close()
    told = json.loads((tmp_path / "log").read_text())

    assert "it failed on" in told["traceback"]
    assert "in-a-variable" not in told["traceback"].replace('MARK + "-in-a-variable"', "")
    assert traceback.TracebackException.__init__.__kwdefaults__["capture_locals"] is False
    assert "PYTHONFAULTHANDLER" not in os.environ or sys.flags.dev_mode
