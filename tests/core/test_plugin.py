"""Which plugins are at work, with which options."""

from __future__ import annotations

from typing import ClassVar

import pytest

from trunkline.call import Call
from trunkline.core.plugin import Plugins, Work
from trunkline.dialects.wire import Object
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, Plugin


class Noting(Work):
    """Adds its name to the request's user and to the answer's id."""

    revises = True

    def __init__(self, told: str) -> None:
        self._told = told

    async def prepare(self, request: ChatRequest, call: Call) -> ChatRequest:
        """See `Work.prepare`."""
        copy = ChatRequest()
        copy.CopyFrom(request)
        copy.user += self._told
        return copy

    def feed(self, event: ChatEvent) -> list[ChatEvent]:
        """See `Work.feed`."""
        if event.HasField("start"):
            event.start.id += self._told
        return [event]


class First:
    """A plugin with an option, and one within another."""

    id: ClassVar[str] = "first"
    aliases: ClassVar[tuple[str, ...]] = ("one",)
    closed = False

    def configure(self, options: Object) -> Work:
        """See `Maker.configure`."""
        inner = options.take_object("inner")
        depth = None if inner is None else inner.take_int("depth")
        return Noting(f"<{self.id}{options.take_int('size', 1, 9) or ''}{depth or ''}>")

    async def close(self) -> None:
        """See `Maker.close`."""
        self.closed = True


class Second(First):
    """Another."""

    id: ClassVar[str] = "second"
    aliases: ClassVar[tuple[str, ...]] = ()


async def sent(plugins: Plugins, *asked: Plugin) -> str:
    """What is noted in a request."""
    request = ChatRequest(plugins=asked)
    assert plugins.concern(request)
    prepared = await plugins.prepare(request, Call("id", "grpc"))
    assert not request.user
    return prepared.request.user


def off(name: str) -> Plugin:
    """A plugin that is switched off."""
    return Plugin(id=name, enabled=False)


async def test_they_work_in_the_order_of_the_house() -> None:
    """Requests go through them in order, answers the other way, whatever order was asked for."""
    plugins = Plugins([First(), Second()])
    request = ChatRequest(plugins=[Plugin(id="second"), Plugin(id="one")])
    prepared = await plugins.prepare(request, Call("id", "grpc"))
    assert prepared.request.user == "<first><second>"
    assert prepared.answer(ChatResponse(id="x")).id == "x<second><first>"
    assert prepared.stream([ChatEvent(start={"id": "x"})])[0].start.id == "x<second><first>"


async def test_options_and_defaults() -> None:
    """A request's options go before the configured ones, and the later before the earlier of one plugin named twice."""
    plugins = Plugins([First(), Second()], defaults={"first": {"size": 3, "inner": {"depth": 4}}}, on=["first"])
    assert await sent(plugins) == "<first34>"
    assert await sent(plugins, Plugin(id="first", options_json='{"size":5}')) == "<first54>"
    twice = (Plugin(id="one", options_json='{"size":5}'), Plugin(id="first", options_json='{"inner":null}'))
    assert await sent(plugins, *twice) == "<first5>"
    assert await sent(plugins, off("first")) == ""
    assert await sent(plugins, off("first"), Plugin(id="first")) == ""
    assert await sent(plugins, off("first"), Plugin(id="first", enabled=True)) == "<first34>"
    assert await sent(plugins, off("first"), Plugin(id="second")) == "<second>"


@pytest.mark.parametrize(
    ("plugin", "param", "reason"),
    [
        (Plugin(id="frist"), "plugins[0].id", errors_pb2.ERROR_REASON_INVALID_REQUEST),
        (Plugin(), "plugins[0].id", errors_pb2.ERROR_REASON_INVALID_REQUEST),
        (Plugin(id="second"), "plugins[0].id", errors_pb2.ERROR_REASON_UNSUPPORTED),
        (Plugin(id="first", options_json="{"), "plugins[0].options_json", errors_pb2.ERROR_REASON_INVALID_REQUEST),
        (Plugin(id="first", options_json="[]"), "plugins[0].options_json", errors_pb2.ERROR_REASON_INVALID_REQUEST),
        (Plugin(id="first", options_json='{"size":0}'), "plugins[0].size", errors_pb2.ERROR_REASON_INVALID_REQUEST),
        (Plugin(id="first", options_json='{"seize":1}'), "plugins[0].seize", errors_pb2.ERROR_REASON_INVALID_REQUEST),
        (
            Plugin(id="first", options_json='{"inner":{"depht":1}}'),
            "plugins[0].inner.depht",
            errors_pb2.ERROR_REASON_INVALID_REQUEST,
        ),
    ],
)
async def test_what_is_wrong_is_named(plugin: Plugin, param: str, reason: errors_pb2.ErrorReason.ValueType) -> None:
    """A plugin that there is not, or that is not allowed, and options that there are not are errors."""
    plugins = Plugins([First(), Second()], allowed=["first"])
    with pytest.raises(GatewayError) as caught:
        await plugins.prepare(ChatRequest(plugins=[plugin]), Call("id", "grpc"))
    assert (caught.value.param, caught.value.reason) == (param, reason)


async def test_nothing_is_done_twice() -> None:
    """What was at work before a name asked for more is not at work again."""
    plugins = Plugins([First(), Second()])
    before = await plugins.prepare(ChatRequest(plugins=[Plugin(id="first")]), Call("id", "grpc"))
    more = ChatRequest()
    more.CopyFrom(before.request)
    more.plugins.add(id="second")
    after = await plugins.prepare(more, Call("id", "grpc"), before)
    assert after.request.user == "<first><second>"
    assert after.answer(ChatResponse(id="x")).id == "x<second><first>"


async def test_without_any_nothing_is_done() -> None:
    """A request without plugins is none of theirs; a default that is wrong is told before any request."""
    assert not Plugins([First()]).concern(ChatRequest())
    with pytest.raises(GatewayError) as caught:
        Plugins([First()], defaults={"first": {"size": "x"}}).check()
    assert caught.value.param == "plugins.options.first.size"
    makers = [First(), Second()]
    await Plugins(makers).close()
    assert all(maker.closed for maker in makers)
