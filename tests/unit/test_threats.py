"""docs/threats.md names tests: each must exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
THREATS = (ROOT / "docs" / "threats.md").read_text("utf-8")
NAMED = set(re.findall(r"`(test_\w+)`", THREATS))


def test_threats__every_test_that_is_named__exists() -> None:
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text("utf-8"))
    }
    assert len(NAMED) > 50
    assert sorted(NAMED - there) == []


def test_threats__every_row__has_a_defence_and_a_test_or_a_document() -> None:
    rows = [
        line.split("|")[1:-1] for line in THREATS.splitlines() if line.startswith("| ") and "what stops it" not in line
    ]
    assert len(rows) > 35
    for threat, defence, _, tests in rows:
        assert threat.strip()
        assert defence.strip()
        assert "`test_" in tests or "](" in tests, threat


def test_threats__every_invariant_of_the_ledger__is_named() -> None:
    for number in range(1, 9):
        assert f"I{number}" in THREATS
