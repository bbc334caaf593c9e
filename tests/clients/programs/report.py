"""What a program is told, and what it tells."""

import json
import sys
from typing import Any


def arguments() -> tuple[str, dict[str, str]]:
    """The gateway's address, and the model for each thing to try."""
    return sys.argv[1], json.loads(sys.argv[2])


def report(**results: Any) -> None:
    """Tell what came of it."""
    print(json.dumps(results, default=str))
