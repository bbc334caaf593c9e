"""References to the environment and to files inside text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config.reference import LARGEST, BadReferenceError, resolve

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


@pytest.mark.parametrize(
    "text", ["${", "${A", "a ${ b", "${}", "${A-d}", "${1A}", "${A B}", "${:-d}", "${file:}", "${file:a"]
)
def test_refuses_half_a_reference(text: str) -> None:
    """`${` always begins a reference, so that a slip of the finger is no value."""
    with pytest.raises(BadReferenceError, match=r"holds `\$\{` without"):
        resolve(text, ENVIRON)


def test_refuses_a_missing_variable() -> None:
    """A variable that is not set is named, with both remedies."""
    with pytest.raises(BadReferenceError, match=r"`NONE`, which is not set; set it, or give a default as `\$\{NONE:-"):
        resolve("${NONE}", ENVIRON)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"s3cret", "s3cret"),
        (b"s3cret\n", "s3cret"),
        (b"s3cret\r\n", "s3cret"),
        (b"s3cret\n\n", "s3cret\n"),
        (b"${A}$$", "${A}$$"),
        (b"", ""),
        (b"x" * LARGEST, "x" * LARGEST),
    ],
)
def test_reads_a_file(tmp_path: Path, content: bytes, text: str) -> None:
    """A file stands for its content, to which one line end at its end does not belong, and which refers to nothing."""
    path = tmp_path / "a secret:-1"
    path.write_bytes(content)
    assert resolve(f"<${{file:{path}}}>", {"A": "x"}) == (f"<{text}>", True)


def test_refuses_a_file_without_telling_its_content(tmp_path: Path) -> None:
    """A file that is not there, is no file, no text or too large is named; nothing of it is told."""
    missing, large, binary = tmp_path / "missing", tmp_path / "large", tmp_path / "binary"
    large.write_bytes(b"s3cret" + b"x" * LARGEST)
    binary.write_bytes(b"s3cret\xff")
    for path, why in (
        (missing, "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (large, "is larger than 65536 bytes"),
        (binary, "is not UTF-8 text"),
        ("a\0b", "holds a NUL"),
    ):
        with pytest.raises(BadReferenceError, match=why) as caught:
            resolve(f"${{file:{path}}}", {})
        assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r}"


@given(st.text())
def test_any_text_can_be_written(text: str) -> None:
    """Doubling each `$` keeps any text as it is."""
    assert resolve(text.replace("$", "$$"), {}) == (text, False)
