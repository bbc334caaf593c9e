"""Every skin, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.call import Call
from trunkline.web.skins.openai import OpenAISkin
from trunkline.web.skins.openrouter import OpenRouterSkin
from trunkline.web.skins.routic import RouticSkin
from trunkline.web.skins.routing_run import RoutingRunSkin
from trunkline.web.skins.skin import Skin
from trunkline.web.skins.tokenrouter import TokenRouterSkin

DEFAULT: Final = OpenAISkin()

SKINS: Final[Mapping[str, Skin]] = {
    skin.name: skin for skin in (DEFAULT, OpenRouterSkin(), TokenRouterSkin(), RouticSkin(), RoutingRunSkin())
}
"""Every skin, by the name that the configuration has for it."""


def skin_of(call: Call) -> Skin:
    """The skin that the call is answered in: that of its caller's key, or else of its path."""
    return SKINS.get(call.owner.dialect or call.dialect, DEFAULT)
