"""What pydantic finds wrong, in the words of the person who wrote the file."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trunkline.config.problem import Problem, near_miss
from trunkline.config.settings import fields_at

_SHOWN = {
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
    "path_type": "must be the path of a file",
    "path_not_file": "must be the path of a file that exists",
    "shown": "{message}",
}
"""What to say by pydantic's type of error, where the value found is no secret."""

_HIDDEN = {
    "missing": "is required",
    "string_type": "must be text; put it in quotes if it is",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "model_type": "must be a mapping of settings",
    "dict_type": "must be a mapping",
    "list_type": "must be a list",
    "hidden": "{message}",
}
"""The same where the value found may be a secret, perhaps one that went into the wrong place."""


def explain(error: ValidationError) -> Iterator[Problem]:
    """Each thing that pydantic found, less what `cross_check` tells of."""
    for details in error.errors():
        if details["type"] != "inconsistent":
            yield _problem(details)


def _problem(details: ErrorDetails) -> Problem:
    kind, path = details["type"], details["loc"]
    if path[-1:] == ("[key]",):
        path = path[:-1]
    if kind == "extra_forbidden":
        name = str(path[-1])
        known = [field for field in fields_at(path[:-1]) if field != name]
        hint = near_miss(name, known) or f"; there are {', '.join(f'`{field}`' for field in known)}"
        return Problem(path, f"is not a setting{hint}")
    words = {"message": details["msg"], **details.get("ctx", {})}
    if kind == "literal_error":
        words["expected"] = str(words["expected"]).replace("'", "`")
    if kind in _SHOWN:
        return Problem(path, _SHOWN[kind].format(**words), details["input"], shown=True)
    return Problem(path, _HIDDEN.get(kind, "cannot be used").format(**words))
