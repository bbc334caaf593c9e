"""How the bytes of a provider are reached: over HTTP, or within the process for the embedded provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol


class Reply(Protocol):
    """The answer to one HTTP request, its body still to be read."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up by lower-case name."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, in pieces of any size. Raises `GatewayError` where the connection breaks."""
        ...

    async def close(self) -> None:
        """Stop reading: unless the body was read to its end, the connection is closed at once."""
        ...


class Transport(Protocol):
    """Sends HTTP requests. Raises `GatewayError`: PROVIDER_UNAVAILABLE where no connection is made, PROVIDER_TIMEOUT
    where nothing comes in time."""

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """Send a request to `path` below the provider's base URL, such as `/chat/completions`."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
