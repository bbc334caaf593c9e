"""Which gateway a command talks to, and how: the arguments, and the client they make."""

from __future__ import annotations

import argparse
import os
import ssl
from pathlib import Path
from typing import Final

from trunkline.cli.client import Client

GRPC_ADDRESS: Final = "127.0.0.1:50051"
"""Where a gateway listens for gRPC unless told otherwise."""

KEY_VARIABLE: Final = "TRUNKLINE_KEY"
"""The environment variable that holds the key, which `--key` overrides."""


class ArgumentsError(Exception):
    """The arguments cannot be used; the message says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which gateway and how."""
    group = parser.add_argument_group("which gateway")
    wire = group.add_mutually_exclusive_group()
    wire.add_argument("--grpc", metavar="HOST:PORT", default=GRPC_ADDRESS, help="over gRPC (default: %(default)s)")
    wire.add_argument("--http", metavar="URL", help="over HTTP, such as http://127.0.0.1:8080")
    group.add_argument(
        "--key", metavar="KEY", help=f"the key to call with; better in {KEY_VARIABLE}, which others cannot see"
    )
    group.add_argument("--tls", action="store_true", help="use TLS for gRPC")
    group.add_argument("--ca", metavar="FILE", type=Path, help="the certificates to trust, in PEM; implies --tls")
    group.add_argument("--cert", metavar="FILE", type=Path, help="the certificate to show, in PEM; implies --tls")
    group.add_argument("--cert-key", metavar="FILE", type=Path, help="the private key of --cert, in PEM")


def key_of(args: argparse.Namespace) -> str:
    """The key to call with, empty where there is none. Raises `ArgumentsError` where it cannot be sent."""
    key: str = args.key if args.key is not None else os.environ.get(KEY_VARIABLE, "")
    key = key.strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ArgumentsError("The key holds characters that no key can hold.")
    return key


def connect(args: argparse.Namespace) -> Client:
    """The client that `args` ask for; no connection is made yet.

    To be called on the event loop. Raises `ArgumentsError` where `args` do not fit or a file cannot be read.
    """
    key = key_of(args)
    if (args.cert is None) != (args.cert_key is None):
        raise ArgumentsError("--cert and --cert-key go together.")
    if args.http is not None:
        return _connect_http(args, key)
    return _connect_grpc(args, key)


def _connect_grpc(args: argparse.Namespace, key: str) -> Client:
    if "://" in args.grpc:
        raise ArgumentsError("--grpc takes HOST:PORT; a URL goes with --http.")
    # gRPC writes what it thinks of a failed connection to stderr, before and besides the error that it raises.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc

    from trunkline.cli.grpc_client import GrpcClient

    credentials = None
    if args.tls or args.ca is not None or args.cert is not None:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_read(args.ca), private_key=_read(args.cert_key), certificate_chain=_read(args.cert)
        )
    return GrpcClient(args.grpc, key, credentials)


def _connect_http(args: argparse.Namespace, key: str) -> Client:
    if not args.http.startswith(("http://", "https://")):
        raise ArgumentsError("--http takes a URL, such as http://127.0.0.1:8080.")
    import httpx

    from trunkline.cli.http_client import HttpClient

    context: ssl.SSLContext | None = None
    if args.http.startswith("https://"):
        try:
            context = ssl.create_default_context(cafile=args.ca)
            if args.cert is not None:
                context.load_cert_chain(args.cert, args.cert_key)
        except OSError as error:
            raise ArgumentsError(f"Cannot use the certificates: {error}.") from None
    try:
        return HttpClient(args.http, key, context)
    except httpx.InvalidURL as error:
        raise ArgumentsError(f"--http: {error}.") from None


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArgumentsError(f"Cannot read {path}: {error.strerror}.") from None
