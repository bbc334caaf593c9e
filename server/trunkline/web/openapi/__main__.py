"""Writes the OpenAPI document, or checks that the one there is up to date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from trunkline.services import SERVICES
from trunkline.web.openapi.build import build
from trunkline.web.openapi.comments import comments_of, compile_protos


def main() -> int:
    """Run the command; the exit status is 1 where `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m trunkline.web.openapi", description=__doc__)
    parser.add_argument("path", type=Path, help="the file to write")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where the file is out of date")
    parser.add_argument("--protos", type=Path, default=Path("protos"), help="the folder of the proto files")
    arguments = parser.parse_args()
    files = sorted(arguments.protos.rglob("*.proto"))
    document = build(SERVICES, comments_of(compile_protos(arguments.protos, files)))
    path: Path = arguments.path
    if arguments.check:
        if path.is_file() and path.read_bytes() == document:
            return 0
        print(f"{path} is out of date: run ./scripts/generate", file=sys.stderr)
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
