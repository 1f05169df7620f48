from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.calendar import Calendar, Pause, Unit
from orchestrator.domain.errors import Invalid
from orchestrator.scenarios import load_calendar

CALENDAR = load_calendar()
VECTORS = Path(__file__).parents[2] / "vectors" / "scenarios" / "working_days.csv"
DAYS = st.dates(date(2020, 1, 1), date(2027, 6, 30))
KNOWN = st.dates(date(2020, 1, 1), date(2026, 12, 31))


@pytest.mark.parametrize("row", list(csv.DictReader(VECTORS.read_text().splitlines())), ids=lambda row: row["accepted"])
def test_deadline__published_vectors__day_and_provisional(row: dict[str, str]) -> None:
    result = CALENDAR.deadline(date.fromisoformat(row["accepted"]), int(row["working_days"]), "working_day")
    assert result.day == date.fromisoformat(row["decide_by"])
    assert result.provisional is (row["provisional"] == "yes")


def test_deadline__fifteen_calendar_days_end_in_a_holiday__next_working_day() -> None:
    assert CALENDAR.deadline(date(2026, 2, 1), 15, "calendar_day").day == date(2026, 2, 24)
    assert CALENDAR.deadline(date(2026, 3, 2), 15, "calendar_day").day == date(2026, 3, 17)


def test_deadline__at_once__the_day_itself_even_on_a_holiday() -> None:
    assert CALENDAR.deadline(date(2026, 10, 1), 0, "working_day").day == date(2026, 10, 1)


@given(KNOWN)
def test_is_working_day__every_known_day__as_an_independent_table(day: date) -> None:
    assert CALENDAR.is_working_day(day) is chinese_calendar.is_workday(day)


@given(DAYS, st.integers(1, 60))
def test_deadline__working_days__exactly_that_many_lie_between(start: date, value: int) -> None:
    end = CALENDAR.deadline(start, value, "working_day").day
    counted = [start + timedelta(days=n) for n in range(1, (end - start).days + 1)]
    assert sum(CALENDAR.is_working_day(day) for day in counted) == value
    assert CALENDAR.is_working_day(end)


@given(DAYS, st.integers(0, 60), st.sampled_from(["working_day", "calendar_day"]))
def test_deadline__one_day_more__never_earlier(start: date, value: int, unit: Unit) -> None:
    assert CALENDAR.deadline(start, value + 1, unit).day >= CALENDAR.deadline(start, value, unit).day >= start


@given(DAYS, st.integers(1, 30), st.integers(0, 20), st.integers(0, 40))
def test_deadline__paused__as_many_working_days_outside_the_pause(
    start: date, value: int, after: int, length: int
) -> None:
    pause = Pause(start=start + timedelta(days=after), end=start + timedelta(days=after + length))
    end = CALENDAR.deadline(start, value, "working_day", pauses=[pause]).day
    days = [start + timedelta(days=n) for n in range(1, (end - start).days + 1)]
    assert sum(CALENDAR.is_working_day(day) and not pause.start < day <= pause.end for day in days) == value


@given(st.dates(date(2027, 1, 1), date(2030, 12, 31)), st.integers(1, 20))
def test_deadline__year_not_announced__provisional(start: date, value: int) -> None:
    assert CALENDAR.deadline(start, value, "working_day").provisional


@pytest.mark.parametrize("value", [-1, 100_000])
def test_deadline__absurd_term__refused(value: int) -> None:
    with pytest.raises(Invalid):
        CALENDAR.deadline(date(2026, 1, 5), value, "working_day")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"version": "1", "years": {2026: {"holidays": ["02-30"], "make_up": []}}},
        {"version": "1", "years": {2026: {"holidays": [["05-05", "05-01"]], "make_up": []}}},
        {"version": "1", "years": {2026: {"holidays": ["05-05"], "make_up": ["05-05"]}}},
        {"version": "1", "years": {2026: {"holidays": ["05-05"]}}},
    ],
)
def test_from_document__malformed_or_contradictory__refused(document: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        Calendar.from_document(document)
