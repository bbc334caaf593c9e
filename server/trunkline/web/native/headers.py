"""HTTP headers to metadata and back, as grpc-gateway names them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from multidict import CIMultiDictProxy

from trunkline.call import Call
from trunkline.errors import invalid_request
from trunkline.web.exchange import call_headers

_PREFIX: Final = "grpc-metadata-"
_KEY: Final = re.compile(r"[0-9a-z_.-]+")
_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_TIMEOUT: Final = re.compile(r"([0-9]{1,8})([HMSmun])", re.ASCII)
_UNITS: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_UNPRINTABLE: Final = re.compile(r"[^\x21-\x2b\x2d-\x7e]")
_LONGEST: Final = 4096
_DROPPED: Final = "x-trunkline-dropped"


def metadata_of(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """What a call's metadata is, by lower-case name: the headers, and each `Grpc-Metadata-X` as `x`.

    A header that is there under its own name wins, as that is the one a proxy in front would set. What gRPC would
    refuse as metadata is left out, as is binary metadata, of which nothing here knows any.
    """
    metadata: dict[str, str] = {}
    prefixed: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        inner = key.removeprefix(_PREFIX)
        if inner == key:
            metadata.setdefault(key, value)
        elif _KEY.fullmatch(inner) and _VALUE.fullmatch(value) and not inner.endswith("-bin"):
            prefixed.setdefault(inner, value)
    return prefixed | metadata


def timeout_of(metadata: dict[str, str]) -> float | None:
    """The seconds of `Grpc-Timeout`, such as `10S` or `100m`; None where there is none.

    Raises `GatewayError` (INVALID_REQUEST) where it is malformed.
    """
    text = metadata.get("grpc-timeout")
    if text is None:
        return None
    found = _TIMEOUT.fullmatch(text)
    if found is None:
        raise invalid_request(
            "`Grpc-Timeout` must be at most eight digits and one of H, M, S, m, u, n.", "grpc-timeout"
        )
    return int(found[1]) * _UNITS[found[2]]


def takes_trailers(metadata: dict[str, str]) -> bool:
    """Whether the client said that it reads trailers."""
    return any(word.partition(";")[0].strip().lower() == "trailers" for word in metadata.get("te", "").split(","))


def response_metadata(call: Call, ignored: Iterable[str] = ()) -> dict[str, str]:
    """What an answer tells of its call, by lower-case name. `ignored` are the fields that the request does not have,
    which are named with those that the target could not take."""
    metadata = call_headers(call)
    names = [_UNPRINTABLE.sub("?", name) for name in ignored]
    if names:
        known = metadata.get(_DROPPED)
        metadata[_DROPPED] = ", ".join([*names, known] if known else names)[:_LONGEST]
    return metadata


def response_headers(metadata: dict[str, str]) -> dict[str, str]:
    """The headers of an answer: its metadata under grpc-gateway's names and, for plain HTTP clients, under its own.

    Some of it is trailing metadata in gRPC; here it is among the headers too, as few clients read trailers.
    """
    return metadata | {f"Grpc-Metadata-{key}": value for key, value in metadata.items()}


def response_trailers(metadata: dict[str, str]) -> dict[str, str]:
    """The trailers of an answer, as far as its metadata is trailing in gRPC."""
    return {f"Grpc-Trailer-{key}": value for key, value in metadata.items()}
