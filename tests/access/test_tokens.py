"""Tokens in place of keys: no token has a say in how it is checked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from trunkline.access.jwks import KeySet, UnreachedError
from trunkline.access.tokens import Issuer, Tokens
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

SECRET = "a secret of at least 32 characters"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
KEYS: Mapping[str, Any] = {"RS256": RSA, "ES256": EC, "EdDSA": ED}


def jwk(algorithm: str, kid: str) -> dict[str, Any]:
    """A public key as its issuer publishes it."""
    algorithms = jwt.algorithms.get_default_algorithms()
    told: dict[str, Any] = json.loads(algorithms[algorithm].to_jwk(KEYS[algorithm].public_key()))
    return {**told, "kid": kid, "use": "sig", "alg": algorithm}


async def published(url: str) -> bytes:
    """What an issuer publishes."""
    return json.dumps({"keys": [jwk(algorithm, algorithm) for algorithm in KEYS]}).encode()


def by_secret(**fields: Any) -> Tokens:
    """Tokens of one issuer who signs by a secret."""
    return Tokens([Issuer(name="corp", keys=SECRET, algorithms=["HS256"], **fields)])


def by_keys(*algorithms: str, **fields: Any) -> Tokens:
    """Tokens of one issuer who publishes keys."""
    allowed = list(algorithms or KEYS)
    keys = KeySet("https://issuer/keys", allowed, published)
    usual = {"issuer": "https://issuer", "audience": ["gateway"], **fields}
    return Tokens([Issuer(name="corp", keys=keys, algorithms=allowed, **usual)])


def claims(**more: Any) -> dict[str, Any]:
    """Those of a good token; None leaves one out."""
    usual = {"sub": "ann", "iss": "https://issuer", "aud": "gateway", "exp": time.time() + 60}
    return {name: value for name, value in (usual | more).items() if value is not None}


def signed(algorithm: str = "RS256", headers: dict[str, Any] | None = None, **more: Any) -> str:
    """A token of the issuer who publishes keys."""
    payload = json.dumps(claims(**more)).encode()  # as PyJWT would not write all of these
    return jwt.PyJWS().encode(payload, KEYS[algorithm], algorithm, headers={"kid": algorithm, **(headers or {})})


def secretly(**more: Any) -> str:
    """A token of the issuer with the secret."""
    return jwt.encode(claims(iss=None, aud=None, **more), SECRET, "HS256")


def raw(header: Mapping[str, Any], payload: object, key: bytes | None = None) -> str:
    """A token as no library would make it."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload)]
    text = b".".join(parts)
    signature = b"" if key is None else hmac.digest(key, text, "sha256")
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


async def refusal(tokens: Tokens, token: str) -> str:
    """Why a token is refused, for want of a good one."""
    with pytest.raises(GatewayError) as raised:
        await tokens.read(token)
    assert raised.value.reason == errors_pb2.ERROR_REASON_UNAUTHENTICATED
    assert token not in raised.value.message
    return raised.value.message


async def test_a_shared_secret() -> None:
    """HS256: who presents it, his plan, and until when."""
    until = time.time() + 60
    bearer = await by_secret(leeway=5.0).read(secretly(exp=until, plan="gold"))
    assert (bearer.subject, bearer.plan, bearer.models) == ("corp:ann", "gold", ())
    assert bearer.until == pytest.approx(until + 5, abs=1)
    assert (await by_secret(plan="free").read(secretly())).plan == "free"
    assert (await by_secret(plan_claim="tier").read(secretly(tier="pro"))).plan == "pro"


