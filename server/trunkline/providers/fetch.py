"""Files by address, for callers who are not trusted: bounded in size and in time, from public addresses alone."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from trunkline.config.model import MediaConfig
from trunkline.providers.media_type import media_type_of
from trunkline.providers.public_address import Guard, GuardedResolver, Names

_HOPS: Final = 3
"""The most redirects that are followed."""
_LONGEST: Final = 8192
"""The most characters of an address."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_AT_ONCE: Final = 8
"""The most that are fetched at the same time for one request, so that none takes the places of all others."""

# One text for what is refused and for what cannot be reached: two would tell what there is in networks of ours.
_UNREACHED: Final = "its host cannot be reached; it must be a public one, at one of the web's ports"
_HEADERS: Final = {"user-agent": "trunkline", "accept": "*/*", "accept-encoding": "identity"}


class RefusedError(Exception):
    """A file cannot be had; the text tells the caller why, after `it` or `its host`."""


class Fetch:
    """The fetching of one request: its connections, and what it may still read."""

    def __init__(self, session: aiohttp.ClientSession, most: int) -> None:
        self.session = session
        self.left = most
        self.gate = asyncio.Semaphore(_AT_ONCE)


class Fetcher:
    """Fetches files. Redirects are followed by hand, each hop checked; the environment's proxies are not asked."""

    def __init__(self, config: MediaConfig, resolver: AbstractResolver | None = None) -> None:
        self._config = config
        self._guard = Guard(config.private_networks)
        self._hosts = frozenset(_written(host) for host in config.hosts)
        self._resolver = GuardedResolver(self._guard, resolver or Names())
        self._gate = asyncio.Semaphore(config.at_once)

    @property
    def most_files(self) -> int:
        """The most that are fetched for one request."""
        return self._config.max_files

    @property
    def most_bytes(self) -> int:
        """The most bytes that may be put into one request."""
        return self._config.max_request_bytes

    def begin(self) -> Fetch:
        """Fetch for one request; its session is to be closed."""
        connector = aiohttp.TCPConnector(
            resolver=self._resolver, use_dns_cache=False, force_close=True, socket_factory=self._guard.socket
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            headers=_HEADERS,
        )
        return Fetch(session, self._config.max_request_bytes)

    async def fetch(self, fetch: Fetch, address: str) -> tuple[bytes, str]:
        """The bytes at `address`, and their type. Raises `RefusedError`."""
        try:
            async with fetch.gate, self._gate, asyncio.timeout(self._config.timeout):
                return await self._follow(fetch, address)
        except TimeoutError:
            raise RefusedError(f"it did not arrive within {self._config.timeout:g} seconds") from None
        except aiohttp.ClientPayloadError:
            raise RefusedError("its host broke off") from None
        except aiohttp.InvalidURL:
            raise RefusedError("the address cannot be read") from None
        except (aiohttp.ClientError, OSError):
            raise RefusedError(_UNREACHED) from None
        except (ValueError, IndexError):
            # yarl raises the second for a host of brackets that hold nothing.
            raise RefusedError("the address cannot be read") from None

    async def _follow(self, fetch: Fetch, address: str) -> tuple[bytes, str]:
        url = self._checked(address)
        for _ in range(_HOPS + 1):
            async with fetch.session.get(url, allow_redirects=False) as response:
                if response.status in _REDIRECTS and "location" in response.headers:
                    target = url.join(URL(response.headers["location"]))
                    if url.scheme == "https" and target.scheme != "https":
                        raise RefusedError("it is redirected from https to http")
                    url = self._checked(str(target))
                    continue
                if response.status != 200:
                    raise RefusedError(f"its host answered with status {response.status}")
                if response.headers.get("content-encoding", "identity").lower() != "identity":
                    raise RefusedError("its host compressed it unasked")
                data = await self._read(response, fetch)
                return data, media_type_of(data, response.headers.get("content-type", ""))
        raise RefusedError(f"it is redirected more than {_HOPS} times")

    def _checked(self, address: str) -> URL:
        """The address, where a caller may have the gateway go there."""
        if len(address) > _LONGEST:
            raise RefusedError(f"the address is longer than {_LONGEST} characters")
        url = URL(address)
        host = url.raw_host  # what is connected to, where the other form may be another name
        if url.scheme not in ("http", "https") or not host:
            raise RefusedError("the address is no http:// or https:// URL")
        if url.user is not None or url.password is not None:
            raise RefusedError("the address holds a user or a password")
        if self._hosts and host.lower() not in self._hosts:
            raise RefusedError("its host is not one that the gateway may fetch from")
        try:
            literal = ip_address(host)
        except ValueError:
            return url  # a name, which the resolver checks
        if not self._guard.allows(literal, url.port or 0):
            raise RefusedError(_UNREACHED)
        return url

    async def _read(self, response: aiohttp.ClientResponse, fetch: Fetch) -> bytes:
        most = min(self._config.max_bytes, fetch.left)
        if response.content_length is not None and response.content_length > most:
            raise RefusedError(self._too_large)
        pieces: list[bytes] = []
        size = 0
        async for piece in response.content.iter_any():
            size += len(piece)
            fetch.left -= len(piece)
            if size > self._config.max_bytes or fetch.left < 0:
                raise RefusedError(self._too_large)
            pieces.append(piece)
        return b"".join(pieces)

    @property
    def _too_large(self) -> str:
        each, together = self._config.max_bytes, self._config.max_request_bytes
        return f"it is larger than {each} bytes, or all media of the request are larger than {together}"


def _written(host: str) -> str:
    """A host as addresses are written with it."""
    try:
        return URL.build(scheme="http", host=host).raw_host or host.lower()
    except ValueError:
        return host.lower()
