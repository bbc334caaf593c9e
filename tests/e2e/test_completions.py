"""OpenAI's older Completions through the gateway, by the official SDK: over chat models, and over a server's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
from e2e.conftest import Running, running
from fakes.completions_server import CompletionsServer


@pytest.fixture
async def native() -> AsyncIterator[CompletionsServer]:
    """A server that has Completions of its own."""
    async with CompletionsServer() as server:
        yield server


@pytest.fixture
async def house(native: CompletionsServer) -> AsyncIterator[Running]:
    """A gateway before a server that converses alone, and one that has Completions."""
    providers = {
        "native": {"kind": "vllm", "base_url": native.url},
        "sim": {"kind": "sim"},
    }
    async with running(providers=providers, models={}) as one:
        yield one


def sdk(house: Running) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=0)


@pytest.mark.parametrize(("model", "said"), [("sim/echo", "Hello"), ("native/base", "olleH")])
async def test_a_text(house: Running, model: str, said: str) -> None:
    """A prompt is gone on with, at once and as a stream."""
    async with sdk(house) as client:
        answer = await client.completions.create(model=model, prompt="Hello")
        stream = await client.completions.create(
            model=model, prompt="Hello", stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]

    assert answer.choices[0].text == said
    assert answer.object == "text_completion"
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == said
    assert chunks[-1].usage is not None
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] in ("stop", "length")


@pytest.mark.parametrize(("model", "said"), [("sim/echo", ["ab", "cd"]), ("native/base", ["ba", "dc"])])
async def test_several_prompts_and_answers(house: Running, model: str, said: list[str]) -> None:
    """Each prompt has its `n` choices, in order, also in a stream."""
    expected = [text for text in said for _ in range(2)]
    async with sdk(house) as client:
        answer = await client.completions.create(model=model, prompt=["ab", "cd"], n=2)
        stream = await client.completions.create(model=model, prompt=["ab", "cd"], n=2, stream=True)
        texts = dict.fromkeys(range(4), "")
        async for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] += choice.text

    assert [choice.text for choice in answer.choices] == expected
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert list(texts.values()) == expected


@pytest.mark.parametrize(("model", "said"), [("sim/echo", "HelloHello"), ("native/base", "HelloolleH")])
async def test_echo(house: Running, model: str, said: str) -> None:
    """With `echo` the answer begins with the prompt, once."""
    async with sdk(house) as client:
        answer = await client.completions.create(model=model, prompt="Hello", echo=True)
        stream = await client.completions.create(model=model, prompt="Hello", echo=True, stream=True)
        text = "".join([choice.text async for chunk in stream for choice in chunk.choices])

    assert answer.choices[0].text == text == said


async def test_a_request_reaches_a_server_whole(house: Running, native: CompletionsServer) -> None:
    """Nothing is changed but the model, and nothing is lost; tokens and log probabilities among it."""
    body: dict[str, Any] = {
        "prompt": [[1, 2], [3]],
        "suffix": "end",
        "best_of": 2,
        "logit_bias": {"5": -100},
        "logprobs": 1,
        "max_tokens": 5,
        "stop": ["x"],
        "temperature": 0.5,
        "seed": 3,
        "user": "u",
    }
    async with httpx.AsyncClient(base_url=house.url) as http:
        reply = await http.post("/v1/completions", json={"model": "native/base", **body})

    assert native.bodies == [{"model": "base", **body}]
    assert reply.headers["x-trunkline-provider"] == "native"
    assert not [name for name in reply.headers if name in ("x-trunkline-dropped", "x-trunkline-emulated")]
    logprobs = reply.json()["choices"][0]["logprobs"]
    assert logprobs["token_logprobs"][0] == -0.5
    assert "".join(logprobs["tokens"]) == reply.json()["choices"][0]["text"]


async def test_what_a_conversation_cannot_hold_is_told(house: Running) -> None:
    """Over a chat model the prompt is emulated and said to be, and what is lost is named; tokens are refused."""
    async with httpx.AsyncClient(base_url=house.url) as http:
        told = await http.post("/v1/completions", json={"model": "sim/echo", "prompt": "a", "best_of": 3})
        refused = await http.post("/v1/completions", json={"model": "sim/echo", "prompt": [1, 2]})

    assert told.headers["x-trunkline-emulated"] == "prompt"
    assert told.headers["x-trunkline-dropped"] == "best_of"
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "prompt[0]"


async def test_a_stream_that_is_cut_does_not_look_finished(house: Running, native: CompletionsServer) -> None:
    """The client sees an error, and no `[DONE]`."""
    native.cut = True
    async with sdk(house) as client:
        stream = await client.completions.create(model="native/base", prompt="Hello", stream=True)
        with pytest.raises(openai.APIError):
            async for chunk in stream:
                assert not any(choice.finish_reason for choice in chunk.choices)


async def test_errors(house: Running) -> None:
    """A provider's refusal and an unknown model are told in OpenAI's shape."""
    async with sdk(house) as client:
        with pytest.raises(openai.BadRequestError, match="frob"):
            await client.completions.create(model="native/base", prompt="a", extra_body={"frob": 1})
        with pytest.raises(openai.NotFoundError):
            await client.completions.create(model="nobody/base", prompt="a")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/images/generations",
        "/v1/audio/speech",
        "/v1/files",
        "/api/v1/batches",
        "/v1/fine_tuning/jobs",
        "/v1/moderations",
        "/v1/assistants",
        "/v1/threads/t/runs",
        "/v1/realtime/sessions",
        "/v1/vector_stores",
        "/v1/uploads",
        "/v1/videos",
    ],
)
async def test_what_is_not_served_is_refused_at_once(house: Running, path: str) -> None:
    """OpenAI's other endpoints answer 404 with the reason, whatever the method and however long the body."""
    async with httpx.AsyncClient(base_url=house.url) as http:
        for reply in (await http.post(path, content=b"x" * 3_000_000), await http.get(path)):
            error = reply.json()["error"]
            assert reply.status_code == 404
            assert error["code"] == (404 if path.startswith("/api/") else "unsupported_endpoint")
            assert "not" in error["message"]
