"""The paths below which OpenAI's language is served."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trunkline.config.model import HttpConfig


@pytest.mark.parametrize("path", ["/v1", "/api/v1", "/tr/v1", "/tokenrouter", "/a/b/c", "/v2", "/v1-old"])
def test_what_may_be_one(path: str) -> None:
    """A path of its own, or one of the usual ones in another manner."""
    assert HttpConfig.model_validate({"mounts": {path: "routic"}}).mounts == {path: "routic"}


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "v1", "/v1/", "//v1", "/..", "/a/./b", "/a b", "/{id}", "/ä", "/a?b", "/" + "x" * 200, "/a" * 9),
        *("/v1/x", "/api/v1/x", "/metrics", "/anthropic/v1", "/trunkline/v1", "/v1beta", "/messages"),
    ],
)
def test_what_may_not(path: str) -> None:
    """What is no path, and what would hide another."""
    with pytest.raises(ValidationError, match="must"):
        HttpConfig.model_validate({"mounts": {path: "routic"}})


def test_the_manner_is_one_of_those_that_there_are() -> None:
    """A word that nobody knows is refused."""
    with pytest.raises(ValidationError, match="routing_run"):
        HttpConfig.model_validate({"mounts": {"/x/v1": "routingrun"}})
