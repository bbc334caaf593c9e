"""Callers known by static keys."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.access.keys import Keys
from trunkline.call import ANYONE
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

KEYS = Keys([("alice", "sk-alice-0123456789"), ("bob", "sk-bob-0123456789"), ("short", "x")])


def refusal(key: str) -> str:
    """The message with which `key` is refused."""
    with pytest.raises(GatewayError) as raised:
        asyncio.run(KEYS.authenticate(key))
    assert raised.value.reason == errors_pb2.ERROR_REASON_UNAUTHENTICATED
    assert raised.value.row.openai_code == "invalid_api_key"
    return raised.value.message


async def test_a_key_tells_the_caller() -> None:
    """Each key gives the name it is configured with."""
    assert (await KEYS.authenticate("sk-alice-0123456789")).name == "alice"
    assert (await KEYS.authenticate("sk-bob-0123456789")).name == "bob"
    assert (await KEYS.authenticate("x")).name == "short"


@pytest.mark.parametrize("key", ["", "anything", "\udcff"])
async def test_without_keys_everyone_is_let_in(key: str) -> None:
    """Open mode asks for nothing and believes nothing."""
    assert await Keys([]).authenticate(key) == ANYONE


def test_a_missing_key() -> None:
    """A caller without a key is told how to present one."""
    assert refusal("").startswith("You didn't provide an API key.")


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk-alice-01234567890", "sk-al***90"),
        ("sk-alice-012345678", "***"),
        ("alice", "***"),
        ("é" * 40, "***"),
        ("a\r\n" + "b" * 40, "***"),
        ("\udcff" * 40, "***"),
    ],
)
def test_a_wrong_key(key: str, shown: str) -> None:
    """A wrong key is refused with no more of it than it takes to know which one it was."""
    assert refusal(key) == f"Incorrect API key provided: {shown}."


@given(st.text(st.characters(exclude_categories=[]), min_size=1))
def test_any_other_key_is_refused(key: str) -> None:
    """No text but a configured key lets anyone in, and every refusal can be sent."""
    if key != "x":
        refusal(key).encode("ascii")


def test_secrets_are_not_kept() -> None:
    """Nothing that holds the keys in memory holds a secret."""
    assert "sk-alice" not in repr(vars(KEYS))
