"""The keys that an issuer of tokens publishes (RFC 7517): fetched when they are needed, bounded, kept for a while."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import aiohttp
import msgspec
from jwt import PyJWK
from jwt.exceptions import PyJWTError

_FRESH: Final = 600.0
"""Seconds after which keys are fetched anew."""
_STALE: Final = 3600.0
"""Seconds after which keys no longer count that cannot be fetched anew."""
_PAUSE: Final = 10.0
"""Seconds between two fetches at the least, whatever tokens say."""
_TIMEOUT: Final = 5.0
_MOST_BYTES: Final = 256 * 1024
_MOST_KEYS: Final = 64

_KINDS: Final = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
"""The one algorithm of each type and curve of key. A shared secret, `oct`, is none: who publishes it, shares it."""

_log = logging.getLogger("trunkline")


class UnreachedError(Exception):
    """The keys cannot be had now."""


class Fetch(Protocol):
    """How the document is fetched."""

    async def __call__(self, url: str) -> bytes:
        """The document at `url`. Raises `UnreachedError`."""
        ...


class KeySet:
    """The keys at `url`, which the configuration names: no token has a say in it. Only keys of `algorithms` count."""

    def __init__(
        self, url: str, algorithms: Sequence[str], fetch: Fetch, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._algorithms = frozenset(algorithms)
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str, algorithm: str) -> PyJWK | None:
        """The key of this id and this algorithm; the only one of the algorithm where a token names no id.

        Raises `UnreachedError` where there are no keys that count.
        """
        now = self._clock()
        found = self._find(kid, algorithm)
        if now - self._fetched > _STALE or found is None:
            # An id that is not known may be that of a new key.
            await self._renew(now)
            found = self._find(kid, algorithm)
            if self._clock() - self._fetched > _STALE:
                raise UnreachedError
        elif now - self._fetched > _FRESH:
            self._begin(now)
        return found

    async def close(self) -> None:
        """Stop fetching."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    def _find(self, kid: str, algorithm: str) -> PyJWK | None:
        if kid:
            key = self._keys.get(kid)
            return key if key is not None and key.algorithm_name == algorithm else None
        fitting = [key for key in self._keys.values() if key.algorithm_name == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    async def _renew(self, now: float) -> None:
        self._begin(now)
        if self._fetching is not None:
            await asyncio.wait([self._fetching])

    def _begin(self, now: float) -> None:
        if self._fetching is None and now - self._tried >= _PAUSE:
            self._tried = now
            self._fetching = asyncio.create_task(self._get())

    async def _get(self) -> None:
        try:
            self._keys = _read(await self._fetch(self._url), self._algorithms)
            self._fetched = self._clock()
        except UnreachedError as error:
            _log.warning("tokens: the keys at %s cannot be had: %s", self._url, error)
        finally:
            self._fetching = None


def fetch_by(context: ssl.SSLContext) -> Fetch:
    """Fetches over HTTPS. Redirects are not followed."""

    async def fetch(url: str) -> bytes:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.get(url, ssl=context, allow_redirects=False, headers={"accept": "application/json"}) as answer,
            ):
                if answer.status != 200:
                    raise UnreachedError(f"it answered {answer.status}")
                body = await answer.content.read(_MOST_BYTES + 1)
                while not answer.content.at_eof() and len(body) <= _MOST_BYTES:
                    body += await answer.content.read(_MOST_BYTES + 1 - len(body))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachedError(str(error) or type(error).__name__) from None
        if len(body) > _MOST_BYTES:
            raise UnreachedError(f"it is longer than {_MOST_BYTES} bytes")
        return body

    return fetch


def _read(body: bytes, algorithms: frozenset[str]) -> dict[str, PyJWK]:
    """The usable keys by their ids; those without one by their places. Raises `UnreachedError`."""
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise UnreachedError("it is no JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise UnreachedError("it is no set of keys")
    keys: dict[str, PyJWK] = {}
    for place, data in enumerate(listed[:_MOST_KEYS]):
        key = _key(data, algorithms)
        if key is not None:
            keys[str(data.get("kid") or f"#{place}")] = key
    if not keys:
        raise UnreachedError(f"it has no key for {', '.join(sorted(algorithms))}")
    return keys


def _key(data: Any, algorithms: frozenset[str]) -> PyJWK | None:
    """The key, where it is one that signs by one of `algorithms`."""
    if not isinstance(data, dict) or data.get("use", "sig") != "sig":
        return None
    kind, curve = data.get("kty"), data.get("crv")
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return None
    algorithm = _KINDS.get((kind, curve))
    if algorithm not in algorithms or data.get("alg", algorithm) != algorithm:
        return None
    public = {name: value for name, value in data.items() if name not in ("d", "p", "q", "dp", "dq", "qi", "oth")}
    try:
        key = PyJWK(public, algorithm)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    return None if key.Algorithm.check_key_length(key.key) else key
