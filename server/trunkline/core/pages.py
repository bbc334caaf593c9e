"""Keeps the pages that someone has open in a browser from a gateway that asks nobody for a key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from typing import Final

from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

_HOME: Final = frozenset({"localhost", "local", "internal", "lan", "test", "arpa"})
"""The last labels of names that nobody can register, and so lead here by the will of whoever runs this machine."""

_LONGEST: Final = 200


class Pages:
    """Tells which pages may call where no key is asked for: such a gateway listens to this machine alone, but so do the
    browsers on it, which send simple requests anywhere at the word of any page.

    A browser tells the page's origin with each of them (https://fetch.spec.whatwg.org/#origin-header), except where it
    takes page and gateway for one, since the page's name was made to lead here after it was loaded (DNS rebinding):
    that name is then the `Host`. `origins` and `hosts` are those that may.
    """

    def __init__(self, origins: Collection[str] = (), hosts: Collection[str] = ()) -> None:
        self._origins = frozenset(origin.lower() for origin in origins)
        self._hosts = frozenset(host.lower() for host in hosts)

    def check(self, headers: Mapping[str, str]) -> None:
        """Refuse what a page asks that may not. Raises `GatewayError` (PERMISSION_DENIED)."""
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in self._origins:
            raise _refused(f"Pages of the origin `{_shown(origin)}`", "http.cors_origins")
        host = headers.get("host")
        if host is not None and not self._is_home(host):
            raise _refused(f"Requests to the name `{_shown(host)}`", "http.hosts")

    def _is_home(self, host: str) -> bool:
        """Whether no page can have come from `host`, or it may."""
        name = host.lower()
        if name.startswith("["):
            return True  # a number: a page's name is none
        name = name.partition(":")[0].removesuffix(".")
        labels = name.rsplit(".", 1)
        if len(labels) == 1 or labels[1] in _HOME or name in self._hosts:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def _refused(what: str, setting: str) -> GatewayError:
    return GatewayError(
        errors_pb2.ERROR_REASON_PERMISSION_DENIED,
        f"{what} are not served while the gateway asks nobody for a key: a web page could use it unseen. List it in "
        f"`{setting}`, or configure `keys`.",
    )


def _shown(text: str) -> str:
    return "".join(char if "!" <= char <= "~" and char != "`" else "?" for char in text[:_LONGEST])
