"""What reaches a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.cli.terminal import printable, stdout, table


@given(st.text())
def test_no_control_character_reaches_a_terminal(text: str) -> None:
    """Whatever a model writes, a terminal is given nothing to obey but line ends and tabs."""
    shown = printable(text)
    assert not {each for each in shown if unicodedata.category(each) == "Cc"} - {"\n", "\t"}


@given(st.text(st.characters(exclude_categories=["Cc"])))
def test_other_text_is_shown_as_it_is(text: str) -> None:
    """Text without control characters is not changed."""
    assert printable(text) == text


def test_an_escape_sequence_is_shown_rather_than_obeyed() -> None:
    """The escape that would clear the screen becomes a visible mark."""
    assert printable("a\x1b[2Jb\r\n") == "a\N{REPLACEMENT CHARACTER}[2Jb\n"


def test_a_table_that_is_piped_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no terminal shows it, a row is one line however long, without colours."""
    grid = table("NAME", "TEXT")
    grid.add_row("n" * 100, "t" * 300)
    stdout().print(grid)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].split() == ["n" * 100, "t" * 300]
