"""Contests of answers: carried to the departments, with what these reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg.types.json import Jsonb

from orchestrator.database import Row
from orchestrator.store.cases import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestRow:
    """One contest and what is known of its reply. Neither statement nor reason can be read here."""

    hash: str
    case_id: str
    question: str
    item: str
    idx: int
    seat: int
    claims: list[str]
    answer: str
    """Hash of the contested answer."""
    jws: str
    statement: dict[str, Any]
    reply_by: date
    state: str
    """new, open (at the department), refused (by its gateway), corrected or rejected."""
    problem: dict[str, Any] | None
    reply: str | None
    sealed: dict[str, str]
    made_at: datetime
    replied_at: datetime | None
    lapsed_at: datetime | None
    """When the term ended without a reply; one may still have come later."""
    followed: bool

    @property
    def waits(self) -> bool:
        """Whether the case waits for the department."""
        return self.state in ("new", "open") and self.lapsed_at is None

    def carried(self) -> dict[str, Any]:
        """As approvers get it."""
        return {"contest": self.jws, "reply": self.reply, "sealed": self.sealed}


COLUMNS = ", ".join(f"c.{name}" for name in ContestRow.__slots__)


def _contest(row: Row) -> ContestRow:
    return ContestRow(**row)


async def add(
    connection: Connection, *, name: str, jws: str, contest: dict[str, Any], seat: int, statement: dict[str, Any]
) -> bool:
    """Keeps a signed contest (`contest` is its payload) for delivery. False when it is there already."""
    cursor = await connection.execute(
        """
        insert into contest (hash, case_id, question, item, idx, seat, claims, answer, jws, statement, reply_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (hash) do nothing returning hash
        """,
        [
            name,
            contest["case"],
            contest["answer"]["question"],
            contest["item"],
            contest["index"],
            seat,
            Jsonb(list(contest["claims"])),
            contest["answer"]["hash"],
            jws,
            Jsonb(statement),
            date.fromisoformat(contest["reply_by"]),
        ],
    )
    return await cursor.fetchone() is not None


async def of_cases(connection: Connection, case_ids: Sequence[str]) -> dict[str, list[ContestRow]]:
    """The contests of each case, oldest first."""
    cursor = await connection.execute(
        f"select {COLUMNS} from contest c where c.case_id = any(%s) order by c.made_at, c.hash", [list(case_ids)]
    )
    found: dict[str, list[ContestRow]] = {case_id: [] for case_id in case_ids}
    for row in await cursor.fetchall():
        found[str(row["case_id"])].append(_contest(row))
    return found


async def busy(connection: Connection) -> list[ContestRow]:
    """Contests that are to be carried, to be asked about, or that their case has not gone on with; oldest first."""
    cursor = await connection.execute(
        f"""
        select {COLUMNS} from contest c where c.state in ('new', 'open') or not c.followed
        order by c.made_at limit 1000
        """
    )
    return [_contest(row) for row in await cursor.fetchall()]


async def delivered(connection: Connection, name: str, problem: dict[str, Any] | None) -> None:
    """Notes that the department has taken a contest, or why its gateway refused it; the case goes on then."""
    await connection.execute(
        """
        update contest set state = %(state)s, problem = %(problem)s, followed = followed and %(problem)s::jsonb is null
        where hash = %(hash)s and state = 'new'
        """,
        {"hash": name, "state": "refused" if problem else "open", "problem": Jsonb(problem) if problem else None},
    )


async def replied(connection: Connection, name: str, outcome: str, reply: str, sealed: dict[str, str]) -> bool:
    """Keeps a department's reply. False when it is there already."""
    cursor = await connection.execute(
        """
        update contest set state = %s, reply = %s, sealed = %s, replied_at = now(), followed = false
        where hash = %s and reply is null returning hash
        """,
        [outcome, reply, Jsonb(sealed), name],
    )
    return await cursor.fetchone() is not None


async def lapse(connection: Connection, today: date) -> list[tuple[str, str]]:
    """Notes the contests whose term ended before `today` without a reply: (case, contest) of each."""
    cursor = await connection.execute(
        """
        update contest set lapsed_at = now(), followed = false
        where state in ('new', 'open') and lapsed_at is null and reply_by < %s returning case_id, hash
        """,
        [today],
    )
    return [(str(row["case_id"]), str(row["hash"])) for row in await cursor.fetchall()]


async def followed(connection: Connection, name: str) -> None:
    """Notes that the case has gone on with what became of a contest."""
    await connection.execute("update contest set followed = true where hash = %s", [name])
