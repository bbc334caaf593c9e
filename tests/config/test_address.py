"""Addresses to listen on."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config.address import Address


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("127.8.8.8:0", "127.8.8.8", 0, True),
        ("[::1]:8080", "::1", 8080, True),
        ("localhost:1", "localhost", 1, True),
        ("LocalHost:1", "LocalHost", 1, True),
        ("0.0.0.0:65535", "0.0.0.0", 65535, False),  # noqa: S104 - only parsed
        ("[::]:8080", "::", 8080, False),
        ("192.168.1.2:80", "192.168.1.2", 80, False),
        ("localhost.example.com:80", "localhost.example.com", 80, False),
    ],
)
def test_reads_an_address(text: str, host: str, port: int, loopback: bool) -> None:
    """A host and a port are told apart, and so are this machine and the world."""
    address = Address.parse(text)
    assert (address.host, address.port, address.loopback) == (host, port, loopback)
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        ":8080",
        "*:8080",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:http",
        "127.0.0.1:8080 ",
        "127.0.0.1:8080\n",
        "127.0.0.1:٣",
        "127.0.0.256:1",
        "1.2.3:1",
        "::1:8080",
        "[::1]",
        "[::g]:1",
        "[127.0.0.1]:1",
        "http://127.0.0.1:8080",
        "a b:1",
    ],
)
def test_refuses_what_is_none(text: str) -> None:
    """Anything but a host and a port is refused."""
    with pytest.raises(ValueError, match=r"."):
        Address.parse(text)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 65535))
def test_what_is_written_is_read(host: IPv4Address | IPv6Address, port: int) -> None:
    """Every IP address and port survives being written and read."""
    address = Address(str(host), port)
    assert Address.parse(str(address)) == address
    assert address.loopback == host.is_loopback
