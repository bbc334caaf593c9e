"""References to the environment inside text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config.reference import BadReferenceError, resolve

ENVIRON = {"A": "x", "EMPTY": "", "B_2": "${A}"}


@pytest.mark.parametrize(
    ("text", "result", "found"),
    [
        ("plain", "plain", False),
        ("${A}", "x", True),
        ("Bearer ${A}!${A}", "Bearer x!x", True),
        ("${EMPTY}", "", True),
        ("${EMPTY:-d}", "d", True),
        ("${NONE:-d}", "d", True),
        ("${NONE:-}", "", True),
        ("${NONE:-http://h:1/v1}", "http://h:1/v1", True),
        ("${A:-d}", "x", True),
        ("${B_2}", "${A}", True),
        ("$${A}", "${A}", False),
        ("$$$${A}", "$${A}", False),
        ("$$${A}", "$x", True),
        ("$A $ 5$", "$A $ 5$", False),
    ],
)
def test_resolves(text: str, result: str, found: bool) -> None:
    """References are replaced once, `$$` is a `$`, any other `$` stands for itself."""
    assert resolve(text, ENVIRON) == (result, found)


@pytest.mark.parametrize("text", ["${", "${A", "a ${ b", "${}", "${A-d}", "${1A}", "${A B}", "${:-d}"])
def test_refuses_half_a_reference(text: str) -> None:
    """`${` always begins a reference, so that a slip of the finger is no value."""
    with pytest.raises(BadReferenceError, match=r"holds `\$\{` without"):
        resolve(text, ENVIRON)


def test_refuses_a_missing_variable() -> None:
    """A variable that is not set is named, with both remedies."""
    with pytest.raises(BadReferenceError, match=r"`NONE`, which is not set; set it, or give a default as `\$\{NONE:-"):
        resolve("${NONE}", ENVIRON)


@given(st.text())
def test_any_text_can_be_written(text: str) -> None:
    """Doubling each `$` keeps any text as it is."""
    assert resolve(text.replace("$", "$$"), {}) == (text, False)
