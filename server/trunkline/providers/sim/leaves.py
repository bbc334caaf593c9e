"""The numbers and texts of a value made from a JSON Schema."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

MOST_TEXT: Final = 100_000
"""The longest text that a schema can ask for, in characters."""

_EPOCH = datetime(2025, 1, 1, 9, tzinfo=UTC)

_FORMATS: Final[dict[str, Callable[[int], str]]] = {
    "date-time": lambda nth: (_EPOCH + timedelta(hours=nth)).isoformat().replace("+00:00", "Z"),
    "date": lambda nth: (_EPOCH + timedelta(days=nth)).date().isoformat(),
    "time": lambda nth: (_EPOCH + timedelta(seconds=nth)).time().isoformat() + "Z",
    "duration": lambda nth: f"PT{nth + 1}H",
    "email": lambda nth: f"user{nth + 1}@example.com",
    "hostname": lambda nth: f"host{nth + 1}.example.com",
    "uri": lambda nth: f"https://example.com/{nth + 1}",
    "ipv4": lambda nth: f"10.0.{nth // 254 % 256}.{nth % 254 + 1}",
    "ipv6": lambda nth: f"2001:db8::{nth % 65535 + 1:x}",
    "uuid": lambda nth: str(uuid.UUID(int=nth + 1, version=4)),
}


class NoValueError(Exception):
    """Nothing satisfies this part of the schema."""


def size(schema: dict[str, Any], key: str) -> int | None:
    """The keyword `key`, a count; None where it is absent or no count."""
    value = schema.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def text(schema: dict[str, Any], name: str, nth: int) -> str:
    """A text: of the format asked for, or else made of `name`."""
    least, most = size(schema, "minLength") or 0, size(schema, "maxLength")
    if least > MOST_TEXT:
        raise NoValueError(f"`{name}` must be longer than {MOST_TEXT} characters")
    if most is not None and most < least:
        raise NoValueError(f"`{name}` must be longer than it may be")
    kind = schema.get("format")
    make = _FORMATS.get(kind) if isinstance(kind, str) else None
    if make is not None:
        formatted = make(nth)
        if len(formatted) >= least and (most is None or len(formatted) <= most):
            return formatted
    plain = f"{nth + 1} {name}" if nth else name
    return plain.ljust(least, "x")[:most]


def number(schema: dict[str, Any], nth: int, *, whole: bool) -> int | float:
    """A number within the bounds asked for: the `nth` from the lowest, from the highest, or from 1."""
    low, above = _bound(schema, "minimum", "exclusiveMinimum", max)
    high, below = _bound(schema, "maximum", "exclusiveMaximum", min)
    step = _fraction(schema.get("multipleOf"))
    dense = step is None and not whole
    step = step if step is not None and step > 0 else Fraction(1)
    if whole:
        step = Fraction(step.numerator)
    if low is None and high is not None:
        found = math.floor(high / step) * step
        return _plain(found - step * (nth + (below and found == high)))
    if low is None:
        low, above = Fraction(1), False
    found = math.ceil(low / step) * step
    found += step * (nth + (above and found == low))
    if high is not None and (found > high or (below and found == high)):
        if not dense or low > high or (low == high and (above or below)):
            raise NoValueError(f"no number lies between {_plain(low)} and {_plain(high)}")
        found = low + (high - low) * Fraction(nth + 1, nth + 2)
    return _plain(found)


def _bound(
    schema: dict[str, Any], inclusive: str, exclusive: str, tighter: Callable[[Fraction, Fraction], Fraction]
) -> tuple[Fraction | None, bool]:
    """A bound, and whether it is itself out of bounds."""
    closed, opened = _fraction(schema.get(inclusive)), _fraction(schema.get(exclusive))
    # Draft 4 says so with a boolean.
    if schema.get(exclusive) is True:
        return closed, True
    if closed is None or opened is None:
        return (opened, True) if closed is None else (closed, False)
    return tighter(closed, opened), closed == opened or tighter(closed, opened) == opened


def _fraction(value: object) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # By its digits, so that 0.1 is a tenth.
    return Fraction(str(value))


def _plain(value: Fraction) -> int | float:
    if value.denominator == 1:
        return value.numerator
    try:
        return float(value)
    except OverflowError:
        raise NoValueError("a number is out of range") from None
