"""What callers ask of the gateway itself, beside what they ask of the model, in whichever language.

OpenRouter's fields (https://openrouter.ai/docs/api-reference/parameters) and TokenRouter's. What OpenAI's clients send
as `extra_body` arrives at the top of the body.
"""

from __future__ import annotations

from typing import Final

from trunkline.call import Call
from trunkline.dialects.openrouter.preferences import decode_preferences, take_names
from trunkline.dialects.wire import Json, Object, text_of
from trunkline.errors import invalid_request
from trunkline.routing.strategies import MODES, SORTS
from trunkline.v1.chat_pb2 import ChatRequest, Plugin, Routing
from trunkline.web.notes import take_notes
from trunkline.web.skins.table import skin_of

_COMPRESSION: Final = "context-compression"
_TRANSFORMS: Final = {"middle-out": _COMPRESSION}
"""OpenRouter's older `transforms` -> the plugins that they are now."""

_MOST_FALLBACKS: Final = 3
"""The most `fallbacks` that OpenRouter takes in Messages."""
_LONGEST_SESSION: Final = 256

_UNHEARD: Final = ("debug", "trace")
"""What is borne and does nothing."""

_ROUTER: Final = ("router_mode", "router_model", "router_provider")
_AUTO: Final = "auto"

_SESSION: Final = "x-session-id"
_OURS: Final = frozenset(
    {
        "fallbacks",
        "metadata",
        "models",
        "plugins",
        "preset",
        "prompt_cache_key",
        "provider",
        "route",
        "session_id",
        "transforms",
        "usage",
        "user",
        *_ROUTER,
        *_UNHEARD,
    }
)
"""Every field that is looked for."""


def take_extensions(wire: Object, call: Call) -> ChatRequest:
    """Take them out of a body, before a dialect reads it: a request that holds nothing else, for `MergeFrom`.

    The name of the model in the body is changed where they say so. Raises `GatewayError` (INVALID_REQUEST), naming the
    field.
    """
    asked = ChatRequest()
    if _OURS.isdisjoint(wire.fields) and _SESSION not in call.headers and wire.fields.get("model"):
        return asked  # as most requests do, which pay for no more than this look
    if "transforms" in wire.fields:
        _take_transforms(wire, asked)
    if "plugins" in wire.fields:
        for item in wire.take_objects("plugins"):
            _take_plugin(item, asked.plugins.add())
    routing = take_routing(wire, call)
    if routing.ListFields():
        asked.routing.CopyFrom(routing)
    take_notes(wire, call, asked)
    take_usage(wire)
    return asked


def take_usage(wire: Object) -> bool:
    """Take OpenRouter's older `usage`: whether a stream is to tell its usage."""
    usage = wire.take_object("usage") if "usage" in wire.fields else None
    if usage is None:
        return False
    include = usage.take_bool("include")
    wire.take("usage")
    return include or False


def take_routing(wire: Object, call: Call) -> Routing:
    """Take what is asked of those that may answer. Raises as `take_extensions`."""
    routing = Routing()
    fields = wire.fields
    if "provider" in fields:
        _take_provider(wire, routing, call)
    if "models" in fields or "fallbacks" in fields:
        _take_models(wire, routing)
    if "route" in fields:
        route = wire.take_str("route")
        if route not in (None, "fallback", "sort"):
            raise invalid_request("`route` must be `fallback` or `sort`.", "route")
        if route == "sort":
            routing.sort.across_models = True
    if any(name in fields for name in _ROUTER):
        _take_router(wire, routing)
    if fields.get("model") is None and skin_of(call).name == "tokenrouter":
        fields["model"] = f"{_AUTO}:balance"
    _take_session(wire, routing, call)
    if "preset" in fields and wire.take("preset") is not None:
        message = "`preset`: this gateway has no presets; put what the preset holds into the request itself."
        raise invalid_request(message, "preset")
    for name in _UNHEARD:
        if name in fields and wire.take(name) is not None:
            call.warnings.append(f"`{name}` does nothing here")
    return routing


