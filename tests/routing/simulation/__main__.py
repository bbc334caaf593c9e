"""Writes the tables of docs/routing.md anew: `PYTHONPATH=tests python -m routing.simulation`."""

from __future__ import annotations

from routing.simulation.page import PAGE, with_tables

PAGE.write_text(with_tables(PAGE.read_text()))
