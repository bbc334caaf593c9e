"""Who may manage the gateway."""

from __future__ import annotations

from trunkline.call import Call
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2


def check_admin(call: Call) -> None:
    """Raise `GatewayError` (PERMISSION_DENIED) unless an admin's key was presented."""
    if not call.owner.admin:
        raise GatewayError(errors_pb2.ERROR_REASON_PERMISSION_DENIED, "This takes an admin's key.")
