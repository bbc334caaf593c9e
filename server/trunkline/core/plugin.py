"""What the gateway itself does to a request before it is sent, and to the events of its answer."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from typing import ClassVar, Final, Protocol

from trunkline.call import Call
from trunkline.core.fold import fold, unfold
from trunkline.dialects.wire import Json, Object, loads, text_of
from trunkline.errors import GatewayError, invalid_request, unsupported
from trunkline.v1.chat_pb2 import ChatEvent, ChatRequest, ChatResponse, Plugin

OWN: Final = "trunkline"
"""The name under which the gateway's own notes stand in the extras of an answer."""

_MOST_NAMED: Final = 32
"""The most plugins that one request may name."""


class Work:
    """What one plugin does for one call; without more, nothing.

    `revises` tells whether it changes the answer. It is set before the answer begins.
    """

    revises: bool = False

    async def prepare(self, request: ChatRequest, call: Call) -> ChatRequest:
        """The request to send in place of `request`, which is not changed: a copy, or the same where nothing is to be
        done. Raises `GatewayError`."""
        return request

    def feed(self, event: ChatEvent) -> list[ChatEvent]:
        """What is told in place of `event`: the events that come of a legal stream are one again."""
        return [event]


class Maker(Protocol):
    """A plugin: makes the work of each call that asks for it."""

    id: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]]

    def configure(self, options: Object) -> Work:
        """Its work by these options, each of which it takes. Raises `GatewayError`, naming the one at fault."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class Prepared:
    """A request as it is to be sent, and what becomes of its answer."""

    __slots__ = ("_works", "request", "works")

    def __init__(self, request: ChatRequest, works: Mapping[str, Work]) -> None:
        self.request = request
        self.works = works
        self._works = [work for work in list(works.values())[::-1] if work.revises]

    def answer(self, response: ChatResponse) -> ChatResponse:
        """The whole answer, by way of its events, so that it is what folding its stream gives."""
        return fold(self.stream(list(unfold(response)))) if self._works else response

    def stream(self, batch: list[ChatEvent]) -> list[ChatEvent]:
        """What is told in place of `batch`, which may be nothing yet."""
        for work in self._works:
            batch = [told for event in batch for told in work.feed(event)]
        return batch


class Plugins:
    """The plugins that there are, in the order in which they change requests; answers go through them the other way.

    `defaults` are the options of each by its id, and `on` are the ids of those at work without being asked for. An id
    that is not in `allowed` is refused.
    """

    def __init__(
        self,
        makers: Sequence[Maker] = (),
        *,
        allowed: Sequence[str] | None = None,
        defaults: Mapping[str, Mapping[str, Json]] = {},
        on: Sequence[str] = (),
    ) -> None:
        self._makers = {maker.id: maker for maker in makers}
        self._names = {name: maker.id for maker in makers for name in (maker.id, *maker.aliases)}
        self._allowed = frozenset(self._makers if allowed is None else allowed)
        self._defaults = defaults
        self._on = tuple(on)

    def concern(self, request: ChatRequest) -> bool:
        """Whether anything is to be done about a request."""
        return bool(self._on or request.plugins)

    async def prepare(self, request: ChatRequest, call: Call, before: Prepared | None = None) -> Prepared:
        """Change a request as it asks for, and as the configuration says. What was at work `before` is not again.

        Raises `GatewayError`, naming the field: for a plugin or an option that there is not, and where one fails.
        """
        done = {} if before is None else before.works
        asked = self._asked(request)
        # All options are read before anything is done, which may cost money.
        works = {name: _configured(self._makers[name], asked[name]) for name in asked if name not in done}
        for work in works.values():
            request = await work.prepare(request, call)
        return Prepared(request, {**done, **works})

    async def close(self) -> None:
        """Let go of what the plugins hold."""
        for maker in self._makers.values():
            await maker.close()

    def check(self) -> None:
        """Raise `GatewayError` where the configuration has a plugin at work that cannot be, or gives a wrong option."""
        for name in {*self._defaults, *self._on}:
            _configured(self._makers[name], Object(self._default(name), key=f"plugins.options.{name}"))

    def _default(self, name: str) -> dict[str, Json]:
        """The configured options of a plugin, to be taken out."""
        return deepcopy(dict(self._defaults.get(name, {})))

    def _asked(self, request: ChatRequest) -> dict[str, Object]:
        """The plugins at work, in the order of the house, and their options. One that is named twice is one, whose
        later options go before the earlier."""
        if len(request.plugins) > _MOST_NAMED:
            raise invalid_request(f"`plugins` holds more than {_MOST_NAMED} plugins.", "plugins")
        enabled = dict.fromkeys(self._on, True)
        options: dict[str, Object] = {}
        for index, plugin in enumerate(request.plugins):
            name = self._name(plugin.id, f"plugins[{index}].id")
            if plugin.HasField("enabled") or name not in options:
                enabled[name] = plugin.enabled or not plugin.HasField("enabled")
            given = _options(plugin, f"plugins[{index}]")
            before = options[name].fields if name in options else self._default(name)
            options[name] = Object({**before, **given}, parent=_TOP, key="plugins", index=index)
        for name in self._on:
            options.setdefault(name, Object(self._default(name), parent=_TOP, key=f"plugins.{name}"))
        return {name: options[name] for name in self._makers if enabled.get(name)}

    def _name(self, given: str, path: str) -> str:
        """The id of the plugin that is called `given`."""
        name = self._names.get(given)
        if name is None:
            near = get_close_matches(given[:64], self._names, 1) or None
            hint = f"did you mean `{near[0]}`?" if near else f"there are {_listed(sorted(self._allowed))}."
            raise invalid_request(f"`{path}`: there is no plugin `{given[:64]}`; {hint}", path)
        if name not in self._allowed:
            raise unsupported(f"`{path}`: the plugin `{name}` is not allowed here; see `plugins.allow`.", path)
        return name


_TOP: Final = Object({})


def note(extras: MutableMapping[str, str], name: str, told: Json) -> None:
    """Add to the gateway's own notes in the extras of an answer."""
    kept = loads(extras[OWN]) if OWN in extras else {}
    extras[OWN] = text_of({**kept, name: told})


def _options(plugin: Plugin, path: str) -> dict[str, Json]:
    if not plugin.options_json:
        return {}
    path += ".options_json"
    try:
        options = loads(plugin.options_json)
    except GatewayError as error:
        raise invalid_request(f"`{path}` cannot be read. {error.message}", path) from None
    if not isinstance(options, dict):
        raise invalid_request(f"`{path}` must be the text of a JSON object.", path)
    return options


def _configured(maker: Maker, options: Object) -> Work:
    work = maker.configure(options)
    unknown = _unknown(options)
    if unknown is not None:
        raise invalid_request(f"`{unknown}` is no option of the plugin `{maker.id}`.", unknown)
    return work


def _unknown(options: Object) -> str | None:
    """The path of an option that was not taken."""
    taken = {inner.key: inner for inner in options.inner or ()}
    for key, value in options.fields.items():
        if key in taken:
            unknown = _unknown(taken[key])
            if unknown is not None:
                return unknown
        elif value is not None:
            return options.at(key[:64])
    return None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
