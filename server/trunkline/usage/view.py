"""Whose usage a caller may see."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.call import ANYONE, Caller
from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

View = Mapping[str, str]
"""Columns of `ledger_entries` and of its sums, each with the only value that may be seen."""


def view_of(caller: Caller) -> View:
    """What `caller` may see: an admin everything, others what they used themselves, by whichever key of theirs.

    Raises `GatewayError` (PERMISSION_DENIED) for who has no id that calls are recorded under.
    """
    if caller.admin:
        return {}
    if caller.user_id:
        return {"user_id": caller.user_id}
    if caller.key_id:
        return {"key_id": caller.key_id}
    if caller == ANYONE:
        # Where no key is needed, all calls are everyone's; what keys were used for before stays theirs.
        return {"key_id": "", "user_id": ""}
    raise GatewayError(
        errors_pb2.ERROR_REASON_PERMISSION_DENIED,
        "The key has no id under which its calls are recorded. Ask with an admin's key.",
    )
