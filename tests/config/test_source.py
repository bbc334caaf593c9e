"""Files that cannot be read as settings at all, and YAML that is taken otherwise than YAML has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.config import source
from trunkline.config.load import load
from trunkline.config.problem import ConfigError

from .conftest import Load, Problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "trunkline.yaml: holds no settings"),
        ("# nothing yet\n", "trunkline.yaml: holds no settings"),
        ("\n- http\n", "trunkline.yaml:2: must be a mapping of settings, such as `http: ...`"),
        ("sk-secret", "trunkline.yaml:1: must be a mapping of settings, such as `http: ...`"),
        ("null", "trunkline.yaml:1: must be a mapping of settings, such as `http: ...`"),
        ("http:\n\taddress: x\n", "trunkline.yaml:2: is not valid YAML: a tab where YAML takes spaces only"),
        ("log:\n  level: info\nkeys: [\n", "trunkline.yaml:4: is not valid YAML: "),
        ("log: *nowhere\n", "trunkline.yaml:1: is not valid YAML: found undefined alias"),
        ("log: {}\n---\nlog: {}\n", "trunkline.yaml:2: is not valid YAML: but found another document"),
        ("log: {}\n\x01\n", "trunkline.yaml:2: is not valid YAML: holds a control character"),
        (b"log:\n  level: \xff\n", "trunkline.yaml:2: is not UTF-8 text"),
        ("a: " + "[" * 5000, "trunkline.yaml: is nested too deeply"),
    ],
)
def test_what_is_no_mapping_of_settings(problems: Problems, text: str | bytes, problem: str) -> None:
    """A file that cannot be read is refused by file and line."""
    (found,) = problems(text)
    assert found.startswith(problem)


def test_a_broken_line_is_not_quoted(problems: Problems) -> None:
    """A syntax error tells the line, never what stands on it."""
    (found,) = problems("keys:\n  - name: a\n    key: 'sk-secret\n")
    assert "not valid YAML" in found
    assert "secret" not in found


def test_what_is_no_file(tmp_path: Path) -> None:
    """A missing file and a directory are told apart."""
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "none.yaml", "No such file or directory")):
        with pytest.raises(ConfigError) as raised:
            load(path, {}, {}, ())
        assert raised.value.problems == (f"{path}: cannot be read: {reason}",)


def test_a_file_too_large(problems: Problems) -> None:
    """A file is read up to a bound, so an endless one cannot fill the memory."""
    (found,) = problems(b"#" * (source.LARGEST + 1))
    assert found == f"trunkline.yaml: is larger than {source.LARGEST} bytes"


def test_a_byte_order_mark_is_passed_over(loaded: Load) -> None:
    """Files of Windows editors are taken."""
    assert loaded(b"\xef\xbb\xbflog: {level: debug}\r\n").log.level == "debug"


def test_names_given_twice(problems: Problems) -> None:
    """YAML's last-one-wins would hide a mistake, at every depth."""
    found = problems(
        """
        providers:
          a: {kind: sim}
          b:
            kind: sim
            kind: openai
          a: {kind: openai}
        log: {}
        log: {}
        """
    )
    assert found == [
        "trunkline.yaml:6: `providers.b.kind`: is given twice, first on line 5",
        "trunkline.yaml:7: `providers.a`: is given twice, first on line 3",
        "trunkline.yaml:9: `log`: is given twice, first on line 8",
    ]


def test_names_are_text_as_written(loaded: Load) -> None:
    """A model may be called `on`, `1` or `2024-01-01`."""
    config = loaded("models: {on: &m {targets: [sim/echo]}, 1: *m, 2024-01-01: *m, ~: *m}")
    assert set(config.models) == {"on", "1", "2024-01-01", "~"}


def test_a_date_is_text(loaded: Load) -> None:
    """A value that looks like a date stays as written."""
    assert loaded("tracing: {service_name: 2024-01-01}").tracing.service_name == "2024-01-01"


def test_anchors(loaded: Load) -> None:
    """What is said once can be used twice."""
    config = loaded(
        """
        providers:
          a: {kind: sim, headers: &h {x-team: blue}}
          b: {kind: sim, headers: *h}
        """
    )
    assert config.providers["b"].headers["x-team"].get_secret_value() == "blue"


def test_yaml_that_is_not_taken(problems: Problems) -> None:
    """Merge keys, names that are no text, loops and tags are refused, each by its line."""
    found = problems(
        """
        grpc:
          <<: {address: x}
        limits:
          [a, b]: 1
        models: &loop
          a: *loop
        log:
          level: !!binary aGk=
        shutdown_grace: !secret 5
        """
    )
    assert found == [
        'trunkline.yaml:3: `grpc["<<"]`: is not taken here; write the settings out',
        'trunkline.yaml:5: `limits["?"]`: is a list or mapping, which cannot be the name of a setting',
        "trunkline.yaml:6: `models.a`: is an alias of what it is within",
        "trunkline.yaml:9: `log.level`: cannot be read as text or a number; put it in quotes if it is text",
        "trunkline.yaml:10: `shutdown_grace`: cannot be read as text or a number; put it in quotes if it is text",
    ]


@pytest.mark.parametrize(
    "value",
    ["!!bool maybe", "!!int x", "!!int ''", "!!float x", "!!timestamp x", "!!python/name:os.system", "9" * 5000],
)
def test_scalars_that_cannot_be_read(problems: Problems, value: str) -> None:
    """A tag that lies about its value, or a number too long to be one, is a problem of that line."""
    (found,) = problems(f"shutdown_grace: {value}\n")
    assert found.startswith("trunkline.yaml:1: `shutdown_grace`: cannot be read as text or a number")
