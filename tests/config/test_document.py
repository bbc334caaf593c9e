"""The page about the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.config.document import EXAMPLE, main, render
from trunkline.config.settings import SETTINGS

from .conftest import Load

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_up_to_date() -> None:
    """The page in the repository is what the models say."""
    assert main([str(PAGE), "--check"]) == 0


def test_the_example_can_be_used(loaded: Load) -> None:
    """What the page shows is a valid configuration."""
    assert f"```yaml\n{EXAMPLE}```" in render()
    config = loaded(EXAMPLE, {"OPENAI_API_KEY": "k1", "ALICE_KEY": "k2"})
    assert config.providers["house"].base_url == "http://127.0.0.1:8000/v1"


def test_every_setting_is_on_the_page() -> None:
    """Each flag and variable stands in a row with the meaning of its setting."""
    page = render()
    for setting in SETTINGS:
        names = f"`{setting.variable}`" if setting.secret else f"`{setting.flag}`, `{setting.variable}`"
        assert f"| {names} | {setting.description} |" in page


def test_types_bounds_and_defaults() -> None:
    """A row tells what may be written, within which bounds, and what holds otherwise."""
    page = render()
    assert "| `max_connection_age` | number above 0 to 1000000 | none |" in page
    assert "| `sample_ratio` | number from 0 to 1 | `1.0` |" in page
    assert "| `format` | `auto`, `human`, `json` | `auto` |" in page
    assert "| `address` | `host:port` | `127.0.0.1:50051` |" in page
    assert "| `tls.certificate` | path of a file | required within `tls` |" in page
    assert "| `targets` | list of text | required |" in page
    assert "| `headers` | mapping of names to secret text | none |" in page
    assert "| `scopes` | mapping of names to lists of text | none |" in page
    assert "| `pools` | mapping of names, as below | none |" in page
    assert "## `routing.pools.<name>`" in page


def test_check_tells_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing or changed page fails the check, which names the command that writes it."""
    page = tmp_path / "page.md"
    assert main([str(page), "--check"]) == 1
    assert main([str(page)]) == 0
    assert main([str(page), "--check"]) == 0
    page.write_text(render() + "edited\n")
    assert main([str(page), "--check"]) == 1
    remedy = f"{page} is out of date: run python -m trunkline.config.document {page}\n"
    assert capsys.readouterr().err == remedy * 2
