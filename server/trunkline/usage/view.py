"""Whose usage a caller may see."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.call import ANYONE, Caller

View = Mapping[str, str]
"""Columns of `ledger_entries` and of its sums, each with the only value that may be seen."""


def view_of(caller: Caller) -> View:
    """What `caller` may see: an admin everything, others what they used themselves, by whichever key of theirs."""
    if caller.admin:
        return {}
    if caller.user_id:
        return {"user_id": caller.user_id}
    if caller == ANYONE:
        # Where no key is needed, all calls are everyone's; what keys were used for before stays theirs.
        return {"key_id": "", "user_id": ""}
    return {"key_id": caller.recorded_as}
