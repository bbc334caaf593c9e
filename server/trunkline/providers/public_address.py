"""Which addresses of the network a caller may make the gateway connect to: public ones, and what is configured."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""IPv4 behind a translator: the last 32 bits are the address that is reached."""

_UNICAST: Final = IPv6Network("2000::/3")
"""All of IPv6 that is given out to networks of the internet."""

_REFUSED: Final[tuple[Network, ...]] = (
    ip_network("168.63.129.16/32"),  # Azure's own services, for its machines alone
    ip_network("192.0.0.0/24"),  # for protocols; Oracle's services for its machines are there
    ip_network("192.88.99.0/24"),  # relays of 6to4
    ip_network("2001::/23"),  # for protocols, Teredo among them
    ip_network("2002::/16"),  # 6to4
    ip_network("3fff::/20"),  # for documentation
)
"""What reaches places that are not public, though Python's own tables, which differ between versions, may say so."""

_PORTS: Final = frozenset({80, 443, 8080, 8443})
"""The ports at which public hosts serve files."""


class NotPublicError(OSError):
    """A host has an address that a caller may not make the gateway connect to."""


def is_public(address: Address) -> bool:
    """Whether anyone on the internet could connect to `address`, whichever form it is written in."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _UNICAST or address.scope_id is not None:
            return False
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_unspecified)
        and not any(address in network for network in _REFUSED)
    )


class Guard:
    """Tells what may be connected to: the web's ports of public hosts, and any port of the hosts in `networks`."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = [ip_network(network) for network in networks]

    def allows(self, address: Address, port: int) -> bool:
        """Whether the port of the address may be connected to."""
        if port in _PORTS and is_public(address):
            return True
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def socket(self, info: AddrInfoType) -> socket.socket:
        """A socket for the address that is connected to next: the last check, however that was come by.

        Raises `NotPublicError` where it is not allowed.
        """
        family, kind, protocol, _, target = info
        if not self.allows(ip_address(target[0]), target[1]):
            raise NotPublicError("the address is not public")
        return socket.socket(family, kind, protocol)


class Names(AbstractResolver):
    """The machine's own resolver, in threads of its own: a name whose servers are silent holds up no other look-up of
    the process."""

    def __init__(self, threads: int = 16) -> None:
        self._threads = ThreadPoolExecutor(threads, "media-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises `OSError` where it has none."""
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=flags)
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Let the threads end, without waiting for them."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedResolver(AbstractResolver):
    """Looks names up, and gives only addresses that may be connected to.

    The connection is made to what was looked up here: no second look-up, with another answer, comes between.
    """

    def __init__(self, guard: Guard, resolver: AbstractResolver) -> None:
        self._guard = guard
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises `NotPublicError` where one of them is not allowed."""
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            if not self._guard.allows(ip_address(one["host"]), port):
                raise NotPublicError(f"{host}:{port} has an address that is not public")
        return found

    async def close(self) -> None:
        """Close the resolver within."""
        await self._resolver.close()
