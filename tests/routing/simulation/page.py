"""The tables of docs/routing.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from routing.simulation.scenarios import TABLES

PAGE: Final = Path(__file__).parents[3] / "docs" / "routing.md"

_PLACE: Final = "(<!-- simulated: {} -->\n).*?(<!-- end -->)"


def with_tables(text: str) -> str:
    """The page with its tables as the simulation makes them now. Raises `ValueError` where it has no place for one."""
    for make in TABLES:
        table = make()
        place = re.compile(_PLACE.format(table.name), re.DOTALL)
        if not place.search(text):
            raise ValueError(f"the page has no place for the table `{table.name}`")
        text = place.sub(lambda found, told=table.text: f"{found[1]}\n{told}\n\n{found[2]}", text)
    return text
