"""What grpc does not do of itself where it listens: tell what stands in the way, and stop while connections go on."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from trunkline.config.address import Address

_OPEN_FILES: Final = Path("/dev/fd")


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


def stop_listening(port: int) -> None:
    """Take no more connections at `port`, and keep those that there are: new ones go to the other processes that listen
    there.

    grpc only stops as a whole: it closes its sockets, says goodbye, and from that moment on cancels every call that was
    on its way, unseen by any handler (grpc/grpc#41785). So the sockets that listen are found among this process's own,
    and shut down; grpc takes that for their end.
    """
    for name in os.listdir(_OPEN_FILES):
        with suppress(OSError):  # no socket, or the one by which they were listed
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as one:
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and one.getsockname()[1] == port:
                    one.shutdown(socket.SHUT_RD)


def refused(address: Address, reason: str | None, code: int | None = None) -> OSError:
    """The error of an address that cannot be listened on."""
    return OSError(code, f"gRPC cannot listen on {address}: {reason or 'for a reason unknown'}")
