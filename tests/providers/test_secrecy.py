"""What providers say of requests, without the secrets in them."""

from __future__ import annotations

import pytest

from trunkline.errors import provider_failed
from trunkline.providers.secrecy import conceal, concealed

HEADERS = {
    "Authorization": "Bearer sk-0123456789",
    "x-team": "sk-0123456789-more",
    "x-short": "blue",
    "content-type": "application/json",
}


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Incorrect API key: sk-0123456789.", "Incorrect API key: [key]."),
        ("Bearer sk-0123456789", "[key]"),
        ("sk-0123456789-more, sk-0123456789", "[key], [key]"),
        ("application/json is blue", "application/json is blue"),
        ("", ""),
    ],
)
def test_keys_are_left_out(said: str, left: str) -> None:
    """Every value of a header that may be a secret, alone and after its scheme; short ones could be plain words."""
    error = provider_failed(said)
    conceal(error, HEADERS)
    assert (error.message, str(error)) == (left, left)
    assert concealed(said.encode(), HEADERS) == left.encode()
