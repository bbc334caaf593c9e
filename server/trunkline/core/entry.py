"""The door that every surface opens a call by, and closes it."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from trunkline.call import ANYONE, Call, Caller, Observer, Surface
from trunkline.core.gateway import Gateway
from trunkline.core.pages import Pages
from trunkline.errors import GatewayError, invalid_request
from trunkline.v1 import errors_pb2

Authenticate = Callable[[str], Awaitable[Caller]]
"""A key as the caller sent it (empty where none) -> the caller; raises `GatewayError` (UNAUTHENTICATED)."""

_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[\x21-\x7e]{0,128})?")
_TRUE = frozenset({"1", "true", "yes"})


class Entry:
    """Opens and closes calls, and holds what answers them: a reload replaces it, and running calls keep theirs."""

    def __init__(
        self,
        gateway: Gateway,
        authenticate: Authenticate,
        observers: Sequence[Observer],
        pages: Pages = Pages(),  # noqa: B008 - it does not change
    ) -> None:
        self._gateway = gateway
        self._authenticate = authenticate
        self._pages = pages
        self._observers = observers

    def replace(self, gateway: Gateway, authenticate: Authenticate) -> None:
        """Answer every later call with these."""
        self._gateway = gateway
        self._authenticate = authenticate

    def open(self, surface: Surface, headers: Mapping[str, str]) -> Call:
        """A new call. `headers` are the HTTP headers or the gRPC metadata, looked up by lower-case name.

        `x-request-id` is taken over where it is at most 128 visible ASCII characters, and made otherwise.
        """
        given = headers.get("x-request-id", "")
        call = Call(id=given if _ID.fullmatch(given) else f"req_{secrets.token_hex(12)}", surface=surface)
        parent = headers.get("traceparent", "")
        # It goes on to providers: https://www.w3.org/TR/trace-context-1/#traceparent-header
        call.traceparent = parent if _TRACEPARENT.fullmatch(parent) else ""
        for observer in self._observers:
            observer.call_started(call)
        return call

    async def admit(self, call: Call, headers: Mapping[str, str], within: float | None = None) -> Gateway:
        """Let the call in, and give the gateway that answers it.

        `within`, in seconds, is what the transport itself allows; the header `x-trunkline-timeout` may shorten it.
        Raises `GatewayError`: UNAUTHENTICATED for a missing or wrong key, PERMISSION_DENIED for one that is not for
        this surface and for a web page that may not call, INVALID_REQUEST for a bad header.
        """
        owner = call.owner = await self._authenticate(_key(headers))
        call.caller = owner.name
        if owner is ANYONE:
            self._pages.check(headers)
        if owner.surfaces and call.surface not in owner.surfaces:
            surfaces = ", ".join(f"`{surface}`" for surface in sorted(owner.surfaces))
            raise GatewayError(
                errors_pb2.ERROR_REASON_PERMISSION_DENIED,
                f"The key is not for the surface `{call.surface}`; it is for {surfaces}.",
            )
        call.headers = headers
        call.strict = headers.get("x-trunkline-strict", "").lower() in _TRUE
        asked = headers.get("x-trunkline-timeout")
        if asked is not None:
            seconds = _seconds(asked)
            within = seconds if within is None else min(within, seconds)
        if within is not None:
            call.deadline = call.started + within
        return self._gateway

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """Who asks for what is no call. Raises `GatewayError` (UNAUTHENTICATED)."""
        return await self._authenticate(_key(headers))

    def close(self, call: Call) -> None:
        """Tell the observers that the call is over."""
        call.ended = time.monotonic()
        for observer in self._observers:
            observer.call_ended(call)


def _key(headers: Mapping[str, str]) -> str:
    """The caller's key, as the clients of OpenAI, Anthropic or Google send it."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return headers.get("x-api-key") or headers.get("x-goog-api-key") or ""


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise invalid_request("`x-trunkline-timeout` must be a number of seconds above zero.", "x-trunkline-timeout")
    return seconds