@pytest.mark.parametrize("algorithm", KEYS)
async def test_published_keys(algorithm: str) -> None:
    """RS256, ES256 and EdDSA, each by its own key; an issuer may allow one of them only."""
    assert (await by_keys().read(signed(algorithm))).subject == "corp:ann"
    (other, *_) = [name for name in KEYS if name != algorithm]
    assert "not signed as it must be" in await refusal(by_keys(other), signed(algorithm))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"exp": 1}, "has expired"),
        ({"exp": None}, "lacks one of"),
        ({"sub": None}, "lacks one of"),
        ({"nbf": time.time() + 1000}, "is not valid yet"),
        ({"iat": time.time() + 1000}, "is not valid yet"),
        ({"aud": "another"}, "is for another audience"),
        ({"aud": None}, "lacks one of"),
        ({"iss": "https://evil"}, "is of an issuer whom the gateway does not know"),
        ({"iss": None}, "is of an issuer whom the gateway does not know"),
        ({"iss": ["https://issuer"]}, "is of an issuer whom the gateway does not know"),
        ({"sub": ""}, "has a `sub` that cannot be used"),
        ({"sub": "a\r\nb"}, "has a `sub` that cannot be used"),
        ({"sub": "x" * 200}, "has a `sub` that cannot be used"),
        ({"plan": 7}, "has a `plan` that is no text"),
        ({"exp": 1e400}, "is not valid"),
        ({"exp": "never"}, "is not valid"),
    ],
)
async def test_claims(change: dict[str, Any], told: str) -> None:
    """Each is checked, and the refusal tells which."""
    assert told in await refusal(by_keys(leeway=0.0), signed(**change))


async def test_an_audience_that_nobody_expects() -> None:
    """A token for somebody is not taken where the configuration names nobody."""
    token = jwt.encode(claims(iss=None, aud="another"), SECRET, "HS256")
    assert "is for another audience" in await refusal(by_secret(), token)


async def test_algorithm_confusion() -> None:
    """A public key is no shared secret, `none` is no algorithm, and a token does not choose."""
    pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    told = "not signed as it must be"
    for key in (pem, json.dumps(jwk("RS256", "RS256")).encode()):
        assert told in await refusal(by_keys(), raw({"alg": "HS256", "kid": "RS256"}, claims(), key))
    for algorithm in ("none", "None", "NONE", "", None, 7, ["RS256"], "HS512", "RS512", "PS256"):
        for tokens in (by_keys(), by_secret(issuer="https://issuer")):
            assert "The token" in await refusal(tokens, raw({"alg": algorithm, "kid": "RS256"}, claims(), b"k"))
    # The key of one algorithm under the name of another, and the id of another key.
    assert "does not publish" in await refusal(by_keys(), signed("ES256", {"kid": "RS256"}))
    assert told in await refusal(by_secret(issuer="https://issuer", audience=["gateway"]), signed())


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil/keys"},
        {"x5u": "https://evil/keys"},
        {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
        {"x5c": ["MIIB"]},
    ],
)
async def test_keys_in_tokens(header: dict[str, Any]) -> None:
    """A key, or an address, that a token brings along is not looked at."""
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    asked: list[str] = []

    async def fetch(url: str) -> bytes:
        asked.append(url)
        return await published(url)

    keys = KeySet("https://issuer/keys", ["RS256"], fetch)
    tokens = Tokens([Issuer("corp", keys, ["RS256"], "https://issuer", ["gateway"])])
    token = jwt.encode(claims(), stranger, "RS256", headers={"kid": "RS256", **header})
    assert "not signed by its issuer" in await refusal(tokens, token)
    assert asked == ["https://issuer/keys"]


async def test_extensions() -> None:
    """What a token says must be understood is not passed over."""
    for header in ({"crit": ["exp"]}, {"b64": False, "crit": ["b64"]}, {"b64": True}):
        token = raw({"alg": "HS256", **header}, claims(iss=None, aud=None), SECRET.encode())
        assert "The token" in await refusal(by_secret(), token)


