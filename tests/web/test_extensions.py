"""What callers ask of the gateway itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.call import Call, Surface
from trunkline.dialects.wire import Object
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatRequest, Plugin, Routing, RoutingSort
from trunkline.web.extensions import take_extensions, take_usage


def read(
    body: dict[str, Any], *, surface: Surface = "openai", dialect: str = "", headers: dict[str, str] | None = None
) -> tuple[ChatRequest, dict[str, Any], Call]:
    """What is asked of the gateway, what is left for the model, and the call."""
    call = Call("req_1", surface, dialect=dialect, headers=headers or {})
    wire = Object(body)
    return take_extensions(wire, call), wire.fields, call


@pytest.mark.parametrize(
    ("body", "routing", "left"),
    [
        ({"model": "a"}, Routing(), {"model": "a"}),
        (
            {"model": "a", "provider": {"only": ["x"]}},
            Routing(allowed_providers=["x"]),
            {"model": "a"},
        ),
        ({"model": "a", "models": ["b", "c", "b"]}, Routing(fallback_models=["b", "c"]), {"model": "a"}),
        ({"model": "a", "models": ["a", "b"]}, Routing(fallback_models=["b"]), {"model": "a"}),
        ({"models": ["b", "c"]}, Routing(fallback_models=["c"]), {"model": "b"}),
        ({"model": "a", "models": ["b"], "route": "fallback"}, Routing(fallback_models=["b"]), {"model": "a"}),
        ({"model": "a", "route": "sort"}, Routing(sort=RoutingSort(across_models=True)), {"model": "a"}),
        ({"model": "a", "route": None, "models": None, "provider": None}, Routing(), {"model": "a"}),
        ({"model": "a", "session_id": "s"}, Routing(session_id="s"), {"model": "a"}),
        (
            {"model": "a", "prompt_cache_key": "k"},
            Routing(session_id="k"),
            {"model": "a", "prompt_cache_key": "k"},
        ),
        (
            {"model": "a", "prompt_cache_key": "k", "session_id": "s"},
            Routing(session_id="s"),
            {"model": "a", "prompt_cache_key": "k"},
        ),
        ({"model": "a", "router_provider": "groq"}, Routing(allowed_providers=["groq"]), {"model": "a"}),
        ({"model": "a", "router_model": "b"}, Routing(), {"model": "b"}),
        ({"model": "a", "router_mode": "cost"}, Routing(sort=RoutingSort(by="cost")), {"model": "a"}),
        ({"model": "auto:balance", "router_mode": "cost"}, Routing(), {"model": "auto:cost"}),
        ({"router_mode": "quality"}, Routing(), {"model": "auto:quality"}),
        ({"model": "a", "preset": None, "debug": {"echo_upstream_body": True}, "trace": {}}, Routing(), {"model": "a"}),
        ({"model": "a", "usage": {"include": True}}, Routing(), {"model": "a"}),
    ],
)
def test_what_is_asked_of_the_route(body: dict[str, Any], routing: Routing, left: dict[str, Any]) -> None:
    """Each field has its place, and is not left for the model's provider, which would refuse it."""
    asked, rest, _ = read(body)

    assert asked.routing == routing
    assert asked.HasField("routing") is bool(routing.ListFields())
    assert rest == left


def test_the_session_of_a_header() -> None:
    """It counts where the body has none, and goes before what the prompt cache is known by."""
    headers = {"x-session-id": "from-header"}

    assert read({"model": "a", "prompt_cache_key": "k"}, headers=headers)[0].routing.session_id == "from-header"
    assert read({"model": "a", "session_id": "s"}, headers=headers)[0].routing.session_id == "s"
    assert read({"model": "a"}, headers={"x-session-id": "h\udcff"})[0].routing.session_id == "h?"


