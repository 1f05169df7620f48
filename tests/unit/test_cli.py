"""The `lianban` command as a whole: its list of commands, and how it finds them."""

from __future__ import annotations

import importlib
from typing import NoReturn

import pytest
from typer.testing import CliRunner

from orchestrator.cli import GROUPS, app


def test_help__all_groups_listed__and_none_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def imported(name: str) -> NoReturn:
        raise AssertionError(f"{name} is imported although only the list is asked for")

    monkeypatch.setattr(importlib, "import_module", imported)
    said = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "300"})
    assert said.exit_code == 0, said.output
    assert [name for name in GROUPS if f"│ {name} " not in said.output] == []
    assert [group.help for group in GROUPS.values() if group.help not in said.output] == []


@pytest.mark.parametrize("name", GROUPS)
def test_group__help__is_a_command_with_something_to_say(name: str) -> None:
    said = CliRunner().invoke(app, [name, "--help"])
    assert said.exit_code == 0, said.output
    assert f" {name} " in said.output


def test_group__unknown__usage_error() -> None:
    said = CliRunner().invoke(app, ["ledgr"])
    assert said.exit_code == 2
    assert "ledgr" in said.output
