"""Where a server listens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

_SYNTAX = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_DOTTED = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port. `host` has no brackets; `str` puts them around an IPv6 one. Port 0 takes any free port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `host:port`, such as `127.0.0.1:8080` or `[::1]:8080`. Raises `ValueError`."""
        match = _SYNTAX.fullmatch(text)
        if match is None or int(match["port"]) > 0xFFFF:
            raise ValueError("not host:port")
        if match["six"]:
            IPv6Address(match["six"])
        elif _DOTTED.fullmatch(match["host"]):
            IPv4Address(match["host"])
        return cls(match["six"] or match["host"], int(match["port"]))

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it. A name other than `localhost` is taken to be public."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
