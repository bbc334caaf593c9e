"""What names stand for: every form, and what is told of a name that nobody has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing.fleet import Fleet, Listed, fleet, known

from trunkline.core.plan import Policy
from trunkline.errors import GatewayError
from trunkline.routing.spec import PoolSpec, RouteSpec
from trunkline.v1 import errors_pb2
from trunkline.v1.models_pb2 import Model

_KINDS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "ollama": "openai-compatible",
    "azure": "azure",
    "or": "openrouter",
}


def house(**more: object) -> Fleet:
    """Some providers as people have them, with every sort of name."""
    settings: dict[str, object] = {
        "routes": {
            "smart": RouteSpec([("openai/gpt-4o", 1.0), ("anthropic/claude-opus-4-5", 3.0)], "weighted", Policy(7)),
            "a:b/c:free": ["ollama/odd"],
            "auto": ["ollama/mine"],
        },
        "aliases": {
            "gpt-4": "openai/gpt-4o",
            "claude-*": "anthropic/claude-opus-4-5",
            "claude-exact": "smart",
            "second": "gpt-4",
            "loop": "pool",
            "pool": "loop",
            "self": "self",
            "self-*": "self-service",
            "nowhere": "nobody/nothing",
        },
        "pools": {
            "pair": PoolSpec(("smart", "ollama/llama3:8b"), "cost", policy=Policy(1)),
            "wild": PoolSpec(("llama*",), "price"),
        },
        "models": {"ollama": ["llama3:8b", "qwen3:free", "hf.co/user/model:Q4"], "azure": ["my/deployment"]},
        "knows": {"*": known(), "ollama/*": known(0.0, 0.0), "openai/o3": known(10.0, 40.0, quality=0.9)},
    }
    return fleet(_KINDS, **{**settings, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("smart", ["openai/gpt-4o", "anthropic/claude-opus-4-5"]),
        ("route/smart", ["openai/gpt-4o", "anthropic/claude-opus-4-5"]),
        ("a:b/c:free", ["ollama/odd"]),
        ("auto", ["ollama/mine"]),
        ("gpt-4", ["openai/gpt-4o"]),
        ("second", ["openai/gpt-4o"]),
        ("claude-sonnet-4", ["anthropic/claude-opus-4-5"]),
        ("claude-exact", ["openai/gpt-4o", "anthropic/claude-opus-4-5"]),
        ("openai/gpt-4o", ["openai/gpt-4o"]),
        ("openai:gpt-4o", ["openai/gpt-4o"]),
        ("openai/ft:gpt-4o:org::id", ["openai/ft:gpt-4o:org::id"]),
        ("openai:ft:gpt-4o:org::id", ["openai/ft:gpt-4o:org::id"]),
        ("gpt-4o", ["openai/gpt-4o"]),
        ("ollama/llama3:8b", ["ollama/llama3:8b"]),
        ("ollama:llama3:8b", ["ollama/llama3:8b"]),
        ("llama3:8b", ["ollama/llama3:8b"]),
        ("qwen3:free", ["ollama/qwen3:free"]),
        ("ollama/qwen3:free", ["ollama/qwen3:free"]),
        ("hf.co/user/model:Q4", ["ollama/hf.co/user/model:Q4"]),
        ("ollama:hf.co/user/model:Q4", ["ollama/hf.co/user/model:Q4"]),
        ("my/deployment", ["azure/my/deployment"]),
        ("azure/my/deployment", ["azure/my/deployment"]),
        ("or/meta-llama/llama-3:free", ["or/meta-llama/llama-3:free"]),
        ("or:meta-llama/llama-3:nitro", ["or/meta-llama/llama-3:nitro"]),
        ("or/openrouter/auto", ["or/openrouter/auto"]),
        ("gpt-4o:nitro", ["openai/gpt-4o"]),
        ("openai/gpt-4o:online:thinking", ["openai/gpt-4o"]),
        ("smart:floor", ["openai/gpt-4o", "anthropic/claude-opus-4-5"]),
        ("smart:quality", ["openai/gpt-4o", "anthropic/claude-opus-4-5"]),
        ("auto/pair", ["openai/gpt-4o", "anthropic/claude-opus-4-5", "ollama/llama3:8b"]),
        ("auto/wild", ["ollama/llama3:8b"]),
        ("route/second:free", ["openai/gpt-4o"]),
    ],
)
async def test_every_form_of_a_name(name: str, targets: list[str]) -> None:
    """Leads to its targets, and to the same ones when it is asked for again."""
    one = house()
    assert await one.found(name) == targets
    assert await one.found(name) == targets


@pytest.mark.parametrize(
    ("name", "strategy", "mode"),
    [
        ("smart", "weighted", "weighted"),
        ("openai/gpt-4o", "inverse_price", "direct"),
        ("smart:nitro", "throughput", "nitro"),
        ("smart:floor", "price", "floor"),
        ("smart:exacto", "quality", "exacto"),
        ("smart:latency", "fast", "latency"),
        ("smart:fast", "fast", "fast"),
        ("smart:balanced", "balance", "balanced"),
        ("smart:cost:nitro", "throughput", "nitro"),
        ("auto:balance", "balance", "balance"),
        ("auto:balanced", "balance", "balanced"),
        ("auto:cost", "cost", "cost"),
        ("auto:quality", "quality", "quality"),
        ("auto:fast", "fast", "fast"),
        ("auto:latency", "fast", "latency"),
        ("auto/chat", "balance", "chat"),
        ("auto/reasoning", "quality", "reasoning"),
        ("auto/pair", "cost", "pair"),
        ("auto/pair:fast", "fast", "fast"),
        ("openrouter/auto", "balance", "balance"),
        ("openrouter/free", "weighted", "free"),
    ],
)
async def test_the_order_that_a_name_asks_for(name: str, strategy: str, mode: str) -> None:
    """Routes, variants and auto modes."""
    meaning = await house().names.resolve(name)
    assert (meaning.strategy, meaning.mode) == (strategy, mode)


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("gpt-4o", set()),
        ("gpt-4o:free", {"free"}),
        ("gpt-4o:thinking", {"thinks"}),
        ("gpt-4o:online", {"searches"}),
        ("gpt-4o:free:online:thinking", {"free", "searches", "thinks"}),
        ("gpt-4o:nitro:free", {"free"}),
        ("auto:cost", {"auto"}),
        ("auto:cost:online", {"auto", "searches"}),
        ("openrouter/free", {"auto", "free"}),
        ("auto/reasoning", {"auto", "features"}),
        ("or/x/y:free", set()),
    ],
)
async def test_what_a_name_asks_for(name: str, flags: set[str]) -> None:
    """Variants can be stacked; those of OpenRouter's own models are left to it."""
    meaning = await house().names.resolve(name)
    assert {flag for flag in ("auto", "free", "thinks", "searches", "features") if getattr(meaning, flag)} == flags
    assert meaning.plain == (not flags)


