"""The page about the simulated models says what there is."""

from __future__ import annotations

import re
from pathlib import Path

from trunkline.providers.sim.catalogue import MODELS
from trunkline.providers.sim.faults import FAULTS
from trunkline.providers.sim.parameters import COMMON, Parameter
from trunkline.providers.sim.scripts import SCRIPTS

_PAGE = Path(__file__).parents[3] / "docs" / "sim.md"


def _rows(heading: str) -> list[list[str]]:
    """The cells of the rows of the first table under a heading."""
    section = _PAGE.read_text().split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def _told(parameter: Parameter) -> tuple[str, str, str]:
    default = "none" if parameter.default is None else f"{parameter.default:g}"
    return parameter.about, default, f"{parameter.least:,} to {parameter.most:,}"


def test_every_model_is_described() -> None:
    """The tables of scripts and of faults hold each model, in order, with its description."""
    told = [(re.sub("`", "", cells[0]), cells[1]) for cells in _rows("Scripts") + _rows("Faults")]
    assert told == list(MODELS.items())


def test_every_parameter_is_described() -> None:
    """The table of parameters holds each parameter with its meaning, default and bounds, and who takes it."""
    owners: dict[tuple[str, tuple[str, str, str]], list[str]] = {}
    for key, parameter in COMMON.items():
        owners[key, _told(parameter)] = ["every model"]
    own = {name: script.parameters for name, script in SCRIPTS.items()}
    own |= {f"fault/{name}": fault.parameters for name, fault in FAULTS.items()}
    for name, parameters in own.items():
        for key, parameter in parameters.items():
            owners.setdefault((key, _told(parameter)), []).append(f"`{name}`")
    told = [(cells[0].strip("`"), (cells[1], cells[2], cells[3]), cells[4]) for cells in _rows("Parameters")]
    assert told == [(key, about, ", ".join(names)) for (key, about), names in owners.items()]
