"""Who calls: the static keys of the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from trunkline.call import ANYONE, Caller
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

_MISSING = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY)."
)


class Keys:
    """Tells callers by their keys, each a pair of name and secret. Without any, everyone is `ANYONE`.

    Only digests are kept. A key is looked up by its digest, so the time taken tells nothing of how much of it is right.
    """

    def __init__(self, keys: Iterable[tuple[str, str]]) -> None:
        self._callers = {_digest(secret): Caller(name) for name, secret in keys}

    async def authenticate(self, key: str) -> Caller:
        """The caller who presents `key`, empty where none was. Raises `GatewayError` (UNAUTHENTICATED)."""
        if not self._callers:
            return ANYONE
        if not key:
            raise GatewayError(errors_pb2.ERROR_REASON_UNAUTHENTICATED, _MISSING)
        caller = self._callers.get(_digest(key))
        if caller is None:
            message = f"Incorrect API key provided: {_mask(key)}."
            raise GatewayError(errors_pb2.ERROR_REASON_UNAUTHENTICATED, message)
        return caller


def _digest(key: str) -> bytes:
    # A header's stray bytes arrive as surrogates, which plain UTF-8 refuses.
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


def _mask(key: str) -> str:
    """Enough of a key to know it by; nothing of a short one, or of what cannot be printed."""
    if len(key) < 20 or not key.isascii() or not key.isprintable():
        return "***"
    return f"{key[:5]}***{key[-2:]}"