async def test_policies_of_names() -> None:
    """A route and a pool have their own patience."""
    names = house(policy=Policy(2)).names
    for name, retries in (("smart", 7), ("smart:floor", 7), ("auto/pair", 1), ("gpt-4o", 2), ("auto:cost", 2)):
        assert (await names.resolve(name)).policy.retries == retries


@pytest.mark.parametrize(
    "name", ["openrouter/auto", "openrouter/free", "openrouter/anything:nitro", "openrouter/deepseek/deepseek-r1"]
)
async def test_a_provider_called_openrouter_has_its_own_names(name: str) -> None:
    """What begins with it goes there, as it is."""
    one = fleet({"openrouter": "openrouter"})
    assert await one.found(name) == [f"openrouter/{name.removeprefix('openrouter/')}"]


@pytest.mark.parametrize(
    "name",
    ["nobody", "nobody/nothing", "nowhere", "loop", "pool", "self", "openai/", "/", ":", "route/", "auto/none", "auto:",
     "openai", "", "gpt-4o:unknown", "x" * 300, "openai/" + "x" * 300, "route/" * 50 + "smart", ":free" * 50]
)  # fmt: skip
async def test_names_that_lead_nowhere(name: str) -> None:
    """They are not found, and the caller is told of the model."""
    with pytest.raises(GatewayError) as told:
        await house().names.resolve(name)
    assert told.value.reason == errors_pb2.ERROR_REASON_NOT_FOUND
    assert told.value.param == "model"
    assert len(told.value.message) < 400


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("smrat", "smart"),
        ("llama3:7b", "llama3:8b"),
        ("claude-exac", ""),
        ("gpt-44", "gpt-4"),
        ("auto:fsat", "auto:fast"),
        ("auto/chta", "auto/chat"),
        ("auto/pari", "auto/pair"),
        ("smart:extended", "smart"),
        ("zzzzzz", ""),
    ],
)
async def test_near_misses(name: str, near: str) -> None:
    """Are told, where there are any."""
    one = house(aliases={"gpt-4": "openai/gpt-4o"})
    with pytest.raises(GatewayError) as told:
        await one.names.resolve(name)
    assert (f"`{near}`" in told.value.message) if near else ("Did you mean" not in told.value.message)


