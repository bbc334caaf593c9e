"""The exit statuses of the program; wrong arguments are 2, as argparse has it."""

from __future__ import annotations

from typing import Final

OK: Final = 0

FAILED: Final = 1
"""The call failed, or the check found something wrong."""

USAGE: Final = 2
"""The arguments are wrong."""

UNREACHABLE: Final = 3
"""No gateway answers at the address."""

INTERRUPTED: Final = 130
"""Ctrl-C, as shells have it: 128 and the number of the signal."""