def _take_plugin(wire: Object, plugin: Plugin) -> None:
    """Read one plugin, whose options stand beside its name."""
    plugin.id = wire.need_str("id")
    enabled = wire.take_bool("enabled")
    if enabled is not None:
        plugin.enabled = enabled
    if wire.fields:
        plugin.options_json = text_of(wire.fields)


def _take_transforms(wire: Object, asked: ChatRequest) -> None:
    """Read `transforms`; an empty list switches off what is at work by default."""
    names = wire.take_list("transforms")
    if names is None:
        return
    if not names:
        asked.plugins.add(id=_COMPRESSION, enabled=False)
    for index, name in enumerate(names):
        known = _TRANSFORMS.get(name) if isinstance(name, str) else None
        if known is None:
            path = f"transforms[{index}]"
            raise invalid_request(f"`{path}` must be `middle-out`.", path)
        asked.plugins.add(id=known)


def _take_provider(wire: Object, routing: Routing, call: Call) -> None:
    if type(wire.fields["provider"]) is str:
        # Hugging Face's clients send the name of theirs.
        call.warnings.append("`provider` is passed on, as it is a text; `provider.only` says who may answer")
        return
    provider = wire.take_object("provider")
    if provider is None:
        return
    unknown = decode_preferences(provider, routing, SORTS)
    wire.take("provider")
    for path in unknown[:8]:
        call.warnings.append(f"`{path[:128]}` is not known and does nothing")


def _take_models(wire: Object, routing: Routing) -> None:
    """Read the models to fall back on: OpenRouter's `models`, or `fallbacks` as Messages have it."""
    names = take_names(wire, "models")
    fallbacks = list(wire.take_objects("fallbacks"))
    if fallbacks and names:
        raise invalid_request("`fallbacks` and `models` exclude each other.", "fallbacks")
    if len(fallbacks) > _MOST_FALLBACKS:
        raise invalid_request(f"`fallbacks` holds {len(fallbacks)} models; at most 3 are taken.", "fallbacks")
    for item in fallbacks:
        names.append(item.need_str("model"))
        if item.fields:
            path = item.at(next(iter(item.fields)))[:128]
            raise invalid_request(f"`{path}` is not taken; a fallback holds nothing but its `model`.", path)
    if names and wire.fields.get("model") is None:
        wire.fields["model"] = names.pop(0)
    # The name itself stands in the list of many callers, too.
    routing.fallback_models.extend(name for name in dict.fromkeys(names) if name != wire.fields.get("model"))


def _take_router(wire: Object, routing: Routing) -> None:
    """Read TokenRouter's words, which go before what `model` says."""
    mode, model, provider = (wire.take_str(name) for name in _ROUTER)
    if model:
        wire.fields["model"] = model
    if provider:
        routing.allowed_providers.append(provider)
    if mode is None:
        return
    if mode not in MODES:
        known = ", ".join(f"`{one}`" for one in MODES)
        raise invalid_request(f"`router_mode` must be one of {known}.", "router_mode")
    name: Json = wire.fields.get("model")
    if name is None or name == _AUTO or (isinstance(name, str) and name.startswith(f"{_AUTO}:")):
        wire.fields["model"] = f"{_AUTO}:{mode}"
    else:
        routing.sort.by = mode


def _take_session(wire: Object, routing: Routing, call: Call) -> None:
    """Read what names the conversation: `session_id`, a header, or else what its prompt cache is known by."""
    path = "session_id"
    session = wire.take_str("session_id") if "session_id" in wire.fields else None
    if session is None:
        path = _SESSION
        session = call.headers.get(path)
    if session is None:
        cached = wire.fields.get("prompt_cache_key")
        session = cached[:_LONGEST_SESSION] if isinstance(cached, str) else ""
    if len(session) > _LONGEST_SESSION:
        raise invalid_request(f"`{path}` must have at most {_LONGEST_SESSION} characters.", path)
    routing.session_id = _text(session)


def _text(value: str) -> str:
    """A text that came in a header, which may hold what is no UTF-8."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()
