from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from orchestrator.bench import commands
from orchestrator.bench.eas import load_package
from orchestrator.bench.report import Findings
from orchestrator.domain.errors import Invalid, Unavailable


def run(monkeypatch: pytest.MonkeyPatch, found: Findings, *arguments: str) -> Any:
    """The command with a node and a run of which only the outcome is played."""

    async def measure(*_: object) -> Findings:
        return found

    monkeypatch.setattr(commands, "measure", measure)
    monkeypatch.setattr(commands, "load_package", lambda: None)
    monkeypatch.setattr(commands, "open_node", Opened)
    monkeypatch.setattr("httpx.post", Answer)
    return CliRunner().invoke(commands.app, ["gas", *arguments])


class Opened:
    def __init__(self, *_: object, **__: object) -> None: ...

    def __enter__(self) -> str:
        return "http://127.0.0.1:1"

    def __exit__(self, *_: object) -> None: ...


class Answer:
    def __init__(self, *_: object, **__: object) -> None: ...

    def raise_for_status(self) -> None: ...


def test_gas__within_the_budget__exit_code_zero_json_and_chart_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, findings: Findings
) -> None:
    file = tmp_path / "new" / "gas.json"
    result = run(monkeypatch, findings, "--json", str(file))
    assert result.exit_code == 0, result.output
    assert json.loads(file.read_text("utf-8")) == findings.document()
    chart = ElementTree.fromstring(file.with_suffix(".svg").read_text("utf-8"))
    assert {"28,000", "996,000"} <= {each.text for each in chart.iter("{http://www.w3.org/2000/svg}text")}


def test_gas__over_the_budget__exit_code_one_and_json_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, over: Findings
) -> None:
    file = tmp_path / "gas.json"
    result = run(monkeypatch, over, "--json", str(file))
    assert result.exit_code == 1
    assert "over the budget: decided_at_once_256" in result.output
    assert json.loads(file.read_text("utf-8"))["within_budget"] is False


def test_gas__no_file__nothing_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, findings: Findings) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, findings).exit_code == 0
    assert [each for each in tmp_path.iterdir() if each.is_file()] == []


def test_gas__json_named_like_the_chart__refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, findings: Findings
) -> None:
    result = run(monkeypatch, findings, "--json", str(tmp_path / "gas.svg"))
    assert isinstance(result.exception, Invalid)
    assert list(tmp_path.iterdir()) == []


def test_gas__no_eas_installed__says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(commands, "load_package", lambda: load_package(tmp_path))
    result = CliRunner().invoke(commands.app, ["gas"])
    assert isinstance(result.exception, Unavailable)
    assert "make setup" in result.exception.remedy
