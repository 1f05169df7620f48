"""When a case waited for its applicant, read from its transitions and mandates."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

from orchestrator.api.deadlines import contest_pauses, pauses_of
from orchestrator.domain.calendar import Pause
from orchestrator.domain.case import Status
from orchestrator.protocol.jose import SigningKey, sign_jws

KEY = SigningKey.generate()
TODAY = date(2026, 3, 31)


def moved(status: Status, settled: datetime | None, sealed: datetime | None = None) -> dict[str, Any]:
    return {"status": int(status), "settled_at": settled, "sealed_at": sealed or settled}


def signed(moment: datetime) -> str:
    """A mandate as far as the deadline reads it, signed at a moment that is the same day in Beijing."""
    return sign_jws({"iat": int(moment.timestamp()), "day": moment.date().isoformat()}, typ="t", key=KEY)


def at(day: int, hour: int = 2) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def test_pauses_of__never_returned__none() -> None:
    assert pauses_of([moved(Status.APPROVED, at(3))], [signed(at(2))], today=TODAY) == []


def test_pauses_of__return_not_settled_yet__none() -> None:
    assert pauses_of([moved(Status.RETURNED, None, at(3))], [signed(at(2))], today=TODAY) == []


def test_pauses_of__not_answered__until_today() -> None:
    found = pauses_of([moved(Status.RETURNED, at(3))], [signed(at(2))], today=TODAY)
    assert found == [Pause(start=date(2026, 3, 3), end=TODAY)]


def test_pauses_of__answered_twice__until_the_first_supplement_each() -> None:
    transitions = [
        moved(Status.RETURNED, at(3)),
        moved(Status.RETURNED, at(10), at(9)),
        moved(Status.APPROVED, at(20), at(19)),
    ]
    mandates = [signed(at(2)), signed(at(6)), signed(at(18))]
    assert pauses_of(transitions, mandates, today=TODAY) == [
        Pause(start=date(2026, 3, 3), end=date(2026, 3, 6)),
        Pause(start=date(2026, 3, 10), end=date(2026, 3, 18)),
    ]


def test_pauses_of__supplement_signed_while_the_return_was_on_its_way__ends_with_what_follows() -> None:
    transitions = [moved(Status.RETURNED, at(3, 5)), moved(Status.APPROVED, at(4), at(4))]
    found = pauses_of(transitions, [signed(at(2)), signed(at(3, 4))], today=TODAY)
    assert found == [Pause(start=date(2026, 3, 3), end=date(2026, 3, 4))]


def test_pauses_of__late_evening_in_utc__next_day_in_beijing() -> None:
    found = pauses_of([moved(Status.RETURNED, at(3, 17))], [signed(at(2))], today=TODAY)
    assert found == [Pause(start=date(2026, 3, 4), end=TODAY)]


def contested(
    made: datetime, *, replied: datetime | None = None, lapsed: datetime | None = None, state: str = "open"
) -> Any:
    """A contest as far as the deadline reads it."""
    return SimpleNamespace(hash=f"{made}{state}", made_at=made, replied_at=replied, lapsed_at=lapsed, state=state)


def test_contest_pauses__replied_lapsed_open_or_not_taken__each_until_its_end() -> None:
    rows = [
        contested(at(2), replied=at(5), state="rejected"),
        contested(at(10), lapsed=at(20)),
        contested(at(11), lapsed=at(20), replied=at(25), state="corrected"),
        contested(at(28)),
        contested(at(3), state="refused"),
    ]

    assert contest_pauses(rows, today=TODAY) == [
        Pause(start=date(2026, 3, 2), end=date(2026, 3, 5)),
        Pause(start=date(2026, 3, 10), end=date(2026, 3, 20)),
        Pause(start=date(2026, 3, 11), end=date(2026, 3, 20)),
        Pause(start=date(2026, 3, 28), end=TODAY),
    ]