async def test_what_providers_list() -> None:
    """A bare name that several list leads to all of them; an unknown one is looked for once in a while only."""
    one = fleet(("x", "y"), listed=["x/llama", "y/llama", "z/llama", "house-model"])
    assert await one.found("llama") == ["x/llama", "y/llama"]
    with pytest.raises(GatewayError):
        await one.names.resolve("nothing")
    with pytest.raises(GatewayError):
        await one.names.resolve("nothing")
    assert one.listed.asked == 1


async def test_those_who_come_meanwhile_wait() -> None:
    """While the providers are asked, nobody is told that there is no such model."""

    class Slow(Listed):
        async def list(self) -> Sequence[Model]:
            await asyncio.sleep(0)
            return await super().list()

    one = fleet(("x",))
    one.names._models = slow = Slow(["x/llama"])
    found = await asyncio.gather(*(one.names.resolve("llama") for _ in range(10)))
    assert all(len(meaning.offers) == 1 for meaning in found)
    assert slow.asked == 1


async def test_what_is_listed_later_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute a new model has its place in the pools."""
    one = fleet(("x",), listed=["x/first"], knows={"*": known()}, pools={"all": PoolSpec(("*",))})
    assert await one.found("auto/all") == ["x/first"]
    assert await one.found("auto:cost") == ["x/first"]
    one.listed.ids.append("x/second")
    assert await one.found("auto/all") == ["x/first"]
    later = time.monotonic() + 61
    monkeypatch.setattr("time.monotonic", lambda: later)
    assert await one.found("auto/all") == ["x/first", "x/second"]
    assert await one.found("auto:cost") == ["x/first", "x/second"]


async def test_every_key_is_a_target() -> None:
    """A provider with several keys answers once for each."""
    one = fleet(("x",), keys={"x": ("k1", "k2")})
    assert await one.found("x/m") == ["x#k1/m", "x#k2/m"]
    offers = (await one.names.resolve("x/m")).offers
    assert offers[0].health is not offers[1].health


async def test_what_auto_modes_choose_from() -> None:
    """Configured models where there are any, known ones that write text otherwise, and the embedded provider's only
    where there is nothing else."""
    knows = {"x/*": known(), "y/embed": known(output=frozenset({"embeddings"}))}
    kinds = {"x": "openai-compatible", "y": "openai-compatible", "sim": "sim"}
    listed = ["x/one", "y/embed", "y/unknown", "sim/echo"]
    assert await fleet(kinds, knows=knows, listed=listed).found("auto:cost") == ["x/one"]
    routed = fleet(kinds, knows=knows, listed=listed, routes={"mine": ["x/two"]})
    assert await routed.found("auto:cost") == ["x/two"]
    assert await fleet(kinds, listed=["sim/echo"]).found("auto:cost") == ["sim/echo"]


async def test_made_up_names_do_not_add_up() -> None:
    """A caller who thinks of a hundred thousand names fills no memory, and slows nobody."""
    one = fleet({"x": "openai-compatible"}, routes={"mine": ["x/m"]})
    for number in range(10_000):
        await one.names.resolve(f"x/{number}")
    assert len(one.names._known) <= 4096
    assert len(one.names._offers) <= 4096
    assert await one.found("mine") == ["x/m"]


@given(st.text(alphabet="ab/:*autor openi-.4", max_size=40) | st.text(max_size=30))
async def test_no_name_breaks_anything(name: str) -> None:
    """It leads somewhere, or it is not found."""
    try:
        reason, offers = None, (await _HOUSE.names.resolve(name)).offers
    except GatewayError as error:
        reason, offers = error.reason, ()
    assert bool(offers) == (reason != errors_pb2.ERROR_REASON_NOT_FOUND)


_HOUSE = house()
