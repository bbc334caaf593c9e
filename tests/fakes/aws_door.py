"""Who may come in at a fake of Amazon's: signatures (SigV4) and keys are checked as AWS documents it."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote

ACCESS_KEY = "AKIAFAKE"
SECRET_KEY = "the secret of the fake"
BEARER = "bedrock-api-key-fake"
REGION = "eu-central-1"

_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)


def refusal(method: str, raw_path: str, query: str, headers: Mapping[str, str], body: bytes) -> tuple[str, str] | None:
    """The type and the text of the error by which a request is turned away; None where it may come in. `headers` are
    by lower-case name."""
    told = headers.get("authorization", "")
    if told.startswith("Bearer "):
        if hmac.compare_digest(told, f"Bearer {BEARER}"):
            return None
        return "AccessDeniedException", "Authentication failed: Please make sure your API Key is valid."
    found = _SIGNED.fullmatch(told)
    if found is None:
        return "MissingAuthenticationTokenException", "Missing Authentication Token"
    key, day, region, service, names, signature = found.groups()
    if key != ACCESS_KEY:
        return "UnrecognizedClientException", "The security token included in the request is invalid."
    scope = f"{day}/{region}/{service}/aws4_request"
    if (region, service) != (REGION, "bedrock") or not headers.get("x-amz-date", "").startswith(day):
        return "InvalidSignatureException", f"Credential should be scoped to a valid region, not {scope}."
    wanted = _signature(
        method, raw_path, query, {name: headers.get(name, "") for name in names.split(";")}, body, scope
    )
    if "host" not in names.split(";") or not hmac.compare_digest(signature, wanted):
        return (
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided.",
        )
    return None


def _signature(method: str, raw_path: str, query: str, signed: Mapping[str, str], body: bytes, scope: str) -> str:
    """What a request must be signed with (docs.aws.amazon.com, `Create a signed AWS API request`)."""
    pairs = sorted((quote(key, safe="~"), quote(value, safe="~")) for key, value in parse_qsl(query, True))
    lines = [
        method,
        quote(raw_path, safe="/~"),
        "&".join(f"{key}={value}" for key, value in pairs),
        *(f"{name}:{' '.join(value.split())}" for name, value in sorted(signed.items())),
        "",
        ";".join(sorted(signed)),
        hashlib.sha256(body).hexdigest(),
    ]
    request = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{signed['x-amz-date']}\n{scope}\n{request}"
    key = f"AWS4{SECRET_KEY}".encode()
    for piece in [*scope.split("/"), text]:
        key = hmac.new(key, piece.encode(), hashlib.sha256).digest()
    return key.hex()
