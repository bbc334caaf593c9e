"""The models made by hand, without a file."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from trunkline.config import model
from trunkline.config.model import Config

SECTIONS = [
    section
    for section in vars(model).values()
    if isinstance(section, type) and issubclass(section, model.Section) and section is not model.Section
]


def test_a_configuration_cannot_be_made_inconsistent() -> None:
    """The rules between settings hold for models as for files, and tell where each is broken."""
    with pytest.raises(ValidationError) as raised:
        Config.model_validate(
            {
                "http": model.HttpConfig.model_validate({"address": "0.0.0.0:80"}),
                "models": {"fast": {"targets": ["nobody/x"]}},
            }
        )
    assert [details["loc"] for details in raised.value.errors()] == [
        ("models", "fast", "targets", 0),
        ("http", "address"),
    ]
    with pytest.raises(ValidationError, match="must differ from `keys"):
        Config.model_validate({"keys": [{"name": "a", "key": "k"}, {"name": "b", "key": "k"}]})


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_is_described(section: type[BaseModel]) -> None:
    """The descriptions are the documentation."""
    assert all((field.description or "").endswith(".") for field in section.model_fields.values())


def test_a_configuration_does_not_change() -> None:
    """Running calls keep the configuration they began with."""
    with pytest.raises(ValidationError, match="frozen"):
        Config().http = model.HttpConfig()  # type: ignore[misc]


def test_a_configuration_can_be_dumped() -> None:
    """What was read can be shown, and read again."""
    dumped = Config().model_dump(mode="json")
    assert dumped["http"]["address"] == "127.0.0.1:8080"
    assert Config.model_validate(dumped) == Config()
