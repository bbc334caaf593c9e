"""Secrets are hard to guess, easy to know for what they are, and not kept."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.access.secret import digests_by, make_secret, malformed, mask, shown


def test_a_secret() -> None:
    """It has a prefix for scanners, 256 bits, and a checksum."""
    made = {make_secret() for _ in range(100)}
    assert len(made) == 100
    for secret in made:
        assert re.fullmatch(r"sk-tl-[0-9A-Za-z]{49}", secret)
        assert not malformed(secret)
        assert shown(secret) == secret[:12]


@given(st.integers(6, 54), st.sampled_from("0123456789ABCDEFxyz"))
def test_a_slip_of_the_hand(place: int, char: str) -> None:
    """A character that is another is noticed, wherever it is, without asking anyone."""
    secret = make_secret()
    changed = f"{secret[:place]}{char}{secret[place + 1 :]}"
    assert malformed(changed) == (changed != secret)


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text(text: str) -> None:
    """No text is too strange to be looked at, and its digest tells it from others."""
    digest = digests_by(b"pepper")
    assert not malformed(text) or text.startswith("sk-tl-")
    assert len(digest(text)) == 32
    assert digest(text) != digest(text + "x")
    assert mask(text).isascii()


def test_a_digest_needs_the_pepper() -> None:
    """Who has the database alone cannot test guesses."""
    assert digests_by(b"one")("secret") == digests_by(b"one")("secret")
    assert digests_by(b"one")("secret") != digests_by(b"two")("secret")


@pytest.mark.parametrize(("secret", "told"), [("sk-or-v1-0123456789abcdef", "sk-or-"), ("0123456789abcdef", "0123")])
def test_what_is_shown_of_a_secret_from_elsewhere(secret: str, told: str) -> None:
    """A quarter at the most, since nobody knows what it is made of."""
    assert shown(secret) == told
