"""What `doctor` looks at: the addresses of a configuration, and the providers that it gives."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from trunkline.cli.announcement import reachable
from trunkline.cli.client import Client
from trunkline.cli.listening import Listening
from trunkline.cli.listening import examine as examine_address
from trunkline.cli.remedy import diagnose
from trunkline.config.address import Address
from trunkline.config.model import Config, TlsConfig
from trunkline.core.provider import Provider
from trunkline.errors import GatewayError
from trunkline.house import House
from trunkline.providers.compatible import PRESETS
from trunkline.v1 import errors_pb2


class Finding(NamedTuple):
    """What was found of one thing: `seconds` is how long the answer took, None where none was waited for."""

    name: str
    well: bool
    detail: str
    seconds: float | None = None
    remedy: str = ""


class Checkup(NamedTuple):
    """All that was found."""

    addresses: list[Finding]
    providers: list[Finding]

    @property
    def well(self) -> bool:
        """Whether nothing needs a remedy."""
        return all(finding.well for finding in (*self.addresses, *self.providers))


async def examine(house: House, patience: float) -> Checkup:
    """Look at everything at once. A provider that does not answer in `patience` seconds is given up."""
    config = house.config
    addresses = asyncio.gather(
        _address("gRPC", "grpc.address", config.grpc.address, config.grpc.tls),
        _address("HTTP", "http.address", config.http.address, config.http.tls),
    )
    found = asyncio.gather(*(_provider(each, config, patience) for each in house.providers.values()))
    return Checkup(list(await addresses), list(await found))


async def _address(wire: str, setting: str, address: Address, tls: TlsConfig | None) -> Finding:
    there = reachable(address, address.port)

    async def connect() -> Client:
        if wire == "HTTP":
            from trunkline.cli.http_client import HttpClient

            return HttpClient(f"http://{there}", "", None)
        from trunkline.cli.grpc_client import GrpcClient

        return GrpcClient(str(there), "", None)

    found = await examine_address(address, setting, connect)
    if found.state == "taken" and tls is not None:
        # Only who trusts the certificate could tell.
        found = Listening("gateway", "something listens there; over TLS it cannot be told what")
    return Finding(f"{wire} {address}", found.well, found.detail, remedy=found.remedy)


async def _provider(provider: Provider, config: Config, patience: float) -> Finding:
    settings = config.providers.get(provider.name)
    kind = provider.name if settings is None else settings.kind
    base_url = None if settings is None else settings.base_url
    if base_url is None:
        base_url = PRESETS[kind].base_url if kind in PRESETS else ""
    started = time.monotonic()
    try:
        async with asyncio.timeout(patience):
            models = await provider.list_models()
    except TimeoutError:
        error = GatewayError(errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT, f"No answer in {patience:g} seconds.")
    except GatewayError as raised:
        error = raised
    else:
        count = "1 model" if len(models) == 1 else f"{len(models)} models"
        return Finding(provider.name, True, count, time.monotonic() - started)
    trouble, remedy = diagnose(error, provider.name, kind, base_url)
    return Finding(provider.name, False, trouble, remedy=remedy)
