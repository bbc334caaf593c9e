"""Times and spans as people write them."""

from __future__ import annotations

import argparse
import re
import time
from datetime import UTC, datetime
from typing import Final

_UNITS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_BACK: Final = re.compile(r"([0-9]{1,6})([mhdw])")


def moment(text: str) -> int:
    """Seconds since the epoch: of `2026-11-30` or `2026-11-30T12:00:00Z`, UTC unless it says otherwise, or of so long
    ago as `90m`, `24h`, `30d` or `2w`."""
    back = _BACK.fullmatch(text)
    if back is not None:
        return int(time.time()) - int(back[1]) * _UNITS[back[2]]
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        told = f"{text!r} is no time, such as 2026-11-30, 2026-11-30T12:00:00Z or 24h"
        raise argparse.ArgumentTypeError(told) from None
    return int((found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp())
