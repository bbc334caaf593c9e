"""What may stand in the fields of keys and of their owners, and how some of them are changed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask

from trunkline.access.limits.model import MOST
from trunkline.errors import GatewayError, invalid_request
from trunkline.v1.keys_pb2 import Key, Limits, Organization, Team, User

Managed = TypeVar("Managed", Key, Organization, Team, User)

SURFACES: Final = ("anthropic", "gemini", "grpc", "native", "openai", "responses")

_LONGEST_NAME: Final = 128
_LONGEST_PATTERN: Final = 256
_LONGEST_TAG: Final = 64
_LONGEST_NOTE: Final = 1024
_MOST_PATTERNS: Final = 500
_MOST_TAGS: Final = 50
_MOST_NOTES: Final = 50
_LONGEST_BUDGET: Final = 366

_FIXED: Final = frozenset({"id", "admin", "user_id", "team_id", "organization_id", "prefix"})
_TOLD: Final = frozenset({"create_time", "update_time", "last_use_time", "old_secret_expire_time"})
"""What is told and not taken: whoever sends back what he got means no change of it."""


def check(message: Key | Organization | Team | User, plans: Iterable[str]) -> None:
    """Raise `GatewayError` (INVALID_REQUEST) where a field cannot be so."""
    at = type(message).__name__.lower()
    _text(message.name, f"{at}.name", _LONGEST_NAME)
    for field, values, most, longest in (
        ("models", message.models, _MOST_PATTERNS, _LONGEST_PATTERN),
        ("providers", message.providers, _MOST_PATTERNS, _LONGEST_PATTERN),
        ("tags", message.tags, _MOST_TAGS, _LONGEST_TAG),
    ):
        _texts(values, f"{at}.{field}", most, longest, pattern=field != "tags")
    _notes(message.metadata, f"{at}.metadata")
    _limits(message.limits, f"{at}.limits")
    if isinstance(message, Key | User) and message.plan and message.plan not in plans:
        raise invalid_request(f"The plan `{message.plan[:128]}` is not configured.", f"{at}.plan")
    if isinstance(message, Key):
        for surface in message.surfaces:
            if surface not in SURFACES:
                known = ", ".join(f"`{one}`" for one in SURFACES)
                raise invalid_request(f"There is no surface `{surface[:64]}`; there are {known}.", "key.surfaces")
        if message.dialect:
            _text(message.dialect, "key.dialect", _LONGEST_TAG)
    if isinstance(message, User) and message.subject:
        _text(message.subject, "user.subject", 2 * _LONGEST_NAME)
        if not all(message.subject.partition(":")):
            raise invalid_request("`user.subject` must be the issuer's name, a colon and a `sub`.", "user.subject")


def check_expiry(key: Key, now: float | None = None) -> None:
    """Raise `GatewayError` (INVALID_REQUEST) where a key would have ended already."""
    if key.HasField("expire_time") and key.expire_time.seconds <= (time.time() if now is None else now):
        raise invalid_request("`key.expire_time` must be in the future.", "key.expire_time")


def assign(target: Managed, source: Managed, mask: FieldMask) -> None:
    """Set the fields of `mask` in `target` as they are in `source`; those that are set there where there is no mask.

    Raises `GatewayError` (INVALID_REQUEST) for a field that there is not, or that cannot be changed.
    """
    kind = type(target).__name__.lower()
    fields = target.DESCRIPTOR.fields_by_name
    paths = list(mask.paths) or [field.name for field, _ in source.ListFields() if field.name not in ("id", *_TOLD)]
    if paths == ["*"]:
        paths = [name for name in fields if name not in _FIXED | _TOLD]
    for path in paths:
        name, _, inner = path.partition(".")
        field = fields.get(name)
        if field is None or (inner and (name != "limits" or inner not in Limits.DESCRIPTOR.fields_by_name)):
            raise invalid_request(f"A {kind} has no field `{path[:128]}`.", "update_mask")
        if name in _TOLD:
            continue
        if name in _FIXED:
            if getattr(source, name) == getattr(target, name):
                continue
            raise invalid_request(f"`{kind}.{name}` cannot be changed.", f"{kind}.{name}")
        if inner:
            _set(target.limits, source.limits, Limits.DESCRIPTOR.fields_by_name[inner])
        else:
            _set(target, source, field)


def standard(key: Key) -> None:
    """Limits for a key that has none, as Routic has them, and the most that it may have. Raises `GatewayError`
    (INVALID_REQUEST) where it has more."""
    limits = key.limits
    for field, default, most in (
        ("requests_per_minute", 100, 1_000),
        ("tokens_per_minute", 10_000, 100_000),
        ("budget_nano_usd", 100 * 10**9, 1_000 * 10**9),
        ("budget_days", 30, 90),
    ):
        if not limits.HasField(field):  # type: ignore[arg-type] # the stub has each name as a literal
            setattr(limits, field, default)
        elif getattr(limits, field) > most:
            raise _refused(f"key.limits.{field}", f"must be at most {most}, as `access.standard_limits` has it")


def _set(target: Any, source: Any, field: FieldDescriptor) -> None:
    name = field.name
    target.ClearField(name)
    if field.is_repeated or field.message_type is not None:
        if field.is_repeated or source.HasField(name):
            getattr(target, name).MergeFrom(getattr(source, name))
    elif not field.has_presence or source.HasField(name):
        setattr(target, name, getattr(source, name))


def _limits(limits: Limits, at: str, *, inner: bool = False) -> None:
    for field, value in limits.ListFields():
        if field.name == "models":
            continue
        if not 0 <= value <= MOST:
            raise _refused(f"{at}.{field.name}", f"must be from 0 to {MOST}")
    if limits.HasField("budget_days") and not 1 <= limits.budget_days <= _LONGEST_BUDGET:
        raise _refused(f"{at}.budget_days", f"must be from 1 to {_LONGEST_BUDGET}")
    if inner and limits.models:
        raise _refused(f"{at}.models", "must be empty: a model has no models of its own")
    _texts(list(limits.models), f"{at}.models", _MOST_PATTERNS, _LONGEST_PATTERN, pattern=True)
    for model, each in limits.models.items():
        _limits(each, f"{at}.models.{model}", inner=True)


def _texts(values: Sequence[str], at: str, most: int, longest: int, *, pattern: bool) -> None:
    if len(values) > most:
        raise _refused(at, f"must hold at most {most}")
    for index, value in enumerate(values):
        _text(value, f"{at}[{index}]", longest)
        if pattern and any(mark in value for mark in "?[]"):
            raise _refused(f"{at}[{index}]", "must be a name, in which `*` alone stands for anything")


def _notes(notes: Mapping[str, str], at: str) -> None:
    if len(notes) > _MOST_NOTES:
        raise _refused(at, f"must hold at most {_MOST_NOTES}")
    for name, value in notes.items():
        _text(name, at, _LONGEST_TAG)
        if len(value) > _LONGEST_NOTE:
            raise _refused(f"{at}.{name}", f"must have at most {_LONGEST_NOTE} characters")


def _text(value: str, at: str, longest: int) -> None:
    if not value.strip() or len(value) > longest or not value.isprintable():
        raise _refused(at, f"must be 1 to {longest} characters that can be printed")


def _refused(at: str, problem: str) -> GatewayError:
    return invalid_request(f"`{at[:256]}` {problem}.", at[:256])
