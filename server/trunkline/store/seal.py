"""What callers and models said, at rest: encrypted where there is a key, plain otherwise."""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trunkline.errors import GatewayError, internal

_PLAIN: Final = b"\x00"
_SEALED: Final = b"\x01"
_NONCE: Final = 12


class Seal:
    """Seals texts and opens them: by AES-256-GCM with a `key` of 32 bytes. What was stored without stays readable."""

    def __init__(self, key: bytes | None) -> None:
        self._cipher = None if key is None else AESGCM(key)

    def close(self, data: bytes, place: str) -> bytes:
        """`data` as it is stored at `place`, to which it is bound: it cannot be read at another."""
        if self._cipher is None:
            return _PLAIN + data
        nonce = os.urandom(_NONCE)
        return _SEALED + nonce + self._cipher.encrypt(nonce, data, place.encode())

    def open(self, stored: bytes, place: str) -> bytes:
        """What was sealed. Raises `GatewayError` (INTERNAL) where the key is another, or the data damaged."""
        if stored[:1] == _PLAIN:
            return stored[1:]
        try:
            if self._cipher is not None and stored[:1] == _SEALED:
                return self._cipher.decrypt(stored[1 : 1 + _NONCE], stored[1 + _NONCE :], place.encode())
        except InvalidTag:
            raise _unreadable() from None
        raise _unreadable()


def _unreadable() -> GatewayError:
    return internal("What is stored cannot be read with the gateway's `store.encryption_key`.")
