"""Until when a case is decided: its promised term, without the days on which it waited for the applicant (补正), or for a
department whose claim the applicant contests (异议).

The clock stands from the day on which a return settled to the day on which the applicant signed what answers it; and from the day
of a contest to that of the reply, or the last day for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.api.state import State
from orchestrator.database import Row
from orchestrator.domain.calendar import Calendar, Pause
from orchestrator.domain.case import Status
from orchestrator.protocol.jose import peek_jws
from orchestrator.store import batches, cases, contests
from orchestrator.store.cases import CaseRow
from orchestrator.store.contests import ContestRow

BEIJING = ZoneInfo("Asia/Shanghai")


async def deadlines(state: State, rows: Sequence[CaseRow]) -> dict[str, dict[str, Any]]:
    """The deadline of each case by id: `{value, unit, day, provisional, paused}`."""
    async with state.context.pool.connection() as connection:
        transitions = await batches.transitions(connection, [row.id for row in rows])
        returned = [name for name, found in transitions.items() if any(map(_is_return, found))]
        mandates = await cases.mandates(connection, returned)
        contested = await contests.of_cases(connection, [row.id for row in rows])
    today = state.context.now().astimezone(BEIJING).date()
    found = {}
    for row in rows:
        pauses = pauses_of(transitions[row.id], mandates.get(row.id, []), today=today)
        pauses += contest_pauses(contested[row.id], today=today)
        waits = row.error is not None and row.error["code"] == "contested"
        found[row.id] = _shown(row, pauses, state.context.calendar, waits=waits)
    return found


def contest_pauses(rows: Sequence[ContestRow], *, today: date) -> list[Pause]:
    """When a case waited for a department's reply to a contest; one that nobody has answered yet lasts until `today`."""
    ends = {row.hash: [_day(end) for end in (row.replied_at, row.lapsed_at) if end is not None] for row in rows}
    return [Pause(start=_day(row.made_at), end=min([*ends[row.hash], today])) for row in rows if row.state != "refused"]


def pauses_of(transitions: Sequence[Row], mandates: Sequence[str], *, today: date) -> list[Pause]:
    """When a case waited for the applicant, by its transitions and its mandates (JWS), both oldest first.

    A return that nothing has answered yet lasts until `today`.
    """
    signed = [peek_jws(jws)[1] for jws in mandates[1:]]
    found = []
    for index, each in enumerate(transitions):
        if not _is_return(each):
            continue
        settled: Any = each["settled_at"]
        answered = [date.fromisoformat(payload["day"]) for payload in signed if payload["iat"] >= settled.timestamp()]
        # What was signed while the return was on its way ends the wait too: the next transition shows it.
        moved_on = [_day(later["sealed_at"]) for later in transitions[index + 1 : index + 2]]
        found.append(Pause(start=_day(settled), end=min([*answered[:1], *moved_on, today])))
    return found


def _shown(row: CaseRow, pauses: Sequence[Pause], calendar: Calendar, *, waits: bool) -> dict[str, Any]:
    term = row.deadline
    # What is decided at once is decided on the day on which everything is there.
    start = max([row.day, *(pause.end for pause in pauses)]) if term["value"] == 0 else row.day
    made = calendar.deadline(start, term["value"], term["unit"], pauses=pauses)
    return {
        "value": term["value"],
        "unit": term["unit"],
        "day": made.day.isoformat(),
        "provisional": made.provisional,
        "paused": waits or (row.status == Status.RETURNED and row.stage == "waiting"),
    }


def _is_return(transition: Row) -> bool:
    return transition["status"] == Status.RETURNED and transition["settled_at"] is not None


def _day(moment: Any) -> date:
    found: datetime = moment
    return found.astimezone(BEIJING).date()
