"""What callers ask of the gateway itself, beside what they ask of the model, in whichever dialect."""

from __future__ import annotations

from typing import Final

from trunkline.dialects.wire import Object, text_of
from trunkline.errors import invalid_request
from trunkline.v1.chat_pb2 import ChatRequest, Plugin

_COMPRESSION: Final = "context-compression"
_TRANSFORMS: Final = {"middle-out": _COMPRESSION}
"""OpenRouter's older `transforms` -> the plugins that they are now."""


def take_extensions(wire: Object) -> ChatRequest:
    """Take them out of a body, before a dialect reads it: a request that holds nothing else, for `MergeFrom`.

    Raises `GatewayError` (INVALID_REQUEST), naming the field.
    """
    asked = ChatRequest()
    if "transforms" in wire.fields:
        _take_transforms(wire, asked)
    if "plugins" in wire.fields:
        for item in wire.take_objects("plugins"):
            _take_plugin(item, asked.plugins.add())
    return asked


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
