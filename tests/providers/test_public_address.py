"""Which addresses a caller may have the gateway connect to."""

from __future__ import annotations

import asyncio
import socket
import threading
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from fakes.file_server import Names as Table
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.public_address import Guard, GuardedResolver, Names, NotPublicError, is_public


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.1",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "192.0.0.192",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "100::1",
        "2001::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1111%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_what_is_not_public(address: str) -> None:
    """Loopback, private and link-local networks, the services of clouds for their machines, whatever their form."""
    assert not is_public(ip_address(address))
    assert not Guard().allows(ip_address(address), 443)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::808:808", "172.32.0.1"]
)
def test_what_is_public(address: str) -> None:
    """At the web's ports, and at no other."""
    assert is_public(ip_address(address))
    assert [port for port in (0, 22, 25, 80, 443, 6379, 8080, 8443) if Guard().allows(ip_address(address), port)] == [
        80,
        443,
        8080,
        8443,
    ]


@given(st.ip_addresses())
def test_no_network_of_its_own_is_public(address: IPv4Address | IPv6Address) -> None:
    """What Python's own tables call private, in whatever form, is not public."""
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast
    if isinstance(address, IPv4Address):
        for prefix in ("::ffff:0:0", "64:ff9b::"):
            assert is_public(ip_address(int(ip_address(prefix)) + int(address))) == is_public(address)


def test_configured_networks() -> None:
    """Any port of them, in the forms in which a machine reaches them itself; nothing beside them."""
    guard = Guard(["10.1.0.0/16", "fd12::/16"])
    assert guard.allows(ip_address("10.1.2.3"), 9000)
    assert guard.allows(ip_address("::ffff:10.1.2.3"), 9000)
    assert guard.allows(ip_address("fd12::5"), 9000)
    for address in ("10.2.0.1", "64:ff9b::a01:203", "2002:a01:203::1", "fd13::5", "127.0.0.1"):
        assert not guard.allows(ip_address(address), 80)


@pytest.mark.parametrize("target", [("127.0.0.1", 80), ("::1", 80, 0, 0), ("1.1.1.1", 22), ("127.1", 80)])
def test_the_last_check(target: Any) -> None:
    """No socket is made for an address that is not allowed, or that cannot be judged, however it was come by."""
    with pytest.raises((NotPublicError, ValueError)):
        Guard().socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", target))


def test_a_socket() -> None:
    """One is made for the others."""
    with Guard(["127.0.0.1"]).socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))) as made:
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)


async def test_one_address_that_is_not_public_is_enough() -> None:
    """A name that has it among good ones is refused."""
    resolver = GuardedResolver(Guard(), Table({"both.test": ["1.1.1.1 127.0.0.1"], "good.test": ["1.1.1.1"]}))
    assert [one["host"] for one in await resolver.resolve("good.test", 443)] == ["1.1.1.1"]
    with pytest.raises(NotPublicError):
        await resolver.resolve("both.test", 443)
    with pytest.raises(NotPublicError):
        await resolver.resolve("good.test", 22)
    await resolver.close()


async def test_the_machines_own_names() -> None:
    """They are looked up as ever; one that does not exist is an error."""
    names = Names()
    found = await names.resolve("localhost", 80, socket.AF_INET)
    assert {(one["host"], one["port"]) for one in found} == {("127.0.0.1", 80)}
    with pytest.raises(OSError, match=r".*"):
        await names.resolve("unknown.invalid", 80)
    await names.close()


async def test_a_silent_name_holds_up_no_other_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads that wait for it are not those of the process, and giving up on it waits for none."""
    begun, release, look_up = threading.Event(), threading.Event(), socket.getaddrinfo

    def silent(host: Any, *arguments: Any, **more: Any) -> Any:
        if host == "silent.test":
            begun.set()
            release.wait(30)
            raise OSError("no answer")
        return look_up(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    names = Names(threads=1)
    waiting = [asyncio.ensure_future(names.resolve("silent.test")) for _ in range(40)]
    await asyncio.to_thread(begun.wait, 30)
    assert await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    release.set()
    await names.close()
