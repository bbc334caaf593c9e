"""A new configuration, while calls are running."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from fakes.sim_server import SimServer

from trunkline.app import App
from trunkline.config.load import load
from trunkline.providers.build import KINDS


def configuration(url: str, name: str) -> str:
    """A file with one provider."""
    return f"""
http: {{address: "127.0.0.1:0"}}
grpc: {{address: "127.0.0.1:0"}}
log: {{level: error}}
providers: {{{name}: {{kind: openai-compatible, base_url: "{url}"}}}}
models: {{house: {{targets: [{name}/long:tokens=20]}}}}
"""


async def test_reload(tmp_path: Path) -> None:
    """Running calls keep their configuration, later ones have the new one, and a bad file changes nothing."""
    path = tmp_path / "trunkline.yaml"
    body = {"model": "house", "messages": [{"role": "user", "content": "Hi"}]}
    async with SimServer() as old, SimServer() as new:
        path.write_text(configuration(old.url, "old"))
        app = await App.create(lambda: load(path, {}, {}, KINDS), {})
        listening = await app.start()
        base = f"http://127.0.0.1:{listening.http_port}"
        async with httpx.AsyncClient(base_url=base, timeout=30) as client:
            async with client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as running:
                lines = running.aiter_lines()
                await anext(lines)
                path.write_text(configuration(new.url, "new"))
                taken = await app.reload()
                later = await client.post("/v1/chat/completions", json=body)
                rest = [line async for line in lines]
            path.write_text("providers: {broken: {kind: nothing}}\n")
            refused = await app.reload()
            after = await client.post("/v1/chat/completions", json=body)
        await app.close()

    assert (taken, refused) == (True, False)
    assert running.headers["x-trunkline-provider"] == "old"
    assert [line for line in rest if line][-1] == "data: [DONE]"
    assert later.headers["x-trunkline-provider"] == after.headers["x-trunkline-provider"] == "new"


async def test_closing_lets_running_calls_end(tmp_path: Path) -> None:
    """A gateway that is told to stop drains its streams."""
    path = tmp_path / "trunkline.yaml"
    body = {"model": "house", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    async with SimServer() as upstream:
        path.write_text(configuration(upstream.url, "old"))
        app = await App.create(lambda: load(path, {}, {}, KINDS), {})
        listening = await app.start()
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.http_port}", timeout=30) as client,
            client.stream("POST", "/v1/chat/completions", json=body) as running,
        ):
            lines = running.aiter_lines()
            await anext(lines)
            closing = asyncio.create_task(app.close())
            rest = [line async for line in lines]
            await closing

    assert [line for line in rest if line][-1] == "data: [DONE]"
