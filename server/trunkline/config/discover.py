"""The providers that are there: those configured, those that can be found, and the embedded one."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec
from pydantic import ValidationError

from trunkline.config.address import Address
from trunkline.config.explain import explain
from trunkline.config.known import EMBEDDED, HOSTED, LOCAL, Local
from trunkline.config.model import Config, ProviderConfig
from trunkline.config.problem import ConfigError, Path

PATIENCE: Final = 0.5
"""Seconds that a local server has to answer."""

_LARGEST: Final = 1024 * 1024
"""The most bytes of a local server's answer that are read."""


class _Listing(msgspec.Struct):
    """OpenAI's list of models, as far as it tells that the server speaks that language."""

    data: list[msgspec.Raw]


async def discover(
    config: Config, environ: Mapping[str, str], local: Sequence[Local] = LOCAL, patience: float = PATIENCE
) -> dict[str, ProviderConfig]:
    """Every provider there is, by name: the configured ones first, and over what is found under the same name.

    Others are looked for only where `config.discover` is set, and one that is this gateway itself is left out. The
    embedded provider is always there. Raises `ConfigError` as `from_environment` does.
    """
    providers = dict(config.providers)
    if config.discover:
        found = from_environment(environ) | await from_local_ports(local, patience)
        own = {
            address.port for address in (config.http.address, config.grpc.address, config.metrics.address) if address
        }
        for name, provider in found.items():
            # `OPENAI_BASE_URL` may well point here, for the sake of other programs: the gateway must not call itself.
            if not _is_here(provider, own):
                providers.setdefault(name, provider)
    providers.setdefault(EMBEDDED, ProviderConfig(kind=EMBEDDED))
    return providers


def from_environment(environ: Mapping[str, str]) -> dict[str, ProviderConfig]:
    """The hosted providers whose keys are set. Raises `ConfigError`, naming the variable, where one cannot be used."""
    providers: dict[str, ProviderConfig] = {}
    problems: list[str] = []
    for hosted in HOSTED:
        api_key = environ.get(hosted.api_key, "").strip()
        if not api_key:
            continue
        base_url = environ.get(hosted.base_url, "").strip() or None
        try:
            providers[hosted.name] = ProviderConfig.model_validate(
                {"kind": hosted.name, "api_key": api_key, "base_url": base_url}
            )
        except ValidationError as error:
            variables: dict[Path, str] = {("api_key",): hosted.api_key, ("base_url",): hosted.base_url}
            problems += [f"{variables[problem.path]}: {problem.text(secret=True)}" for problem in explain(error)]
    if problems:
        raise ConfigError(problems)
    return providers


async def from_local_ports(local: Sequence[Local] = LOCAL, patience: float = PATIENCE) -> dict[str, ProviderConfig]:
    """The servers on this machine that list their models within `patience` seconds. All are asked at once."""
    # Proxy settings are left aside: a proxy could not reach this machine's loopback.
    async with httpx.AsyncClient(trust_env=False, timeout=patience) as client:
        answers = await asyncio.gather(*(_answers(client, server, patience) for server in local))
    return {
        server.name: ProviderConfig(kind=server.name, base_url=_base_url(server))
        for server, answered in zip(local, answers, strict=True)
        if answered
    }


async def _answers(client: httpx.AsyncClient, server: Local, patience: float) -> bool:
    body = bytearray()
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    try:
        async with (
            asyncio.timeout(patience),
            client.stream("GET", f"{_base_url(server)}/models", headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                return False
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > _LARGEST:
                    return False
        msgspec.json.decode(body, type=_Listing)
    except (httpx.HTTPError, TimeoutError, msgspec.MsgspecError, RecursionError):
        return False
    return True


def _is_here(provider: ProviderConfig, ports: Collection[int]) -> bool:
    if provider.base_url is None:
        return False
    url = urlsplit(provider.base_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    return port in ports and Address(url.hostname or "", port).loopback


def _base_url(server: Local) -> str:
    return f"http://127.0.0.1:{server.port}/v1"
