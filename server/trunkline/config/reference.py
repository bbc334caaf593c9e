"""References to environment variables inside text: `${NAME}`, `${NAME:-default}`, and `$$` for a `$`."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\{(?P<body>[^}]*)(?P<end>\}?))")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


class BadReferenceError(Exception):
    """A reference cannot be resolved; the message tells why, and no value."""


def resolve(text: str, environ: Mapping[str, str]) -> tuple[str, bool]:
    """`text` with its references replaced, and whether it had any.

    A default stands in for a variable that is unset or empty. Any other `$` stands for itself. Raises
    `BadReferenceError`.
    """
    found = False

    def replace(match: re.Match[str]) -> str:
        nonlocal found
        if match["body"] is None:
            return "$"
        found = True
        body = _BODY.fullmatch(match["body"])
        if body is None or not match["end"]:
            raise BadReferenceError(
                "holds `${` without `NAME}` or `NAME:-default}` after it; write `$${` for a plain `${`"
            )
        name, default = body["name"], body["default"]
        value = environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise BadReferenceError(
                f"refers to the environment variable `{name}`, which is not set; "
                f"set it, or give a default as `${{{name}:-default}}`"
            )
        return value

    return _REFERENCE.sub(replace, text), found
