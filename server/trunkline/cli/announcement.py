"""What a gateway says on stdout when it takes calls: where it is, and how to call it."""

from __future__ import annotations

import sys
from importlib import metadata

from trunkline.app import Listening
from trunkline.cli.terminal import stderr
from trunkline.config.address import Address
from trunkline.store.engine import MEMORY


def announce(listening: Listening) -> None:
    """Write it, with the ports that were taken, and the admin's key where it was just made."""
    sys.stdout.write(_text(listening))
    sys.stdout.flush()
    show_admin_key(listening)


def show_admin_key(listening: Listening) -> None:
    """Write the admin's key to stderr where it was just made: nobody can tell it later."""
    if listening.admin_key is not None:
        from rich.panel import Panel
        from rich.text import Text

        url = listening.config.store.url
        forgotten = url is not None and url.get_secret_value() == MEMORY
        keep = (
            f"is gone when\nthe gateway ends, as all keys are: `store.url` is `{MEMORY}`:"
            if forgotten
            else "is shown this once. Keep it in a safe place:"
        )
        told = (
            f"{listening.admin_key}\n\nIt makes and changes keys, and {keep}\n"
            "TRUNKLINE_KEY=... trunkline keys create NAME"
        )
        stderr().print(Panel(Text(told), title="The admin's key", expand=False, padding=(1, 2)))


def _text(listening: Listening) -> str:
    config = listening.config
    url = f"{'http' if config.http.tls is None else 'https'}://{reachable(config.http.address, listening.http_port)}"
    address = reachable(config.grpc.address, listening.grpc_port)
    tls = "" if config.grpc.tls is None else " --tls"
    bearer = "" if listening.open else ' \\\n    -H "authorization: Bearer $TRUNKLINE_KEY"'
    key = '"none"' if listening.open else 'os.environ["TRUNKLINE_KEY"]'
    access = "\nThere are no keys: every program on this machine may use it.\n" if listening.open else ""
    return f"""\
Trunkline {metadata.version("trunkline")} takes calls.

  HTTP       {url}
  gRPC       {address}
{_admin(listening)}  providers  {", ".join(listening.providers)}
{access}
Call it:

  curl {url}/v1/chat/completions{bearer} \\
    -H "content-type: application/json" \\
    -d '{{"model": "sim/echo", "messages": [{{"role": "user", "content": "Hello"}}]}}'

  OpenAI(base_url="{url}/v1", api_key={key})

  trunkline chat Hello --grpc {address}{tls}
"""


def _admin(listening: Listening) -> str:
    """Where admins manage it, where that is an address of its own."""
    access = listening.config.access
    places = []
    if access.admin_address is not None and listening.admin_port is not None:
        scheme = "http" if listening.config.http.tls is None else "https"
        places.append(f"{scheme}://{reachable(access.admin_address, listening.admin_port)}")
    if access.admin_grpc_address is not None and listening.admin_grpc_port is not None:
        places.append(f"{reachable(access.admin_grpc_address, listening.admin_grpc_port)} over gRPC")
    return f"  admins     {', '.join(places)}\n" if places else ""


def reachable(address: Address, port: int) -> Address:
    """Where to call what listens on `address`: one that stands for every interface is reached by loopback."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is compared, not listened on
    return Address(everywhere.get(address.host, address.host), port)
