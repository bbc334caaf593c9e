"""Whether an address can be listened on, or who listens there already."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from trunkline.cli.client import Client, UnreachableError
from trunkline.config.address import Address
from trunkline.errors import GatewayError

State = Literal["free", "gateway", "taken", "unusable"]

Connect = Callable[[], Awaitable[Client]]
"""Makes a client of the address, to ask whether a gateway answers."""


class Listening(NamedTuple):
    """What is known of an address: its state in a word and in a sentence, and the remedy where one is needed."""

    state: State
    detail: str
    remedy: str = ""

    @property
    def well(self) -> bool:
        """Whether a gateway listens there, or could."""
        return self.state in ("free", "gateway")


async def examine(address: Address, setting: str, connect: Connect) -> Listening:
    """What `address`, which `setting` gives, is worth to a gateway that would listen on it."""
    try:
        await _bind(address)
    except OSError as error:
        return await _refused(error, address, setting, connect)
    return Listening("free", "free: no gateway runs there")


async def _bind(address: Address) -> None:
    loop = asyncio.get_running_loop()
    for family, kind, protocol, _, where in await loop.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            trial.bind(where)


async def _refused(error: OSError, address: Address, setting: str, connect: Connect) -> Listening:
    match error:
        case socket.gaierror():
            return Listening("unusable", "its name cannot be resolved", f"Give `{setting}` an address of this machine.")
        case OSError(errno=errno.EADDRINUSE):
            if await _gateway_answers(connect):
                return Listening("gateway", "a gateway runs there")
            return Listening(
                "taken",
                "another program listens there",
                f"Stop it (`ss -ltnp 'sport = :{address.port}'` tells which it is), or give `{setting}` another port.",
            )
        case OSError(errno=errno.EACCES):
            return Listening("unusable", "it needs privileges", f"Give `{setting}` a port above 1023.")
        case OSError(errno=errno.EADDRNOTAVAIL):
            return Listening(
                "unusable",
                "it is no address of this machine",
                f"Give `{setting}` one, such as 127.0.0.1:{address.port}.",
            )
        case _:
            return Listening("unusable", os.strerror(error.errno or 0), f"Give `{setting}` another address.")


async def _gateway_answers(connect: Connect) -> bool:
    """Whether what listens is a gateway; one that wants a key is."""
    client = await connect()
    try:
        await client.models()
    except GatewayError:
        return True
    except UnreachableError:
        return False
    finally:
        await client.close()
    return True
