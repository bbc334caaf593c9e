"""References inside text: `${NAME}` and `${NAME:-default}` to the environment, `${file:PATH}` to a file's content, and
`$$` for a `$`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

LARGEST: Final = 64 * 1024
"""The most bytes that a file may have which a setting refers to."""

_REFERENCE = re.compile(r"\$(?:\$|\{(?P<body>[^}]*)(?P<end>\}?))")
_FILE = re.compile(r"file:(?P<path>.+)", re.DOTALL)
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


class BadReferenceError(Exception):
    """A reference cannot be resolved; the message tells why, and no value."""


def resolve(text: str, environ: Mapping[str, str]) -> tuple[str, bool]:
    """`text` with its references replaced, and whether it had any.

    A default stands in for a variable that is unset or empty. A file's content is text, without one line end at its
    end; its path is relative to the working directory. Any other `$` stands for itself. Raises `BadReferenceError`.
    """
    found = False

    def replace(match: re.Match[str]) -> str:
        nonlocal found
        if match["body"] is None:
            return "$"
        found = True
        body = match["body"] if match["end"] else ""
        file, variable = _FILE.fullmatch(body), _BODY.fullmatch(body)
        if file is not None:
            return _content(file["path"])
        if variable is not None:
            return _variable(variable, environ)
        raise BadReferenceError(
            "holds `${` without `NAME}`, `NAME:-default}` or `file:PATH}` after it; write `$${` for a plain `${`"
        )

    return _REFERENCE.sub(replace, text), found


def _variable(body: re.Match[str], environ: Mapping[str, str]) -> str:
    name, default = body["name"], body["default"]
    value = environ.get(name)
    if default is not None:
        return value or str(default)
    if value is None:
        raise BadReferenceError(
            f"refers to the environment variable `{name}`, which is not set; "
            f"set it, or give a default as `${{{name}:-default}}`"
        )
    return value


def _content(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise BadReferenceError(f"refers to the file `{path}`, which cannot be read: {error.strerror}") from None
    except ValueError:
        raise BadReferenceError("refers to a file by a path that holds a NUL") from None
    if len(content) > LARGEST:
        raise BadReferenceError(f"refers to the file `{path}`, which is larger than {LARGEST} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise BadReferenceError(f"refers to the file `{path}`, which is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")
