"""The canary's residents: every field of every row is a marker, but for those that rules read; numbers are valid by their standards."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import yaml

from orchestrator.domain.identifiers import bank_card_problem, citizen_number_problem, uscc_problem
from orchestrator.gateway.adapter import Adapter, load_adapters
from orchestrator.scenarios import FOLDER, department_files
from orchestrator.seeding.rows import TABLES
from tests.support.canary import NEAR, POLICY, Canary, bank_card, marked_residents

DAY = date(2026, 11, 23)
POLICIES = yaml.safe_load(POLICY.read_text("utf-8"))


@pytest.fixture(scope="module")
def adapters() -> dict[str, Adapter]:
    return load_adapters(department_files())


@pytest.fixture(scope="module")
def canary(adapters: dict[str, Adapter]) -> Canary:
    return marked_residents(adapters, DAY, seed=1)


def near(day: date) -> bool:
    return abs(day - DAY) <= NEAR


def is_marked(value: Any, type_: str, canary: Canary) -> bool:
    """Whether a value is a marker, or one that can be none: nothing, a near day, a code of few characters, a small number."""
    width = re.fullmatch(r"(?:var)?char\((\d+)\)", type_)
    text = str(value)
    if value is None or isinstance(value, int) or (width and int(width[1]) < 8):
        return True
    if isinstance(value, date):
        return near(value) or value.isoformat() in canary.markers
    if isinstance(value, Decimal):
        return text in canary.markers
    if width and int(width[1]) == 8:
        if not re.fullmatch(r"\d{8}", text):
            return text in ("", "长期")
        day = date(int(text[:4]), int(text[4:6]), int(text[6:]))
        return near(day) or day.isoformat() in canary.markers
    return all(part in canary.markers for part in text.split(","))


def test_residents__every_column_of_every_row__a_marker_or_listed(canary: Canary, adapters: dict[str, Adapter]) -> None:
    bare = set()
    for department, tables in canary.rows.items():
        for table, rows in tables.items():
            listed = POLICIES["keep"].get(table, []) + POLICIES["extend"].get(table, [])
            empty = POLICIES["empty"].get(table, [])
            columns = adapters[department].tables()[table].columns
            for row in rows:
                for column, value in zip(TABLES[table].columns, row, strict=True):
                    if column in listed or (column in empty and value == ""):
                        continue
                    if not is_marked(value, columns[column].type, canary):
                        bare.add((table, column, str(value)))
    assert bare == set()
    assert sum(len(rows) for tables in canary.rows.values() for rows in tables.values()) > 1000


def test_residents__identifiers__valid_by_their_standards(canary: Canary) -> None:
    kinds = {"citizen": citizen_number_problem, "uscc": uscc_problem}
    for marker in canary.markers.values():
        if marker.kind in kinds:
            assert kinds[marker.kind](marker.text) is None
    for body in ("99401927215510105", "99000000000000001"):
        assert bank_card_problem(bank_card(body)) is None


def test_residents__markers__stand_in_no_file_that_ships(canary: Canary) -> None:
    shipped = "".join(path.read_text("utf-8") for path in FOLDER.rglob("*.yaml"))
    assert [text for text in canary.markers if text in shipped] == []


def test_residents__another_seed__other_markers(canary: Canary, adapters: dict[str, Adapter]) -> None:
    other = marked_residents(adapters, DAY, seed=2)
    strong = {text for text, marker in canary.markers.items() if marker.kind not in ("day", "number")}
    assert strong & other.markers.keys() == set()
    assert marked_residents(adapters, DAY, seed=1).markers.keys() == canary.markers.keys()


def test_residents__days__unlike_any_other_record(canary: Canary) -> None:
    births = {f"{number[6:10]}-{number[10:12]}-{number[12:14]}" for number, _ in canary.people}
    days = {text for text, marker in canary.markers.items() if marker.kind == "day"} - births
    assert all(day < "1850" or day > "2100" for day in days)
    assert DAY + timedelta(days=1) not in map(date.fromisoformat, days)
