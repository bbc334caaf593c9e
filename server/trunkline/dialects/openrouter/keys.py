"""Keys as OpenRouter tells of them, and what it takes to make and to change one.

https://openrouter.ai/docs/api/api-reference/api-keys/list. Its limits are dollars that begin anew each day, week or
month (UTC), or never do; a week is any seven days here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.dialects.wire import Json, Object
from trunkline.errors import invalid_request
from trunkline.v1.keys_pb2 import Key, Limits

_NANO: Final = 1_000_000_000
_WEEK: Final = 7

_FIELDS: Final = {
    None: "total_nano_usd",
    "daily": "daily_nano_usd",
    "weekly": "budget_nano_usd",
    "monthly": "monthly_nano_usd",
}


class Spent(NamedTuple):
    """What was spent, in billionths of a dollar: today, this week, this month, in all."""

    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    total: int = 0


class Budget(NamedTuple):
    """A limit of money, in billionths of a dollar; `reset` is OpenRouter's word for when it begins anew."""

    most: int
    remaining: int
    reset: str | None


def encode_key(key: Key, spent: Spent, budget: Budget | None) -> dict[str, Json]:
    """A key as a list of them has it. Its `hash` is the id; nothing tells the secret."""
    return {
        "hash": key.id,
        "name": key.name,
        "label": f"{key.prefix}...",
        "disabled": key.disabled,
        **_money(spent, budget),
        "include_byok_in_limit": False,
        "created_at": _time(key.create_time) if key.HasField("create_time") else None,
        "updated_at": _time(key.update_time) if key.HasField("update_time") else None,
        "expires_at": _time(key.expire_time) if key.HasField("expire_time") else None,
        "creator_user_id": key.user_id or None,
        "workspace_id": key.organization_id or None,
    }


def encode_current(label: str, spent: Spent, budget: Budget | None, *, admin: bool, user: str, expires: Json) -> Json:
    """The key that is called with."""
    return {
        "data": {
            "label": label,
            **_money(spent, budget),
            "include_byok_in_limit": False,
            "is_free_tier": False,
            "is_management_key": admin,
            "is_provisioning_key": admin,
            "expires_at": expires,
            "creator_user_id": user or None,
            "rate_limit": {"requests": -1, "interval": "10s", "note": "This field is deprecated."},
        }
    }


def budget_of(limits: Limits) -> tuple[int, str | None] | None:
    """The limit that a key has in OpenRouter's words, and when it begins anew; None where it has none of them."""
    if limits.HasField("daily_nano_usd"):
        return limits.daily_nano_usd, "daily"
    if limits.HasField("budget_nano_usd") and limits.budget_days == _WEEK:
        return limits.budget_nano_usd, "weekly"
    if limits.HasField("monthly_nano_usd"):
        return limits.monthly_nano_usd, "monthly"
    return (limits.total_nano_usd, None) if limits.HasField("total_nano_usd") else None


def decode_new(wire: Object) -> Key:
    """The key to make. Raises `GatewayError` (INVALID_REQUEST)."""
    key = Key(name=wire.take_str("name") or "")
    _ = decode_change(wire, key)
    expires = wire.take_str("expires_at")
    if expires:
        key.expire_time.CopyFrom(_parsed(expires))
    key.user_id = wire.take_str("creator_user_id") or ""
    key.organization_id = wire.take_str("workspace_id") or ""
    return key


def decode_change(wire: Object, key: Key) -> list[str]:
    """Put what is to be changed into `key`, of which the rest is as it was; the paths that it is about. Raises
    `GatewayError` (INVALID_REQUEST)."""
    paths: list[str] = []
    fields = dict(wire.fields)
    if "name" in fields:
        key.name = wire.take_str("name") or ""
        paths.append("name")
    if "disabled" in fields:
        key.disabled = bool(wire.take_bool("disabled"))
        paths.append("disabled")
    if "limit" not in fields and "limit_reset" not in fields:
        return paths
    now = budget_of(key.limits)
    limit = wire.take_number("limit", 0, 9_000_000) if "limit" in fields else None if now is None else now[0] / _NANO
    reset = wire.take_str("limit_reset") if "limit_reset" in fields else None if now is None else now[1]
    if reset not in _FIELDS:
        raise invalid_request("`limit_reset` must be `daily`, `weekly`, `monthly` or null.", "limit_reset")
    for field in _FIELDS.values():
        key.limits.ClearField(field)  # type: ignore[arg-type] # the stub has each name as a literal
    key.limits.ClearField("budget_days")
    if limit is not None:
        setattr(key.limits, _FIELDS[reset], round(limit * _NANO))
        if reset == "weekly":
            key.limits.budget_days = _WEEK
    return [*paths, *(f"limits.{field}" for field in _FIELDS.values()), "limits.budget_days"]


def _money(spent: Spent, budget: Budget | None) -> dict[str, Json]:
    told: dict[str, Json] = {
        "limit": None if budget is None else budget.most / _NANO,
        "limit_remaining": None if budget is None else budget.remaining / _NANO,
        "limit_reset": None if budget is None else budget.reset,
    }
    for name, amount in zip(("usage_daily", "usage_weekly", "usage_monthly", "usage"), spent, strict=True):
        told[name] = amount / _NANO
        told[f"byok_{name}"] = 0
    return told


def _time(time: Timestamp) -> str:
    return time.ToDatetime(UTC).isoformat().replace("+00:00", "Z")


def _parsed(text: str) -> Timestamp:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise invalid_request("`expires_at` must be a time such as 2027-12-31T23:59:59Z.", "expires_at") from None
    stamp = Timestamp()
    stamp.FromDatetime(time if time.tzinfo is not None else time.replace(tzinfo=UTC))
    return stamp
