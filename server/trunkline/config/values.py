"""The sorts of value that a setting takes, each with its syntax and bounds.

A `shown` error may be told with the value found; a `hidden` one may not, since that may be a secret.
"""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import date
from decimal import Decimal, InvalidOperation
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from trunkline.config.address import Address

_DEAREST = 1_000_000
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LABEL = re.compile(r"[0-9A-Za-z._-]{1,64}")
_MOUNT = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[0-9A-Za-z._~-]+){1,8}")
_SERVED = frozenset(
    {
        "anthropic",
        "healthz",
        "messages",
        "metrics",
        "openapi.json",
        "readyz",
        "trunkline",
        "v1alpha",
        "v1beta",
        "v1beta1",
    }
)
_ORIGIN = re.compile(r"[A-Za-z][0-9A-Za-z+.-]*://(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_USUAL = ("/v1", "/api/v1")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")


def _address(value: object) -> Address:
    if isinstance(value, Address):
        return value
    try:
        return Address.parse(str(value))
    except ValueError:
        raise PydanticCustomError("shown", "must be `host:port`, such as 127.0.0.1:8080 or [::1]:8080") from None


def _number(value: object) -> object:
    # YAML reads `on` and `yes` as booleans, which would pass for 1.
    if isinstance(value, bool):
        raise PydanticCustomError("shown", "must be a number")
    return value


def _dollars(value: object) -> Decimal:
    # A number of YAML is read as a float, whose shortest text is what was written.
    text = repr(value) if isinstance(value, float) else str(value)
    try:
        dollars = Decimal(text) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        dollars = Decimal("NaN")
    if not dollars.is_finite() or not 0 <= dollars <= _DEAREST:
        raise PydanticCustomError("shown", "must be a number of dollars from 0 to 1000000")
    if dollars != round(dollars, 9):
        raise PydanticCustomError("shown", "must have at most 9 decimals")
    return dollars


def _day(value: object) -> date:
    try:
        return value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError:
        raise PydanticCustomError("shown", "must be a day as YYYY-MM-DD") from None


def _url(value: str) -> str:
    # What is no URL may be a secret that went into the wrong line, so the value is not shown.
    try:
        url = urlsplit(value)
        whole = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        whole = False
    if not whole or not _VISIBLE.fullmatch(value):
        raise PydanticCustomError("hidden", "must be an http:// or https:// URL")
    if url.username is not None or url.password is not None:
        raise PydanticCustomError("hidden", "must not hold a user or password: use `api_key` or `headers`")
    if url.query or url.fragment:
        raise PydanticCustomError("hidden", "must not have a `?` or `#` part")
    return value.rstrip("/")


def _provider_name(value: str) -> str:
    if not _VISIBLE.fullmatch(value) or any(mark in value for mark in "/:#"):
        raise PydanticCustomError(
            "hidden", "a provider's name must not be empty or hold `/`, `:`, `#`, spaces or non-ASCII"
        )
    return value


def _key_label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise PydanticCustomError(
            "hidden", "a key's label must be letters, digits, `-`, `_` or `.`, at most 64 of them"
        )
    return value


def _mount(value: str) -> str:
    if not _MOUNT.fullmatch(value) or len(value) > 128:
        raise PydanticCustomError("shown", "must be a path without a slash at its end, such as /tr/v1")
    if value.split("/")[1] in _SERVED or any(value.startswith(f"{usual}/") for usual in _USUAL):
        raise PydanticCustomError("shown", "must not be below a path that serves something else")
    return value


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        raise PydanticCustomError("shown", "must be an origin without a path, such as https://chat.example.com")
    return value


def _target(value: str) -> str:
    provider, _, model = value.partition("/")
    if not provider or not model:
        raise PydanticCustomError("shown", "must be `provider/model`")
    return value


def _token(value: SecretStr) -> SecretStr:
    if not _VISIBLE.fullmatch(value.get_secret_value()):
        raise PydanticCustomError("hidden", "must be visible ASCII characters without spaces, and not empty")
    return value


def _header_name(value: str) -> str:
    if not _HEADER_NAME.fullmatch(value):
        raise PydanticCustomError("hidden", "the name of a header must be letters, digits and dashes")
    return value


def _header_value(value: SecretStr) -> SecretStr:
    if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
        raise PydanticCustomError("hidden", "must be one line of ASCII without spaces at its ends, and not empty")
    return value


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError:
        raise PydanticCustomError("shown", "must be a network, such as 10.0.0.0/8, or one address") from None


def _secure_url(value: str) -> str:
    if not value.startswith("https://"):
        raise PydanticCustomError("hidden", "must be an https:// URL")
    return value


def _long_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 32:
        raise PydanticCustomError("hidden", "must be at least 32 characters, such as `openssl rand -hex 32` makes")
    return value


def _encryption_key(value: SecretStr) -> SecretStr:
    try:
        size = len(b64decode(value.get_secret_value(), validate=True))
    except ValueError:
        size = 0
    if size != 32:
        raise PydanticCustomError("hidden", "must be 32 bytes in base64, such as `openssl rand -base64 32` makes")
    return value


Dollars = Annotated[Decimal, PlainValidator(_dollars), PlainSerializer(str)]
Day = Annotated[date, PlainValidator(_day), PlainSerializer(str)]
ListenAddress = Annotated[Address, PlainValidator(_address), PlainSerializer(str)]
Seconds = Annotated[float, BeforeValidator(_number), Field(gt=0, le=1_000_000)]
Patience = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1_000_000)]
Weight = Annotated[float, BeforeValidator(_number), Field(gt=0, le=1_000_000)]
Few = Annotated[int, BeforeValidator(_number), Field(ge=0, le=100)]
Queue = Annotated[int, BeforeValidator(_number), Field(ge=0, le=1_000_000)]
Lifetime = Annotated[float, BeforeValidator(_number), Field(gt=0, le=3_155_760_000)]
Grace = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1_000_000)]
Ratio = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=1, le=2**31 - 1)]
Size = Annotated[int, BeforeValidator(_number), Field(ge=1, le=2**53 - 1)]
Amount = Annotated[int, BeforeValidator(_number), Field(ge=0, le=2**53 - 1)]
Days = Annotated[int, BeforeValidator(_number), Field(ge=1, le=366)]
Leeway = Annotated[float, BeforeValidator(_number), Field(ge=0, le=300)]
Text = Annotated[str, StringConstraints(min_length=1)]
Url = Annotated[str, AfterValidator(_url)]
SecureUrl = Annotated[Url, AfterValidator(_secure_url)]
ProviderName = Annotated[str, AfterValidator(_provider_name)]
KeyLabel = Annotated[str, AfterValidator(_key_label)]
MountPath = Annotated[str, AfterValidator(_mount)]
Origin = Annotated[str, AfterValidator(_origin)]
Target = Annotated[str, AfterValidator(_target)]
Network = Annotated[str, AfterValidator(_network)]
Token = Annotated[SecretStr, AfterValidator(_token)]
SecretText = Annotated[SecretStr, Field(min_length=1)]
LongSecret = Annotated[Token, AfterValidator(_long_secret)]
EncryptionKey = Annotated[SecretStr, AfterValidator(_encryption_key)]
Headers = dict[
    Annotated[str, AfterValidator(_header_name)],
    Annotated[SecretStr, AfterValidator(_header_value)],
]
