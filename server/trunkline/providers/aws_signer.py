"""Requests signed for Amazon's services (SigV4) by botocore, with credentials that are renewed before they expire."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.session import Session

from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

_SERVICE: Final = "bedrock"

_EARLY: Final = 15 * 60
"""Seconds before their end when credentials are renewed while they still serve."""
_LATE: Final = 60
"""Seconds before their end when credentials serve no more."""

_LARGE: Final = 1024 * 1024
"""The size of a body, in bytes, from which on it is hashed in a thread."""

_log = logging.getLogger("trunkline")


class AwsSigner:
    """Signs requests to Bedrock in one region, with what AWS's usual chain finds: the environment, the shared files
    (with `profile`, where that is not the usual one), single sign-on, or the machine's or container's own role.

    botocore reads files and asks servers in a thread, once for all calls that wait.
    """

    def __init__(self, region: str, profile: str | None = None) -> None:
        self._region = region
        self._profile = profile
        self._source: Any = None
        self._credentials: Any = None
        self._renewal: asyncio.Task[None] | None = None

    async def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Mapping[str, str]:
        """`headers` with the signature of the request.

        Raises `GatewayError`: PROVIDER_UNAUTHENTICATED where there are no credentials or AWS refuses them,
        PROVIDER_UNAVAILABLE where what hands them out cannot be reached.
        """
        if self._credentials is None or self._ends_within(_LATE):
            # A caller that goes away does not take the credentials from the others.
            await asyncio.shield(self._renew())
        elif self._ends_within(_EARLY):
            self._renew()
        if body is not None and len(body) >= _LARGE:
            return await asyncio.to_thread(self._signed, method, url, headers, body)
        return self._signed(method, url, headers, body)

    async def close(self) -> None:
        """Leave a running renewal alone: its thread cannot be stopped, and nobody waits for what it brings."""
        if self._renewal is not None:
            self._renewal.cancel()

    def _signed(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> dict[str, str]:
        request = AWSRequest(method, url, dict(headers), body or b"")
        SigV4Auth(self._credentials, _SERVICE, self._region).add_auth(request)
        return dict(request.headers.items())

    def _ends_within(self, seconds: int) -> bool:
        needed = getattr(self._source, "refresh_needed", None)
        return needed is not None and bool(needed(seconds))

    def _renew(self) -> asyncio.Task[None]:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew_in_thread())
            # Where nobody waits for it, the next call tries again and tells.
            self._renewal.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._renewal

    async def _renew_in_thread(self) -> None:
        try:
            self._source, self._credentials = await asyncio.to_thread(_renewed, self._source, self._profile)
        except HTTPClientError as error:
            _log.warning("aws: what hands out credentials cannot be reached (%s)", type(error).__name__)
            raise GatewayError(
                errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE, "AWS's source of credentials cannot be reached."
            ) from error
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            # The text of the error may hold what the files hold.
            _log.warning("aws: no credentials (%s)", type(error).__name__)
            raise _missing() from error
        if self._credentials is None:
            raise _missing()


def _missing() -> GatewayError:
    return GatewayError(
        errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED, "The gateway has no valid credentials for AWS."
    )


def _renewed(source: Any, profile: str | None) -> tuple[Any, Any]:
    """The source of the credentials, and the credentials as they are now; None where there are none. Blocks."""
    if source is None:
        source = Session(profile=profile).get_credentials()
    return source, None if source is None else source.get_frozen_credentials()


def configured_region(profile: str | None) -> str | None:
    """The region of the shared configuration files."""
    try:
        region = Session(profile=profile).get_config_variable("region")
    except BotoCoreError:
        return None
    return region if isinstance(region, str) else None
