"""The working-day calendar of mainland China: which days count towards a deadline.

The table is a versioned data file: for each announced year the statutory days off and the make-up working days (调休).
The day on which a case is accepted is day 0 and does not count; the deadline is the end of the n-th counted day, in
Asia/Shanghai (行政许可法 art. 82, Civil Code art. 201–203).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from orchestrator.domain.errors import Invalid

Unit = Literal["working_day", "calendar_day"]

FIXED_HOLIDAYS = frozenset({(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)})
"""(month, day) that are off by law every year (全国年节及纪念日放假办法): all that is known of a year not yet announced."""

SATURDAY = 5
LONGEST = 3660
"""No deadline counts more days than this; a longer one is a mistake in the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """The last day on which a case may be decided."""

    day: date
    """Inclusive, in Asia/Shanghai."""
    provisional: bool
    """True while the State Council has not announced the holidays of a year that the count touches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A span that does not count because the case was waiting for the applicant (补正)."""

    start: date
    """The day of the return: this day still counts if it was a working day before."""
    end: date
    """The day on which what was missing came in: it does not count, the next one does."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days off and make-up working days by year, with the version of the table."""

    version: str
    off: frozenset[date]
    work: frozenset[date]
    years: frozenset[int]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Calendar:
        """Reads `{version, years: {year: {holidays: [day or [first, last]], make_up: [day]}}}`, days as `MM-DD`.

        Raises Invalid for a day that does not exist or is both off and working.
        """
        off: set[date] = set()
        work: set[date] = set()
        try:
            for year, entry in document["years"].items():
                for span in entry["holidays"]:
                    first, last = (span, span) if isinstance(span, str) else span
                    off.update(_days(_day(year, first), _day(year, last)))
                work.update(_day(year, day) for day in entry["make_up"])
            years = frozenset(int(year) for year in document["years"])
            version = str(document["version"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Invalid(
                field="calendar",
                detail="工作日历表格式不正确",
                detail_en="The calendar table is malformed",
                remedy="每年写 holidays 和 make_up,日期写作 MM-DD / give holidays and make_up for each year, days as MM-DD",
            ) from error
        if off & work:
            raise Invalid(
                field="calendar",
                detail="同一天既放假又上班",
                detail_en="A day is both off and a working day",
                remedy=", ".join(sorted(day.isoformat() for day in off & work)),
            )
        return cls(version, frozenset(off), frozenset(work), years)

    def is_working_day(self, day: date) -> bool:
        """Whether the day counts as a working day: make-up days do, days off and other weekends do not."""
        if day in self.work:
            return True
        if day in self.off or day.weekday() >= SATURDAY:
            return False
        return day.year in self.years or (day.month, day.day) not in FIXED_HOLIDAYS

    def is_provisional(self, day: date) -> bool:
        """Whether the holidays of the day's year are not in the table."""
        return day.year not in self.years

    def deadline(self, start: date, value: int, unit: Unit, *, pauses: Sequence[Pause] = ()) -> Deadline:
        """The last day of a term of `value` days that begins on the day after `start`; 0 means on `start` itself.

        Calendar days count every day, and a last day that is not a working day moves to the next one. Days within a
        pause (after its start, up to and including its end) do not count. Raises Invalid for a negative or absurd term.
        """
        if not 0 <= value <= LONGEST:
            raise Invalid(
                field="deadline",
                detail="期限天数超出范围",
                detail_en="The number of days is out of range",
                remedy=f"0–{LONGEST}",
            )
        provisional = False
        day, left = start, value
        while left > 0:
            day += timedelta(days=1)
            provisional = provisional or self.is_provisional(day)
            paused = any(pause.start < day <= pause.end for pause in pauses)
            if not paused and (unit == "calendar_day" or self.is_working_day(day)):
                left -= 1
        while value > 0 and not self.is_working_day(day):
            day += timedelta(days=1)
            provisional = provisional or self.is_provisional(day)
        return Deadline(day=day, provisional=provisional)


def _day(year: Any, text: str) -> date:
    return date.fromisoformat(f"{int(year):04d}-{text}")


def _days(first: date, last: date) -> list[date]:
    if last < first:
        raise ValueError("a span ends before it begins")
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
