"""Cards and plans as people read them."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from orchestrator.domain.plan import plan
from orchestrator.domain.scenario_file import load_scenario
from orchestrator.domain.situations import read_situation
from orchestrator.portal import words
from orchestrator.portal.plans import typical_answers
from orchestrator.scenarios import load_calendar, load_catalogue, scenario_files, shipped

DAY = date(2026, 3, 2)
BOOKSHOP = Path("tests/vectors/scenarios/bookshop")


@pytest.mark.parametrize("name", [path.stem for path in scenario_files()])
def test_typical_answers__shipped_scenario__a_situation_of_it(name: str) -> None:
    scenario = shipped(name)

    answers = typical_answers(scenario, DAY)

    assert plan(scenario, answers, day=DAY, calendar=load_calendar()).materials_before


def test_typical_answers__scenario_without_named_situations__first_that_can_differ() -> None:
    catalogue = load_catalogue(BOOKSHOP / "department.yaml")
    scenario = load_scenario((BOOKSHOP / "bookshop-subsidy.yaml").read_text("utf-8"), catalogue=catalogue)

    assert read_situation(scenario, typical_answers(scenario, DAY)) is not None


@pytest.mark.parametrize(
    ("value", "unit", "zh", "en"),
    [
        (0, "working_day", "即审即办", "decided at once"),
        (1, "working_day", "1 个工作日", "1 working day"),
        (15, "calendar_day", "15 日", "15 days"),
    ],
)
def test_term__days__in_words(value: int, unit: str, zh: str, en: str) -> None:
    assert words.term(value, unit) == {"zh": zh, "en": en}


@pytest.mark.parametrize(
    ("least", "most", "en"), [(0, 0, "none, wholly online"), (0, 1, "0–1 trip"), (1, 1, "1 trip"), (2, 3, "2–3 trips")]
)
def test_trips__counts__in_words(least: int, most: int, en: str) -> None:
    assert words.trips(least, most)["en"] == en


def test_events__every_kind_that_is_noted__has_words() -> None:
    """The story of a case is written all over the pipeline: a kind without words would break its page."""
    folders = [Path("orchestrator/pipeline"), Path("orchestrator/api")]
    text = "".join(path.read_text("utf-8") for folder in folders for path in folder.glob("*.py"))
    noted = set(re.findall(r"\((?:case\.id|case_id|each\.case\.id|str\(row\[\"id\"\]\)|case), \"([a-z-]+)\"", text))

    assert {"submitted", "gathered", "decided", "sealed", "posted", "settled", "pushed"} <= noted
    assert noted <= words.EVENTS.keys()
