"""The names of the settings outside the file."""

from __future__ import annotations

from trunkline.config.model import Config, KeyConfig, ProviderConfig, TlsConfig
from trunkline.config.settings import SETTINGS, fields_at


def test_names_are_derived_from_paths() -> None:
    """One rule gives each setting its flag and its variable."""
    named = {setting.name: (setting.flag, setting.variable) for setting in SETTINGS}
    assert named["http.address"] == ("--http-address", "TRUNKLINE_HTTP_ADDRESS")
    assert named["grpc.tls.client_ca"] == ("--grpc-tls-client-ca", "TRUNKLINE_GRPC_TLS_CLIENT_CA")
    assert named["shutdown_grace"] == ("--shutdown-grace", "TRUNKLINE_SHUTDOWN_GRACE")


def test_no_two_settings_share_a_name() -> None:
    """Flags and variables are unambiguous, although `_` joins words and levels alike."""
    assert len({setting.flag for setting in SETTINGS}) == len(SETTINGS)
    assert len({setting.variable for setting in SETTINGS}) == len(SETTINGS)


def test_every_setting_is_described() -> None:
    """A setting without a description cannot be shown to anyone."""
    assert all(setting.description.endswith(".") for setting in SETTINGS)


def test_fields_at() -> None:
    """The settings of a section are found through mappings, lists and optional sections."""
    assert fields_at(()) is Config.model_fields
    assert fields_at(("providers", "any")) is ProviderConfig.model_fields
    assert fields_at(("keys", 3)) is KeyConfig.model_fields
    assert fields_at(("http", "tls")) is TlsConfig.model_fields
    assert fields_at(("providers",)) == {}
