"""The keys that an issuer publishes: over HTTPS, bounded, kept, and renewed."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import jwt
import pytest
import trustme
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trunkline.access.jwks import KeySet, UnreachedError, fetch_by

ALGORITHMS = jwt.algorithms.get_default_algorithms()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it is to be refused
P256, P384 = (ec.generate_private_key(curve) for curve in (ec.SECP256R1(), ec.SECP384R1()))
ED = ed25519.Ed25519PrivateKey.generate()


def jwk(algorithm: str, key: Any, **more: Any) -> dict[str, Any]:
    """A key as it is published."""
    told: dict[str, Any] = json.loads(ALGORITHMS[algorithm].to_jwk(key))
    return {**told, **more}


class Published:
    """What an issuer publishes, and how often it was asked for. Without keys he is away."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.asked = 0

    async def __call__(self, url: str) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.keys:
            raise UnreachedError("no answer")
        return json.dumps({"keys": self.keys}).encode()


class Clock:
    """The time, which passes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def made(*keys: dict[str, Any]) -> tuple[KeySet, Published, Clock]:
    """A set of keys, what its issuer publishes, and its time."""
    published, clock = Published(*keys), Clock()
    return KeySet("https://issuer/keys", ["RS256", "ES256", "EdDSA"], published, clock), published, clock


async def test_only_keys_that_sign() -> None:
    """Shared secrets, other uses, other algorithms, other curves, weak keys and broken ones do not count."""
    keys, _, _ = made(
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "oct"},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "oct-rs", "alg": "RS256"},
        jwk("RS256", RSA.public_key(), kid="enc", use="enc"),
        jwk("RS256", RSA.public_key(), kid="pss", alg="PS256"),
        jwk("RS256", RSA.public_key(), kid="hs", alg="HS256"),
        jwk("RS256", WEAK.public_key(), kid="weak"),
        jwk("ES384", P384.public_key(), kid="p384"),
        {"kty": "RSA", "kid": "broken", "n": "AQAB"},
        {"kty": ["RSA"], "kid": "list"},
        {"kid": 7},
        7,  # type: ignore[arg-type]
        jwk("RS256", RSA.public_key(), kid="good"),
    )
    for kid in ("oct", "oct-rs", "enc", "pss", "hs", "weak", "p384", "broken", "list", "7"):
        for algorithm in ("RS256", "ES256", "EdDSA", "HS256"):
            assert await keys.find(kid, algorithm) is None, kid
    found = await keys.find("good", "RS256")
    assert found is not None
    assert found.algorithm_name == "RS256"
    assert await keys.find("good", "ES256") is None


async def test_private_keys_are_not_kept() -> None:
    """An issuer who publishes too much does not make us hold it."""
    keys, _, _ = made(jwk("RS256", RSA, kid="a"), jwk("ES256", P256, kid="b"), jwk("EdDSA", ED, kid="c"))
    for kid, algorithm in (("a", "RS256"), ("b", "ES256"), ("c", "EdDSA")):
        found = await keys.find(kid, algorithm)
        assert found is not None
        assert not hasattr(found.key, "private_numbers")
        assert not hasattr(found.key, "sign")


async def test_a_token_without_an_id() -> None:
    """It is by the only key of its algorithm, where there is one."""
    one, two = jwk("RS256", RSA.public_key()), jwk("ES256", P256.public_key(), kid="b")
    keys, published, clock = made(one, two)
    assert await keys.find("", "RS256") is not None
    published.keys.append(jwk("RS256", RSA.public_key(), kid="c"))
    clock.now = 5000.0
    assert await keys.find("", "RS256") is None


async def test_renewal() -> None:
    """A new key is found when a token names it, but guesses of ids cost no fetch each."""
    keys, published, clock = made(jwk("RS256", RSA.public_key(), kid="old"))
    assert await keys.find("old", "RS256") is not None
    published.keys = [jwk("ES256", P256.public_key(), kid="new")]
    assert await keys.find("new", "ES256") is None
    clock.now = 10.0
    assert await keys.find("new", "ES256") is not None
    assert await keys.find("old", "RS256") is None
    for number in range(100):
        assert await keys.find(f"guess{number}", "RS256") is None
    assert published.asked == 2


async def test_old_keys_are_renewed_beside_calls() -> None:
    """Nobody waits for that, and many who ask at once make one fetch."""
    keys, published, clock = made(jwk("RS256", RSA.public_key(), kid="a"))
    assert all(await asyncio.gather(*(keys.find("a", "RS256") for _ in range(20))))
    assert published.asked == 1
    clock.now = 700.0
    assert all(await asyncio.gather(*(keys.find("a", "RS256") for _ in range(20))))
    await asyncio.sleep(0)
    assert published.asked == 2
    await keys.close()


async def test_the_issuer_is_away() -> None:
    """What was fetched counts for an hour."""
    keys, published, clock = made(jwk("RS256", RSA.public_key(), kid="a"))
    assert await keys.find("a", "RS256") is not None
    published.keys = []
    clock.now = 3599.0
    assert await keys.find("a", "RS256") is not None
    clock.now = 3700.0
    with pytest.raises(UnreachedError):
        await keys.find("a", "RS256")
    await keys.close()


Serve = Callable[[Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who vouches for the servers of these tests."""
    return trustme.CA()


@pytest.fixture
def serve(authority: trustme.CA) -> Serve:
    """Serves over HTTPS on loopback; the URL."""

    @asynccontextmanager
    async def run(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        try:
            yield f"https://localhost:{runner.addresses[0][1]}/keys"
        finally:
            await runner.cleanup()

    return run


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """What trusts them."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_over_https(serve: Serve, trusting: ssl.SSLContext) -> None:
    """A document is fetched where its server can be trusted, and not otherwise."""

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.json_response({"keys": [jwk("RS256", RSA.public_key(), kid="a")]})

    async with serve(answer) as url:
        keys = KeySet(url, ["RS256"], fetch_by(trusting))
        assert await keys.find("a", "RS256") is not None
        with pytest.raises(UnreachedError):
            await fetch_by(ssl.create_default_context())(url)


async def test_a_redirect_is_not_followed(serve: Serve, trusting: ssl.SSLContext) -> None:
    """The address is the configuration's."""

    async def answer(request: web.BaseRequest) -> web.Response:
        assert request.path == "/keys"
        raise web.HTTPFound("/elsewhere")

    async with serve(answer) as url:
        with pytest.raises(UnreachedError, match="it answered 302"):
            await fetch_by(trusting)(url)


async def test_a_document_without_end(serve: Serve, trusting: ssl.SSLContext) -> None:
    """It is left when it is too long."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" " * 65536)
        return response

    async with serve(answer) as url:
        with pytest.raises(UnreachedError, match="longer than"):
            await fetch_by(trusting)(url)


@pytest.mark.parametrize("body", [b"", b"nul", b"[]", b'{"keys": {}}', b'{"keys": []}', b"[" * 100_000, b"\xff\xfe"])
async def test_no_set_of_keys(body: bytes) -> None:
    """Whatever it is, there are then no keys."""

    async def fetch(url: str) -> bytes:
        return body

    with pytest.raises(UnreachedError):
        await KeySet("https://issuer/keys", ["RS256"], fetch).find("a", "RS256")
