"""What a provider says of a request without the secrets that were sent with it: some quote the key that they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.errors import GatewayError

_PLAIN: Final = frozenset(
    {"accept", "anthropic-beta", "anthropic-version", "content-type", "traceparent", "user-agent"}
)
"""The headers that hold no secret."""
_SHORTEST: Final = 8
"""The least characters of what is looked for: less would be found in plain words."""

_HIDDEN: Final = "[key]"


def concealed(body: bytes, headers: Mapping[str, str]) -> bytes:
    """`body` without what is secret in the `headers` of the request that it answers."""
    for secret in _secrets(headers):
        body = body.replace(secret.encode("utf-8", "surrogatepass"), _HIDDEN.encode())
    return body


def conceal(error: GatewayError, headers: Mapping[str, str]) -> None:
    """Leave out of what `error` says what is secret in the `headers` of the request that it is about."""
    for secret in _secrets(headers):
        error.message = error.message.replace(secret, _HIDDEN)
    error.args = (error.message,)


def _secrets(headers: Mapping[str, str]) -> list[str]:
    """Every value, and of one such as `Bearer KEY` the key alone, too; the longest first, as it may hold another."""
    values = [value for name, value in headers.items() if name.lower() not in _PLAIN]
    found = {*values, *(value.rpartition(" ")[2] for value in values)}
    return sorted((one for one in found if len(one) >= _SHORTEST), key=len, reverse=True)
