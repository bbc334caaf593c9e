"""Whose skin a call is answered in."""

from __future__ import annotations

from typing import Any, get_args

from web.skins.asked import call_of, failure

from trunkline.call import Caller
from trunkline.config.model import HttpConfig
from trunkline.web.mounts import USUAL, mounts_of
from trunkline.web.skins.table import DEFAULT, SKINS, skin_of


def test_the_key_goes_before_the_path() -> None:
    """The caller's own, else that of the path, else OpenAI's."""
    own = Caller("someone", dialect="routic")

    assert skin_of(call_of()) is DEFAULT
    assert skin_of(call_of(dialect="tokenrouter")).name == "tokenrouter"
    assert skin_of(call_of(dialect="tokenrouter", owner=own)).name == "routic"
    assert skin_of(call_of(owner=Caller("someone", dialect="nobody's"))) is DEFAULT


def test_every_skin_can_be_configured() -> None:
    """The configuration knows the names of all, and no other."""
    annotation = HttpConfig.model_fields["mounts"].annotation

    assert set(get_args(get_args(annotation)[1])) == set(SKINS)
    assert set(USUAL.values()) <= set(SKINS)


def test_mounts() -> None:
    """What is configured is added to the usual paths, or takes their place."""
    assert mounts_of({}) == {"/v1": "openai", "/api/v1": "openrouter"}
    assert mounts_of({"/v1": "routic", "/tr/v1": "tokenrouter"}) == {
        "/v1": "routic",
        "/api/v1": "openrouter",
        "/tr/v1": "tokenrouter",
    }


def test_the_default_says_what_the_language_says() -> None:
    """Errors are left to each surface, and nothing is dressed."""
    assert DEFAULT.refusal(failure("INTERNAL"), call_of()) is None
    assert DEFAULT.broken(failure("INTERNAL"), call_of(), {}) is None
    assert not DEFAULT.dresses
    assert DEFAULT.headers(call_of()) == {}
    message: dict[str, Any] = {"content": []}
    DEFAULT.dress_message(message, call_of("anthropic"))
    assert message == {"content": []}
