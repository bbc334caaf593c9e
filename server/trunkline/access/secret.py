"""The secrets of keys: how they are made, told from other texts, shown and kept."""

from __future__ import annotations

import hmac
import secrets
import zlib
from collections.abc import Callable
from typing import Final

LONGEST: Final = 8192
"""The most characters of a key or a token: more than any transport brings."""

PREFIX: Final = "sk-tl-"
"""What every secret that is made here begins with, so that scanners find those that leaked."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = 43
"""Digits to the base 62 of 256 bits."""
_CHECKSUM: Final = 6
_LENGTH: Final = len(PREFIX) + _DIGITS + _CHECKSUM
_SHOWN: Final = len(PREFIX) + 6


def make_secret() -> str:
    """A secret of 256 bits, with a checksum at its end."""
    body = _digits(secrets.randbits(256), _DIGITS)
    return f"{PREFIX}{body}{_checksum(body)}"


def malformed(secret: str) -> bool:
    """Whether it begins as one that was made here and is none, as after a slip of the hand: there is no need to look
    for it."""
    if not secret.startswith(PREFIX):
        return False
    body = secret[len(PREFIX) : -_CHECKSUM]
    return len(secret) != _LENGTH or _checksum(body) != secret[-_CHECKSUM:]


def shown(secret: str) -> str:
    """As much of a secret as it may be known by: at most a quarter of one that was not made here."""
    return secret[: min(_SHOWN, len(secret) // 4)]


def digests_by(pepper: bytes) -> Callable[[str], bytes]:
    """What makes of a secret what is kept of it. Whoever reads that can neither call with it nor test guesses without
    the `pepper`."""
    keyed = hmac.new(pepper, digestmod="sha256")

    def digest(secret: str) -> bytes:
        one = keyed.copy()  # half of the time of a new one
        # A header's stray bytes arrive as surrogates, which plain UTF-8 refuses.
        one.update(secret.encode("utf-8", "surrogatepass"))
        return one.digest()

    return digest


def mask(secret: str) -> str:
    """Enough of a wrong key to know it by; nothing of a short one, or of what cannot be printed."""
    if len(secret) < 20 or not secret.isascii() or not secret.isprintable():
        return "***"
    return f"{secret[:5]}***{secret[-2:]}"


def _checksum(body: str) -> str:
    return _digits(zlib.crc32(body.encode("utf-8", "surrogatepass")), _CHECKSUM)


def _digits(number: int, count: int) -> str:
    digits = []
    for _ in range(count):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
