from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.domain.errors import Invalid
from orchestrator.settings import PREFIX, load_settings, unknown_variables

PRODUCTION: dict[str, object] = {
    "profile": "production",
    "database_url": "postgresql://db/lianban",
    "node_url": "https://node",
    "chain_id": 2025,
    "passphrase_file": "/run/secrets/passphrase",
    "face_check": "national-network-identity",
}


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def test_load_settings__empty_environment__a_devnet_in_var(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.profile == "devnet"
    assert settings.data_dir == tmp_path / "var"
    assert settings.keys_dir == tmp_path / "var" / "keys"
    assert settings.database_url is None
    assert settings.node_url is None


def test_load_settings__variables_set__taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIANBAN_NODE_URL", "http://node:8545")
    monkeypatch.setenv("LIANBAN_KEYS_DIR", str(tmp_path))
    monkeypatch.setenv("LIANBAN_OUTAGE_WINDOW", "2.5")
    settings = load_settings()
    assert settings.node_url == "http://node:8545"
    assert settings.keys_dir == tmp_path
    assert settings.outage_window == 2.5


def test_load_settings__empty_variable__as_if_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIANBAN_NODE_URL", "")
    assert load_settings().node_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIANBAN_PROFILE", "staging"),
        ("LIANBAN_PORTAL_PORT", "65536"),
        ("LIANBAN_PORTAL_PORT", "many"),
        ("LIANBAN_NODE_URL", "node:8545"),
        ("LIANBAN_DATABASE_URL", "mysql://u:hidden-word@h/d"),
        ("LIANBAN_CHAIN_ID", "0"),
        ("LIANBAN_OUTAGE_WINDOW", "-1"),
    ],
)
def test_load_settings__wrong_value__invalid_names_the_variable_not_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Invalid) as caught:
        load_settings()
    assert caught.value.field == name
    assert "hidden-word" not in str(caught.value)


def test_load_settings__production_complete__accepted() -> None:
    assert load_settings(**PRODUCTION).profile == "production"


@pytest.mark.parametrize("missing", ["database_url", "node_url", "chain_id", "passphrase_file", "face_check"])
def test_load_settings__production_with_a_stand_in__invalid(missing: str) -> None:
    with pytest.raises(Invalid) as caught:
        load_settings(**{name: value for name, value in PRODUCTION.items() if name != missing})
    assert caught.value.field == PREFIX + missing.upper()


def test_environment__handed_to_a_child__same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, node_url="http://n:1", portal_port=8080, face_check="other")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_passphrase__devnet_first_time__made_and_kept(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    made = settings.passphrase()
    assert len(made) >= 32
    assert settings.passphrase() == made
    assert (tmp_path / "passphrase").stat().st_mode & 0o777 == 0o600


def test_passphrase__production_without_file__invalid_and_none_made(tmp_path: Path) -> None:
    settings = load_settings(**(PRODUCTION | {"passphrase_file": tmp_path / "passphrase"}))
    with pytest.raises(Invalid):
        settings.passphrase()
    assert not (tmp_path / "passphrase").exists()


def test_passphrase__file_empty__invalid(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("\n")
    with pytest.raises(Invalid):
        load_settings(data_dir=tmp_path).passphrase()


def test_unknown_variables__misspelt__named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIANBAN_NOD_URL", "http://n")
    monkeypatch.setenv("LIANBAN_NODE_URL", "http://n")
    assert unknown_variables() == ["LIANBAN_NOD_URL"]


def test_load_settings__deployment_file__in_the_data_folder_unless_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().deployment_file == tmp_path / "var" / "deployment.json"
    monkeypatch.setenv("LIANBAN_DEPLOYMENT_FILE", "deployments/consortium.json")
    assert load_settings().deployment_file == tmp_path / "deployments" / "consortium.json"
