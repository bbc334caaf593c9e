"""What a gateway says on stdout when it takes calls: where it is, and how to call it."""

from __future__ import annotations

import sys
from importlib import metadata

from trunkline.app import Listening
from trunkline.config.address import Address


def announce(listening: Listening) -> None:
    """Write it, with the ports that were taken."""
    sys.stdout.write(_text(listening))
    sys.stdout.flush()


def _text(listening: Listening) -> str:
    config = listening.config
    url = f"{'http' if config.http.tls is None else 'https'}://{reachable(config.http.address, listening.http_port)}"
    address = reachable(config.grpc.address, listening.grpc_port)
    tls = "" if config.grpc.tls is None else " --tls"
    bearer = ' \\\n    -H "authorization: Bearer $TRUNKLINE_KEY"' if config.keys else ""
    key = 'os.environ["TRUNKLINE_KEY"]' if config.keys else '"none"'
    access = "" if config.keys else "\nThere are no keys: every program on this machine may use it.\n"
    return f"""\
Trunkline {metadata.version("trunkline")} takes calls.

  HTTP       {url}
  gRPC       {address}
  providers  {", ".join(listening.providers)}
{access}
Call it:

  curl {url}/v1/chat/completions{bearer} \\
    -H "content-type: application/json" \\
    -d '{{"model": "sim/echo", "messages": [{{"role": "user", "content": "Hello"}}]}}'

  OpenAI(base_url="{url}/v1", api_key={key})

  trunkline chat Hello --grpc {address}{tls}
"""


def reachable(address: Address, port: int) -> Address:
    """Where to call what listens on `address`: one that stands for every interface is reached by loopback."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is compared, not listened on
    return Address(everywhere.get(address.host, address.host), port)
