"""The parameters that ride in a model's name, as in `long:tokens=500,delay=0.02`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.providers.sim.errors import ApiError

Values = Mapping[str, float]
"""What a script reads: each parameter that was given or has a default."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number between `least` and `most`, both included; left out where it is not given and `default` is None."""

    about: str
    default: float | None
    least: float
    most: float
    whole: bool = False


COMMON: Final[Mapping[str, Parameter]] = {
    "wait": Parameter("seconds before the answer begins", 0, 0, 600),
    "delay": Parameter("seconds between the events of a stream", 0, 0, 60),
    "seed": Parameter("makes ids repeatable, as `seed` in the request does", None, -(2**63), 2**63 - 1, whole=True),
}
"""What every script takes."""


def split(model: str) -> tuple[str, dict[str, str]]:
    """Part a name from its parameters. Raises `ApiError` (400) where they are not written as `key=value`."""
    name, colon, tail = model.partition(":")
    given: dict[str, str] = {}
    for item in tail.split(",") if colon else ():
        key, equals, value = item.partition("=")
        if not equals or key in given:
            raise _bad(f"`{item}` in `{model}` is not a parameter: write `name:key=value,key=value`, each key once.")
        given[key] = value
    return name, given


def read(name: str, given: Mapping[str, str], known: Mapping[str, Parameter]) -> Values:
    """The values of `known`, as `given` or by default. Raises `ApiError` (400)."""
    unknown = given.keys() - known.keys()
    if unknown:
        takes = ", ".join(f"`{key}`" for key in known)
        raise _bad(f"`{name}` does not take `{min(unknown)}`; it takes {takes}.")
    values = {key: parameter.default for key, parameter in known.items() if parameter.default is not None}
    for key, text in given.items():
        values[key] = _number(key, text, known[key])
    return values


def _number(key: str, text: str, parameter: Parameter) -> float:
    kind = "a whole number" if parameter.whole else "a number"
    try:
        value = int(text) if parameter.whole else float(text)
    except ValueError:
        raise _bad(f"`{key}` must be {kind}, not `{text}`.") from None
    # Written so that NaN is out of bounds.
    if not parameter.least <= value <= parameter.most:
        raise _bad(f"`{key}` must be {kind} between {parameter.least} and {parameter.most}, not `{text}`.")
    return value


def _bad(message: str) -> ApiError:
    return ApiError(400, message, param="model", code="invalid_model_parameter")