def test_tokenrouters_clients_need_name_no_model() -> None:
    """Without one the gateway chooses."""
    assert read({}, dialect="tokenrouter")[1] == {"model": "auto:balance"}
    assert read({})[1] == {}


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"fallbacks": [{"model": "b"}, {"model": "c"}]}, ["b", "c"]),
        ({"fallbacks": []}, []),
        ({"fallbacks": None, "models": ["b"]}, ["b"]),
    ],
)
def test_fallbacks_of_messages(body: dict[str, Any], names: list[str]) -> None:
    """They are models to fall back on by another name."""
    asked, rest, _ = read({"model": "a", **body}, surface="anthropic")

    assert list(asked.routing.fallback_models) == names
    assert rest == {"model": "a"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"provider": ["openai"]}, "provider"),
        ({"provider": {"sort": "cheapest"}}, "provider.sort"),
        ({"models": "b"}, "models"),
        ({"models": [1]}, "models[0]"),
        ({"models": ["b"] * 65}, "models"),
        ({"fallbacks": [{"model": "b"}], "models": ["c"]}, "fallbacks"),
        ({"fallbacks": [{"model": "b"}] * 4}, "fallbacks"),
        ({"fallbacks": [{}]}, "fallbacks[0].model"),
        ({"fallbacks": ["b"]}, "fallbacks[0]"),
        ({"fallbacks": [{"model": "b", "max_tokens": 1}]}, "fallbacks[0].max_tokens"),
        ({"route": "random"}, "route"),
        ({"session_id": 1}, "session_id"),
        ({"session_id": "s" * 257}, "session_id"),
        ({"router_mode": "cheap"}, "router_mode"),
        ({"router_provider": 1}, "router_provider"),
        ({"preset": "mine"}, "preset"),
        ({"usage": True}, "usage"),
        ({"usage": {"include": "yes"}}, "usage.include"),
        ({"plugins": ["web"]}, "plugins[0]"),
        ({"transforms": ["middle"]}, "transforms[0]"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(body: dict[str, Any], path: str) -> None:
    """The message and the parameter name the field as its caller wrote it."""
    with pytest.raises(GatewayError) as raised:
        read({"model": "a", **body})

    assert raised.value.row.http == 400
    assert raised.value.param == path
    assert path in raised.value.message


def test_a_session_of_a_header_is_bounded() -> None:
    """As the field is."""
    with pytest.raises(GatewayError) as raised:
        read({"model": "a"}, headers={"x-session-id": "s" * 257})

    assert raised.value.param == "x-session-id"


def test_what_does_nothing_is_told() -> None:
    """What is borne and what nobody knows is named in a warning."""
    _, _, call = read({"model": "a", "debug": {}, "trace": {"id": 1}, "provider": {"novel": 1}})

    assert call.warnings == [
        "`provider.novel` is not known and does nothing",
        "`debug` does nothing here",
        "`trace` does nothing here",
    ]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [({}, False), ({"usage": None}, False), ({"usage": {}}, False), ({"usage": {"include": True, "x": 1}}, True)],
)
def test_usage(body: dict[str, Any], wanted: bool) -> None:
    """Whether a stream is to tell its usage; the field is gone in any case."""
    wire = Object(body)

    assert take_usage(wire) is wanted
    assert wire.fields == {}


def test_plugins() -> None:
    """Their options stand beside their names; `transforms` is an older word for one of them."""
    asked, rest, _ = read(
        {"plugins": [{"id": "web", "max_results": 2}, {"id": "x", "enabled": False}], "transforms": ["middle-out"]}
    )

    assert list(asked.plugins) == [
        Plugin(id="context-compression"),
        Plugin(id="web", options_json='{"max_results":2}'),
        Plugin(id="x", enabled=False),
    ]
    assert rest == {}
    assert list(read({"transforms": []})[0].plugins) == [Plugin(id="context-compression", enabled=False)]


def test_metadata_is_noted_and_stays() -> None:
    """OpenAI's own reaches OpenAI as before; the pairs of a `user` that holds an object are noted, too."""
    user = json.dumps({"task": "summary", "level": 3, "tags": ["a"]})
    asked, rest, call = read({"model": "a", "metadata": {"team": "x"}, "user": user})

    assert dict(asked.metadata) == {"team": "x", "task": "summary", "level": "3", "tags": '["a"]'}
    assert rest == {"model": "a", "metadata": {"team": "x"}, "user": user}
    assert call.warnings == []


@pytest.mark.parametrize("user", ["someone", "{not json", "{}", "[1]", "{" + "x" * 20_000, 5])
def test_a_user_that_holds_no_object_is_a_user(user: Any) -> None:
    """Nothing is noted, and nothing refused."""
    assert not read({"user": user})[0].metadata


def test_what_is_too_much_is_not_noted_and_told() -> None:
    """Sixteen pairs of bounded length are, whatever the size of what was sent."""
    pairs = {f"k{number}": "v" for number in range(20)} | {"x" * 65: "v"}
    asked, _, call = read({"metadata": pairs, "user": json.dumps({"long": "v" * 513})})

    assert len(asked.metadata) == 16
    assert call.warnings == [
        "`metadata`: 5 of its pairs are too many or too long to be noted",
        "`user`: 1 of its pairs are too many or too long to be noted",
    ]


def test_messages_have_a_metadata_of_their_own() -> None:
    """It is left alone; OpenRouter's `user` beside it is the user."""
    asked, rest, _ = read({"metadata": {"user_id": "u"}, "user": "v"}, surface="anthropic")

    assert (asked.user, dict(asked.metadata)) == ("v", {})
    assert rest == {"metadata": {"user_id": "u"}}


def test_a_provider_that_is_a_text_is_passed_on() -> None:
    """Hugging Face's clients send one; who means this gateway's is told how to say so."""
    asked, rest, call = read({"model": "a", "provider": "sambanova"})

    assert rest == {"model": "a", "provider": "sambanova"}
    assert not asked.HasField("routing")
    assert len(call.warnings) == 1
    assert "provider.only" in call.warnings[0]
