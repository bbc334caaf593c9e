"""Tokens of Google Cloud, made by google-auth and renewed before they expire."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any, Final, cast

import google.auth
from google.auth import exceptions
from google.auth.credentials import Credentials, TokenState
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_TIMEOUT: Final = 20.0
"""The most seconds to wait for Google's token server."""

_log = logging.getLogger("trunkline")


class GoogleCredentials:
    """The token of one Google credential: the service account of the file at `path`, else what the machine itself has
    (Application Default Credentials).

    google-auth reads files and asks servers in a thread, once for all calls that wait. A token that expires soon is
    renewed while it still serves.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._credentials: Credentials | None = None
        self._renewal: asyncio.Task[None] | None = None

    async def token(self) -> str:
        """A token to present. Raises `GatewayError`: PROVIDER_UNAUTHENTICATED where there is no credential or Google
        refuses it, PROVIDER_UNAVAILABLE where its token server cannot be reached."""
        state = TokenState.INVALID if self._credentials is None else self._credentials.token_state
        if state is not TokenState.FRESH:
            renewal = self._renew()
            if state is TokenState.INVALID:
                # A caller that goes away does not take the token from the others.
                await asyncio.shield(renewal)
        return str(self._credentials.token) if self._credentials is not None else ""

    async def close(self) -> None:
        """Leave a running renewal alone: its thread cannot be stopped, and nobody waits for its token."""
        if self._renewal is not None:
            self._renewal.cancel()

    def _renew(self) -> asyncio.Task[None]:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew_in_thread())
            # Where nobody waits for it, the next call tries again and tells.
            self._renewal.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._renewal

    async def _renew_in_thread(self) -> None:
        try:
            self._credentials = await asyncio.to_thread(_renewed, self._credentials, self._path)
        except exceptions.TransportError as error:
            _log.warning("google: the token server cannot be reached (%s)", type(error).__name__)
            raise GatewayError(
                errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE, "Google's token server cannot be reached."
            ) from error
        except (exceptions.GoogleAuthError, OSError, ValueError) as error:
            # The text of the error may hold what the file holds.
            _log.warning("google: no token for the configured credential (%s)", type(error).__name__)
            raise GatewayError(
                errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED, "The gateway has no valid credential for Google."
            ) from error


def _renewed(credentials: Credentials | None, path: str | None) -> Credentials:
    """The credential with a fresh token. Blocks."""
    # google-auth is typed in parts only.
    renewed: Any = credentials
    if renewed is None and path is None:
        renewed, _ = google.auth.default(scopes=_SCOPES)
    elif renewed is None:
        renewed = service_account.Credentials.from_service_account_file(path, scopes=_SCOPES)  # type: ignore[no-untyped-call]
    renewed.refresh(functools.partial(Request(), timeout=_TIMEOUT))
    return cast("Credentials", renewed)
