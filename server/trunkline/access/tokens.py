"""Tokens (JWT) in place of keys: who issued them is told by the configuration, and so is how they are signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from jwt.types import Options

from trunkline.access.jwks import KeySet, UnreachedError
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

_LONGEST_SUBJECT: Final = 128

_FAILURES: Final = (PyJWTError, ValueError, OverflowError, RecursionError)
"""What reading a token may raise: PyJWT lets through what some numbers and deep nesting make of it."""

_VERIFY: Final[Options] = {"require": ["exp", "sub"], "enforce_minimum_key_length": True}
_PEEK: Final[Options] = {"verify_signature": False}


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues tokens, as `TokenIssuerConfig` has it. `keys` is the secret, or the keys that he publishes."""

    name: str
    keys: str | KeySet = field(repr=False)
    algorithms: Sequence[str]
    issuer: str | None = None
    audience: Sequence[str] = ()
    leeway: float = 30.0
    plan: str = ""
    plan_claim: str = "plan"
    scope_claim: str = "scope"
    scopes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    known_users: bool = False


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who presents a token: a user by his name here, what he may do, and until when."""

    subject: str
    plan: str
    models: tuple[str, ...]
    until: float
    known_users: bool


class Tokens:
    """Reads the tokens of some issuers."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers}

    @staticmethod
    def is_token(key: str) -> bool:
        """Whether `key` has the form of a token."""
        return key.startswith("ey") and key.count(".") == 2

    async def read(self, token: str) -> Bearer:
        """Who presents `token`. Raises `GatewayError`: UNAUTHENTICATED, PERMISSION_DENIED where it allows no model,
        UNAVAILABLE where the issuer's keys cannot be had."""
        issuer, header = self._issuer(token)
        algorithm, key = await _key(issuer, header)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                options=_VERIFY,
                audience=list(issuer.audience) or None,
                issuer=issuer.issuer,
                leeway=issuer.leeway,
            )
        except _FAILURES as error:
            raise _wrong(_TOLD.get(type(error).__name__, "is not valid")) from None
        return _bearer(issuer, claims)

    def _issuer(self, token: str) -> tuple[Issuer, Mapping[str, Any]]:
        """Whose token it claims to be, and its header. Neither is verified yet."""
        try:
            peeked = jwt.decode_complete(token, options=_PEEK)
        except _FAILURES:
            raise _wrong("cannot be read") from None
        header, named = peeked["header"], peeked["payload"].get("iss")
        issuer = self._issuers.get(named) if named is None or isinstance(named, str) else None
        if issuer is None:
            raise _wrong("is of an issuer whom the gateway does not know")
        if "crit" in header or "b64" in header:
            raise _wrong("asks for extensions that the gateway does not know")
        return issuer, header

    async def close(self) -> None:
        """Stop fetching keys."""
        for issuer in self._issuers.values():
            if isinstance(issuer.keys, KeySet):
                await issuer.keys.close()


async def _key(issuer: Issuer, header: Mapping[str, Any]) -> tuple[str, str | PyJWK]:
    """How the token is to be signed, and by which key: both are bound to one another here, and not by the token."""
    algorithm, kid = header.get("alg"), header.get("kid", "")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms or not isinstance(kid, str):
        raise _wrong("is not signed as it must be")
    if isinstance(issuer.keys, str):
        return algorithm, issuer.keys
    try:
        found = await issuer.keys.find(kid, algorithm)
    except UnreachedError:
        raise GatewayError(
            errors_pb2.ERROR_REASON_UNAVAILABLE, "The keys of the token's issuer cannot be had now. Try again later."
        ) from None
    if found is None:
        raise _wrong("is signed by a key that its issuer does not publish")
    return algorithm, found


def _bearer(issuer: Issuer, claims: Mapping[str, Any]) -> Bearer:
    subject, plan = claims["sub"], claims.get(issuer.plan_claim, issuer.plan)
    if not subject or len(subject) > _LONGEST_SUBJECT or not subject.isprintable():
        raise _wrong("has a `sub` that cannot be used")
    if not isinstance(plan, str):
        raise _wrong(f"has a `{issuer.plan_claim}` that is no text")
    models: tuple[str, ...] = ()
    if issuer.scopes:
        scopes = _scopes(claims.get(issuer.scope_claim))
        models = tuple(dict.fromkeys(model for scope in scopes for model in issuer.scopes.get(scope, ())))
        if not models:
            raise GatewayError(
                errors_pb2.ERROR_REASON_PERMISSION_DENIED,
                f"The token's `{issuer.scope_claim}` allows no model; one of {', '.join(issuer.scopes)} is needed.",
            )
    until = float(claims["exp"]) + issuer.leeway
    return Bearer(f"{issuer.name}:{subject}", plan, models, until, issuer.known_users)


def _scopes(claim: object) -> list[str]:
    if isinstance(claim, str):
        return claim.split()
    return [scope for scope in claim if isinstance(scope, str)] if isinstance(claim, list) else []


_TOLD: Final = {
    "ExpiredSignatureError": "has expired",
    "ImmatureSignatureError": "is not valid yet",
    "InvalidAudienceError": "is for another audience",
    "InvalidIssuerError": "is of another issuer",
    "InvalidSignatureError": "is not signed by its issuer",
    "MissingRequiredClaimError": "lacks one of `exp`, `sub`, `aud` and `iss`",
}
"""What is told of a token that is refused, by the error of PyJWT."""


def _wrong(what: str) -> GatewayError:
    return GatewayError(errors_pb2.ERROR_REASON_UNAUTHENTICATED, f"The token {what}.")