async def test_a_changed_token() -> None:
    """Every character counts."""
    header, payload, signature = secretly().split(".")
    forged = base64.urlsafe_b64encode(json.dumps(claims(sub="root", iss=None, aud=None)).encode()).rstrip(b"=").decode()
    assert "not signed by its issuer" in await refusal(by_secret(), f"{header}.{forged}.{signature}")
    changed = ("A" if signature[0] != "A" else "B") + signature[1:]
    assert "not signed by its issuer" in await refusal(by_secret(), f"{header}.{payload}.{changed}")


async def test_scopes() -> None:
    """They are models by the configuration's table; a token needs one that is there."""
    tokens = by_secret(scopes={"llm": ["gpt-*", "claude"], "small": ["gpt-mini"]})
    for told in ("llm other", ["llm", 7]):
        assert (await tokens.read(secretly(scope=told))).models == ("gpt-*", "claude")
    assert (await tokens.read(secretly(scope="small llm"))).models == ("gpt-mini", "gpt-*", "claude")
    for told in (None, "", "other", 7, {"llm": True}):
        with pytest.raises(GatewayError, match="allows no model") as raised:
            await tokens.read(secretly(scope=told))
        assert raised.value.reason == errors_pb2.ERROR_REASON_PERMISSION_DENIED


async def test_several_issuers() -> None:
    """Each has its own keys, and nobody signs for another."""
    one = Issuer("one", SECRET, ["HS256"], "https://one")
    two = Issuer("two", SECRET[::-1], ["HS256"], "https://two")
    tokens = Tokens([one, two])
    for issuer, secret in (("one", SECRET), ("two", SECRET[::-1])):
        token = jwt.encode(claims(iss=f"https://{issuer}", aud=None), secret, "HS256")
        assert (await tokens.read(token)).subject == f"{issuer}:ann"
    assert "not signed" in await refusal(tokens, jwt.encode(claims(iss="https://two", aud=None), SECRET, "HS256"))


async def test_the_issuer_is_away() -> None:
    """That is no fault of the token."""

    async def fetch(url: str) -> bytes:
        raise UnreachedError("no answer")

    tokens = Tokens([Issuer("corp", KeySet("https://i", ["RS256"], fetch), ["RS256"], "https://issuer", ["gateway"])])
    with pytest.raises(GatewayError) as raised:
        await tokens.read(signed())
    assert raised.value.reason == errors_pb2.ERROR_REASON_UNAVAILABLE
    await tokens.close()


@given(st.text(st.characters(exclude_categories=[])), st.text(max_size=40), st.binary(max_size=40))
async def test_any_text(header: str, payload: str, signature: bytes) -> None:
    """Whatever comes is refused, and nothing else happens."""
    parts = [base64.urlsafe_b64encode(part.encode("utf-8", "replace")).decode() for part in (header, payload)]
    for token in (f"{header}.{payload}.x", f"ey{header}..", ".".join([*parts, signature.hex()])):
        await refusal(by_secret(), token)


@pytest.mark.parametrize(
    "payload", ["[" * 3000 + "]" * 3000, '{"exp": 1e999, "sub": "a"}', "[]", "7", '"a"', "{}", "nul"]
)
async def test_hostile_payloads(payload: str) -> None:
    """Neither deep nesting nor strange numbers get past, with a good signature or without."""
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (b'{"alg":"HS256"}', payload.encode())]
    text = b".".join(parts)
    signature = base64.urlsafe_b64encode(hmac.new(SECRET.encode(), text, hashlib.sha256).digest()).rstrip(b"=")
    await refusal(by_secret(), (text + b"." + signature).decode())


def test_what_has_the_form_of_a_token() -> None:
    """Keys do not."""
    assert Tokens.is_token(secretly())
    assert not any(Tokens.is_token(key) for key in ("sk-tl-abc", "ey.x", "a.b.c", ""))


def test_secrets_are_not_shown() -> None:
    """What a log may show of an issuer holds no secret."""
    assert SECRET not in repr(Issuer("corp", SECRET, ["HS256"]))
