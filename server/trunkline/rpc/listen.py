"""Whether an address can be listened on: grpc does not say what stands in the way, and is content with too little."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from trunkline.config.address import Address


async def check_address(address: Address) -> None:
    """Raise `OSError` where `address` cannot be listened on, or where another program has a part of it.

    grpc takes one of the addresses that a name such as `localhost` stands for as enough.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise refused(address, error.strerror, error.errno) from None
    except UnicodeError:
        raise refused(address, "Not a host name") from None
    failed: list[int] = []
    for family, kind, protocol, _, where in found:
        try:
            with socket.socket(family, kind, protocol) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(where)
        except OSError as error:
            failed.append(error.errno or 0)
    if errno.EADDRINUSE in failed:
        raise refused(address, os.strerror(errno.EADDRINUSE), errno.EADDRINUSE)
    if len(failed) == len(found):  # otherwise a machine without IPv6, say, can still serve `localhost`
        raise refused(address, os.strerror(failed[0]), failed[0])


def refused(address: Address, reason: str | None, code: int | None = None) -> OSError:
    """The error of an address that cannot be listened on."""
    return OSError(code, f"gRPC cannot listen on {address}: {reason or 'for a reason unknown'}")
