"""docs/privacy.md says who reads what: its tables are those of the scenario files, and the tests that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.gateway.gate import Reason
from tests.support.privacy import DOCUMENT, written

TEXT = DOCUMENT.read_text("utf-8")
TESTS = Path(__file__).parents[1]


def test_privacy__tables__as_the_scenario_files_say() -> None:
    assert written(TEXT) == TEXT, "python -m tests.support.privacy"


def test_privacy__tests_that_it_names__exist() -> None:
    there = {
        name for file in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", file.read_text("utf-8"))
    }
    named = set(re.findall(r"`(test_\w+)(?:\[[^`]+\])?`", TEXT))
    assert len(named) > 15
    assert sorted(named - there) == []


def test_privacy__every_reason_of_the_gate__is_told() -> None:
    told = set(re.findall(r"`([a-z]+(?:-[a-z]+)+|withdrawn|superseded|expired)`", TEXT))
    assert {str(reason) for reason in Reason} <= told
