"""Which addresses of the network a caller may make the gateway connect to: public ones, and what is configured."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""IPv4 behind a translator: the last 32 bits are the address that is reached."""

_REFUSED: Final[tuple[Network, ...]] = (
    ip_network("168.63.129.16/32"),  # Azure's own services, for its machines alone
    ip_network("192.88.99.0/24"),  # relays of 6to4
    ip_network("64:ff9b:1::/48"),  # translators of local use
    ip_network("2001::/32"),  # Teredo
    ip_network("2002::/16"),  # 6to4
    ip_network("::/96"),  # IPv4 written as IPv6, long out of use
)
"""What reaches places that are not public, though its numbers are."""

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
        if address.is_site_local or address.scope_id is not None:
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
