"""Who calls: the static keys of the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

ANONYMOUS: Final = "anonymous"
"""The caller's name where no keys are configured."""

_MISSING = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY)."
)


class Keys:
    """Tells callers by their keys, each a pair of name and secret. Without any, everyone is `ANONYMOUS`.

    Only digests are kept. A key is looked up by its digest, so the time taken tells nothing of how much of it is right.
    """

    def __init__(self, keys: Iterable[tuple[str, str]]) -> None:
        self._names = {_digest(secret): name for name, secret in keys}

    def authenticate(self, key: str) -> str:
        """The name of the caller who presents `key`, empty where none was. Raises `GatewayError` (UNAUTHENTICATED)."""
        if not self._names:
            return ANONYMOUS
        if not key:
            raise GatewayError(errors_pb2.ERROR_REASON_UNAUTHENTICATED, _MISSING)
        name = self._names.get(_digest(key))
        if name is None:
            message = f"Incorrect API key provided: {_mask(key)}."
            raise GatewayError(errors_pb2.ERROR_REASON_UNAUTHENTICATED, message)
        return name


def _digest(key: str) -> bytes:
    # A header's stray bytes arrive as surrogates, which plain UTF-8 refuses.
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


def _mask(key: str) -> str:
    """Enough of a key to know it by; nothing of a short one, or of what cannot be printed."""
    if len(key) < 20 or not key.isascii() or not key.isprintable():
        return "***"
    return f"{key[:5]}***{key[-2:]}"
