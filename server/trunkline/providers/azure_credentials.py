"""Tokens of Entra ID, made by azure-identity and renewed before they expire."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity.aio import DefaultAzureCredential

from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

SCOPE: Final = "https://cognitiveservices.azure.com/.default"
"""What a token is for, unless the configuration says otherwise."""

_TIMEOUT: Final = 30.0
"""The most seconds to wait for a token."""
_EARLY: Final = 300.0
"""A token is renewed when it serves for this many seconds more."""
_LEAST: Final = 15.0
"""A token that serves for fewer seconds is not presented."""

_log = logging.getLogger("trunkline")


class AzureCredentials:
    """The token of what the environment says who the gateway is (`DefaultAzureCredential`): a client and its secret, a
    workload's or a managed identity, or who is signed in on the machine.

    A token that expires soon is renewed while it still serves, once for all calls.
    """

    def __init__(self, scope: str = SCOPE) -> None:
        self._scope = scope
        self._credential: AsyncTokenCredential | None = None
        self._token: AccessToken | None = None
        self._renewal: asyncio.Task[None] | None = None

    async def token(self) -> str:
        """A token to present. Raises `GatewayError`: PROVIDER_UNAUTHENTICATED where there is no credential or Entra ID
        refuses it, PROVIDER_UNAVAILABLE where it cannot be reached."""
        left = 0.0 if self._token is None else self._token.expires_on - time.time()
        if left < _EARLY:
            renewal = self._renew()
            if left < _LEAST:
                # A caller that goes away does not take the token from the others.
                await asyncio.shield(renewal)
        return "" if self._token is None else self._token.token

    async def close(self) -> None:
        """End a running renewal, and close the connections."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
        if self._credential is not None:
            await self._credential.close()

    def _renew(self) -> asyncio.Task[None]:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._ask())
            # Where nobody waits for it, the next call tries again and tells.
            self._renewal.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._renewal

    async def _ask(self) -> None:
        try:
            if self._credential is None:
                self._credential = _found()
            async with asyncio.timeout(_TIMEOUT):
                self._token = await self._credential.get_token(self._scope)
        except (ClientAuthenticationError, ValueError) as error:
            # The text of the error tells of the environment.
            _log.warning("azure: no token for the gateway's credential (%s)", type(error).__name__)
            raise GatewayError(
                errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED, "The gateway has no valid credential for Azure."
            ) from error
        except (AzureError, TimeoutError, OSError) as error:
            _log.warning("azure: Entra ID cannot be reached (%s)", type(error).__name__)
            raise GatewayError(
                errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE, "Azure's token server cannot be reached."
            ) from error


def _found() -> AsyncTokenCredential:
    """Who the gateway is, by its environment."""
    return DefaultAzureCredential()
