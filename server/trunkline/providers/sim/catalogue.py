"""The simulated models: their names, what each does, and how a name is read."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

from trunkline.providers.sim import embeddings
from trunkline.providers.sim.errors import ApiError
from trunkline.providers.sim.faults import FAULTS, Fault
from trunkline.providers.sim.parameters import COMMON, Values, read, split
from trunkline.providers.sim.scripts import SCRIPTS, Script

FAULT: Final = "fault/"
"""How the names of the faults begin."""

MODELS: Final[dict[str, str]] = {
    **{name: script.about for name, script in SCRIPTS.items()},
    embeddings.MODEL: embeddings.ABOUT,
    **{FAULT + name: fault.about for name, fault in FAULTS.items()},
}
"""Every model and what it does."""

_LONGEST = 256
"""The longest name that is read, in characters."""


@dataclass(frozen=True, slots=True)
class Play:
    """What a name stands for: a script, the fault that spoils it and the parameters of both."""

    script: Script
    fault: Fault | None
    values: Values


@lru_cache(maxsize=512)
def find(model: str) -> Play:
    """What to play for `model`. Raises `ApiError`: 404 for an unknown name, 400 for a wrong parameter."""
    if len(model) > _LONGEST:
        raise ApiError(404, "No model has so long a name.", code="model_not_found")
    name, given = split(model)
    if name in SCRIPTS:
        script = SCRIPTS[name]
        return Play(script, None, read(name, given, {**COMMON, **script.parameters}))
    fault_name, _, script_name = name.removeprefix(FAULT).partition("/")
    fault = FAULTS.get(fault_name)
    if not name.startswith(FAULT) or fault is None:
        raise _unknown(name)
    if script_name and (fault.script is not None or script_name not in SCRIPTS):
        raise _unknown(name)
    script = fault.script or SCRIPTS[script_name or "echo"]
    return Play(script, fault, read(name, given, {**COMMON, **script.parameters, **fault.parameters}))


def _unknown(name: str) -> ApiError:
    near = get_close_matches(name, MODELS, n=3, cutoff=0.5)
    hint = " Did you mean " + " or ".join(f"`{one}`" for one in near) + "?" if near else ""
    return ApiError(404, f"The model `{name}` does not exist.{hint}", code="model_not_found", param="model")
