"""When a case waited for its applicant, read from its transitions and mandates."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from orchestrator.api.deadlines import pauses_of
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
