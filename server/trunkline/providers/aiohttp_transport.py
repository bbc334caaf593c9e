"""HTTP by aiohttp: one session for each provider."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator, Mapping
from typing import Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from trunkline.errors import GatewayError, invalid_request, provider_failed
from trunkline.v1 import errors_pb2

_DOTS: Final = re.compile(r"/\.{1,2}(?=[/?#]|$)")

_LARGE: Final = 2**20
"""The most bytes of a body that is sent at one go."""


class AiohttpReply:
    """The answer to one request."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, in any case."""
        return self._response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives."""
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _failed(error) from error

    async def close(self) -> None:
        """Keep the connection where the body was read to its end, close it otherwise."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class AiohttpTransport:
    """Sends requests below one base URL.

    `connect_timeout` is for the connection and its TLS handshake, `timeout` the longest silence after it, in seconds.
    Redirects are not followed: they would carry the key to an address that nobody configured.
    """

    def __init__(self, base_url: str, *, timeout: float, connect_timeout: float) -> None:
        self._base = base_url.rstrip("/")
        self._urls: dict[str, URL] = {}
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout, sock_read=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> AiohttpReply:
        """Send one request."""
        if self._session is None:
            self._session = _session(self._timeout, _proxy(URL(self._base)))
        url = self._urls.get(path)
        if url is None:
            if _DOTS.search(path):
                # The name of a model made it one, and would lead to another path.
                raise invalid_request("The model's name cannot be a part of an address.", "model")
            url = URL(self._base + path)
            if len(self._urls) < 64:
                self._urls[path] = url
        try:
            # What is large goes out in pieces: aiohttp would write it at one go, and warn that it does.
            data = body if body is None or len(body) <= _LARGE else io.BytesIO(body)
            response = await self._session.request(method, url, headers=headers, data=data, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _failed(error) from error
        return AiohttpReply(response)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()


def _session(timeout: aiohttp.ClientTimeout, proxy: URL | None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=30),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
        read_bufsize=2**18,
        headers={"user-agent": "trunkline"},
        proxy=proxy,
    )


def _proxy(url: URL) -> URL | None:
    """The proxy that the environment names for `url`.

    aiohttp's own `trust_env` asks anew for each request, in a thread, and reads `~/.netrc` too: it trebles the cost of
    a call, and could add a key that nobody configured.
    """
    if url.host is None or proxy_bypass(url.host):
        return None
    proxy = getproxies().get(url.scheme)
    return None if proxy is None else URL(proxy)


def _failed(error: Exception) -> GatewayError:
    """What happened on the way, without the provider's address: it may hold what callers must not see."""
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return GatewayError(errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT, "The provider sent nothing for too long.")
    if isinstance(error, aiohttp.ClientConnectionError) and not isinstance(error, aiohttp.ServerDisconnectedError):
        return GatewayError(
            errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
            f"The provider cannot be reached: {_cause(error)}.",
        )
    return provider_failed("The connection to the provider broke before its answer was complete.")


def _cause(error: BaseException) -> str:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "the connection was not made in time"
        case aiohttp.ClientConnectorDNSError():
            return "its host name is not known"
        case aiohttp.ClientSSLError():
            return "TLS failed"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return "the connection was refused"
        case _:
            return "the connection failed"
