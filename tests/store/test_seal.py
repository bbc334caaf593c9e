"""What is stored cannot be read without the key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import GatewayError
from trunkline.store.seal import Seal

KEY, OTHER = b"k" * 32, b"o" * 32


@given(st.binary(max_size=300), st.text(max_size=20), st.sampled_from([None, KEY]))
def test_what_is_sealed_can_be_opened(data: bytes, place: str, key: bytes | None) -> None:
    """At the place where it was sealed, with the key or without any."""
    seal = Seal(key)
    assert seal.open(seal.close(data, place), place) == data


def test_nothing_of_it_can_be_seen() -> None:
    """The same text is never sealed alike, and does not show."""
    seal = Seal(KEY)
    first, second = seal.close(b"secret" * 10, "a"), seal.close(b"secret" * 10, "a")
    assert first != second
    assert b"secret" not in first


def test_what_was_plain_stays_readable() -> None:
    """A key may be added later."""
    assert Seal(KEY).open(Seal(None).close(b"x", "a"), "a") == b"x"


@pytest.mark.parametrize(
    ("key", "place", "damage"), [(OTHER, "a", 0), (None, "a", 0), (KEY, "b", 0), (KEY, "a", 1), (KEY, "a", 20)]
)
def test_what_cannot_be_opened(key: bytes | None, place: str, damage: int) -> None:
    """With another key or none, at another place, or damaged, it is an error that names the setting."""
    sealed = bytearray(Seal(KEY).close(b"secret" * 10, "a"))
    if damage:
        sealed[damage] ^= 1
    with pytest.raises(GatewayError, match="encryption_key"):
        Seal(key).open(bytes(sealed), place)
