"""The certificates that a gRPC server presents and asks for."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc

from trunkline.config.model import TlsConfig


def server_credentials(config: TlsConfig) -> grpc.ServerCredentials:
    """Read the files that `config` names. Raises `OSError` where one cannot be read, or where they do not fit."""
    authorities = None
    try:
        certificate, private_key = Path(config.certificate).read_bytes(), Path(config.private_key).read_bytes()
        # grpc tells only that it failed. A password is never asked for: there is no one to type it.
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trial.load_cert_chain(config.certificate, config.private_key, password=lambda: "")
    except OSError as error:
        raise OSError(
            error.errno,
            f"gRPC cannot serve TLS with certificate {config.certificate} and private key {config.private_key}: "
            f"{error.strerror or error}",
        ) from None
    if config.client_ca is not None:
        try:
            authorities = Path(config.client_ca).read_bytes()
            trial.load_verify_locations(config.client_ca)
        except OSError as error:
            raise OSError(
                error.errno, f"gRPC cannot read client authorities of {config.client_ca}: {error.strerror or error}"
            ) from None
    return grpc.ssl_server_credentials(
        [(private_key, certificate)], root_certificates=authorities, require_client_auth=authorities is not None
    )
