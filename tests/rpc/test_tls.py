"""gRPC over TLS and mutual TLS."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
import trustme
from rpc.player import House, open_house, request

from trunkline.config.address import Address
from trunkline.config.model import GrpcConfig, TlsConfig
from trunkline.rpc.server import RpcServer


class Papers:
    """An authority, and the files of a server that it vouches for."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.certificate, self.private_key = folder / "server.pem", folder / "server.key"
        self.client_ca = folder / "clients.pem"
        own = self.authority.issue_cert("localhost", "127.0.0.1")
        for blob in own.cert_chain_pems:
            blob.write_to_path(self.certificate, append=True)
        own.private_key_pem.write_to_path(self.private_key)
        self.authority.cert_pem.write_to_path(self.client_ca)

    def server(self, *, mutual: bool = False) -> TlsConfig:
        """The settings of a server."""
        return TlsConfig(
            certificate=self.certificate,
            private_key=self.private_key,
            client_ca=self.client_ca if mutual else None,
        )

    def client(self, issuer: trustme.CA | None = None) -> grpc.ChannelCredentials:
        """What a client trusts and, where it has a certificate from `issuer`, presents."""
        trusted = self.authority.cert_pem.bytes()
        if issuer is None:
            return grpc.ssl_channel_credentials(trusted)
        own = issuer.issue_cert("client.test")
        return grpc.ssl_channel_credentials(trusted, own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """The papers of one server."""
    return Papers(tmp_path_factory.mktemp("papers"))


async def test_tls(papers: Papers) -> None:
    """A client that trusts the authority is answered."""
    async with open_house(credentials=papers.client(), tls=papers.server()) as house:
        assert (await house.chat.Chat(request())).provider == "player"


async def test_in_the_clear(papers: Papers) -> None:
    """A client that speaks in the clear is not."""
    async with open_house(tls=papers.server()) as house:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await house.chat.Chat(request())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_mutual_tls(papers: Papers) -> None:
    """A client with a certificate of the authority is answered."""
    credentials = papers.client(issuer=papers.authority)
    async with open_house(credentials=credentials, tls=papers.server(mutual=True)) as house:
        assert (await house.chat.Chat(request())).provider == "player"


@pytest.mark.parametrize("stranger", [False, True])
async def test_mutual_tls_refuses(papers: Papers, stranger: bool) -> None:
    """A client without a certificate, or with one of another authority, does not reach the gateway."""
    credentials = papers.client(issuer=trustme.CA() if stranger else None)
    async with open_house(credentials=credentials, tls=papers.server(mutual=True)) as house:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await house.chat.Chat(request())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert house.ledger.ended.empty()


@pytest.mark.parametrize("wrong", ["certificate", "private_key", "client_ca"])
async def test_unusable_files(house: House, papers: Papers, tmp_path: Path, wrong: str) -> None:
    """A file that is not what it should be fails the start by name, as does one that is gone."""
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    tls = papers.server(mutual=True).model_copy(update={wrong: bad})
    server = RpcServer(house.entry, GrpcConfig(address=Address("127.0.0.1", 0), tls=tls))
    with pytest.raises(OSError, match=r"bad\.pem"):
        await server.start()
    bad.unlink()
    with pytest.raises(OSError, match=r"bad\.pem.*No such file"):
        await server.start()


async def test_key_of_another_certificate(house: House, papers: Papers, tmp_path: Path) -> None:
    """A private key that does not belong to the certificate fails the start."""
    other = tmp_path / "other.key"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(other)
    tls = papers.server().model_copy(update={"private_key": other})
    server = RpcServer(house.entry, GrpcConfig(address=Address("127.0.0.1", 0), tls=tls))
    with pytest.raises(OSError, match=r"other\.key: .*mismatch"):
        await server.start()
