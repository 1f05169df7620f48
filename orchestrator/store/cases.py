"""Case rows: submitted, claimed by workers for a stage, moved on together in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from orchestrator.database import Row

Connection = psycopg.AsyncConnection[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """One application as the orchestrator knows it: no name, no id number, no sealed content."""

    id: str
    subject: str
    """The pairwise subject of the applicant at the identity seat."""
    scenario: str
    version: str
    binding: int
    situation: dict[str, Any]
    situation_salt: str
    form: dict[str, Any] | None
    delivery: dict[str, Any]
    status: int
    """What the chain has confirmed."""
    sequence: int
    """The last sequence number that the chain has confirmed."""
    target: int | None
    """The status that is being sealed."""
    verdict_outcome: str | None
    revocation: str | None
    day: date
    deadline: dict[str, Any]
    submitted_at: datetime
    settled_at: datetime | None
    stage: str
    attempts: int
    error: dict[str, Any] | None


COLUMNS = ", ".join(f"c.{name}" for name in CaseRow.__slots__)


def _case(row: Row) -> CaseRow:
    return CaseRow(**row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where a worker leaves a case: the next stage and when it is due again."""

    case_id: str
    stage: str
    delay: float = 0.0
    """Seconds until it is due."""
    target: int | None = None
    outcome: str | None = None
    error: dict[str, Any] | None = None


async def claim(connection: Connection, stage: str, owner: str, *, limit: int, lease: float) -> list[CaseRow]:
    """Leases due cases of one stage to `owner` for `lease` seconds; other workers skip them."""
    cursor = await connection.execute(
        f"""
        with due as (
            select id from case_file
            where stage = %(stage)s and due_at <= now() and (lease_until is null or lease_until < now())
            order by due_at limit %(limit)s for update skip locked
        )
        update case_file c
        set lease_owner = %(owner)s, lease_until = now() + make_interval(secs => %(lease)s), attempts = c.attempts + 1
        from due where c.id = due.id
        returning {COLUMNS}
        """,
        {"stage": stage, "limit": limit, "owner": owner, "lease": lease},
    )
    return [_case(row) for row in await cursor.fetchall()]


async def move(connection: Connection, owner: str, moves: Iterable[Move]) -> None:
    """Moves leased cases on and gives the leases back. A case whose lease another worker took is left alone."""
    rows = [
        {
            "id": m.case_id,
            "stage": m.stage,
            "delay": m.delay,
            "target": m.target,
            "outcome": m.outcome,
            "error": m.error,
        }
        for m in moves
    ]
    if not rows:
        return
    await connection.execute(
        """
        update case_file c
        set stage = m.stage,
            due_at = now() + make_interval(secs => m.delay),
            attempts = case when c.stage = m.stage then c.attempts else 0 end,
            target = coalesce(m.target, c.target),
            verdict_outcome = coalesce(m.outcome, c.verdict_outcome),
            error = m.error,
            lease_owner = null,
            lease_until = null
        from jsonb_to_recordset(%(rows)s) as m(id text, stage text, delay float8, target smallint, outcome text, error jsonb)
        where c.id = m.id and c.lease_owner = %(owner)s
        """,
        {"rows": Jsonb(rows), "owner": owner},
    )


async def wake(connection: Connection, case_ids: Sequence[str], stage: str, *, only: Sequence[str] = ()) -> list[str]:
    """Makes undecided cases due in `stage` now, unless a worker holds them; `only` limits it to cases in those stages."""
    cursor = await connection.execute(
        """
        update case_file set stage = %(stage)s, due_at = now(), attempts = 0, error = null
        where id = any(%(ids)s) and (lease_until is null or lease_until < now()) and status in (0, 1, 2)
          and (cardinality(%(only)s::text[]) = 0 or stage = any(%(only)s))
        returning id
        """,
        {"stage": stage, "ids": list(case_ids), "only": list(only)},
    )
    return [str(row["id"]) for row in await cursor.fetchall()]


async def held(connection: Connection, case_ids: Sequence[str], stage: str) -> list[str]:
    """Those of the cases that a worker holds in `stage`."""
    cursor = await connection.execute(
        "select id from case_file where id = any(%s) and stage = %s and lease_until >= now()", [list(case_ids), stage]
    )
    return [str(row["id"]) for row in await cursor.fetchall()]


async def amend(connection: Connection, case_id: str, application: Row, *, deadline: dict[str, Any]) -> None:
    """Takes over an amended situation, form and materials, with the term that the situation has, and starts the case's
    evidence anew."""
    await connection.execute(
        """
        update case_file c
        set situation = a.situation, situation_salt = a.situation_salt, form = a.form, delivery = a.delivery,
            deadline = %s, stage = 'intake', due_at = now(), attempts = 0, error = null, lease_owner = null,
            lease_until = null
        from application a where c.id = %s and a.id = %s
        """,
        [Jsonb(deadline), case_id, application["id"]],
    )


async def withdraw(connection: Connection, case_id: str) -> None:
    """Sends a case to be sealed as withdrawn."""
    await connection.execute(
        """
        update case_file set target = 5, stage = 'seal', due_at = now(), attempts = 0, error = null, lease_owner = null,
            lease_until = null
        where id = %s
        """,
        [case_id],
    )


async def revoke(connection: Connection, orders: dict[str, str]) -> None:
    """Takes revocation orders {case: JWS} of the leads' officers and sends the cases to be sealed."""
    rows = [{"id": case_id, "order": order} for case_id, order in orders.items()]
    await connection.execute(
        """
        update case_file c set revocation = r."order", target = 6, stage = 'seal', due_at = now(), attempts = 0,
            lease_owner = null, lease_until = null
        from jsonb_to_recordset(%s) as r(id text, "order" text) where c.id = r.id and c.status in (3, 7)
        """,
        [Jsonb(rows)],
    )


async def due_stages(connection: Connection) -> list[str]:
    """The stages that have due, unleased work."""
    cursor = await connection.execute(
        """
        select distinct stage from case_file
        where stage not in ('waiting', 'done') and due_at <= now() and (lease_until is null or lease_until < now())
        """
    )
    return [str(row["stage"]) for row in await cursor.fetchall()]


async def insert(
    connection: Connection,
    *,
    case_id: str,
    application: Row,
    mandate_hash: str,
    mandate: str,
    day: date,
    deadline: dict[str, Any],
) -> bool:
    """Submits an application as a case with its first mandate. False when the case is already there."""
    cursor = await connection.execute(
        """
        insert into case_file (id, subject, scenario, version, binding, situation, situation_salt, form, delivery, day, deadline)
        select %(id)s, subject, scenario, version, binding, situation, situation_salt, form, delivery, %(day)s, %(deadline)s
        from application where id = %(application)s
        on conflict (id) do nothing
        returning id
        """,
        {"id": case_id, "application": application["id"], "day": day, "deadline": Jsonb(deadline)},
    )
    if await cursor.fetchone() is None:
        return False
    await add_mandate(connection, case_id, mandate_hash, mandate)
    return True


async def add_mandate(connection: Connection, case_id: str, mandate_hash: str, mandate: str) -> None:
    """Chains a mandate to its case. The same mandate twice is the same mandate."""
    await connection.execute(
        """
        insert into mandate (hash, case_id, position, jws)
        select %(hash)s, %(case)s, count(*), %(jws)s from mandate where case_id = %(case)s
        on conflict (hash) do nothing
        """,
        {"hash": mandate_hash, "case": case_id, "jws": mandate},
    )


async def mandates(connection: Connection, case_ids: Sequence[str]) -> dict[str, list[str]]:
    """The mandates of each case, oldest first."""
    cursor = await connection.execute(
        "select case_id, jws from mandate where case_id = any(%s) order by case_id, position", [list(case_ids)]
    )
    found: dict[str, list[str]] = {case_id: [] for case_id in case_ids}
    for row in await cursor.fetchall():
        found[str(row["case_id"])].append(str(row["jws"]))
    return found


async def get(connection: Connection, case_id: str) -> CaseRow | None:
    """One case, or None."""
    cursor = await connection.execute(f"select {COLUMNS} from case_file c where c.id = %s", [case_id])
    row = await cursor.fetchone()
    return _case(row) if row else None


async def many(connection: Connection, case_ids: Sequence[str]) -> list[CaseRow]:
    """Several cases."""
    cursor = await connection.execute(f"select {COLUMNS} from case_file c where c.id = any(%s)", [list(case_ids)])
    return [_case(row) for row in await cursor.fetchall()]


async def newest(
    connection: Connection, *, subject: str | None, limit: int, before: tuple[datetime, str] | None = None
) -> list[CaseRow]:
    """Cases, newest first: those of one person, or everybody's when `subject` is None; with `before`, those that come
    after the case submitted at that moment and with that id."""
    moment, case_id = before if before is not None else (None, None)
    cursor = await connection.execute(
        f"""
        select {COLUMNS} from case_file c
        where (%(subject)s::text is null or c.subject = %(subject)s)
          and (%(moment)s::timestamptz is null or (c.submitted_at, c.id) < (%(moment)s, %(id)s))
        order by c.submitted_at desc, c.id desc limit %(limit)s
        """,
        {"subject": subject, "moment": moment, "id": case_id, "limit": limit},
    )
    return [_case(row) for row in await cursor.fetchall()]


async def note(connection: Connection, events: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
    """Adds (case, kind, detail) to the cases' stories."""
    rows = [{"case_id": case_id, "kind": kind, "detail": detail} for case_id, kind, detail in events]
    if rows:
        await connection.execute(
            """
            insert into event (case_id, kind, detail)
            select e.case_id, e.kind, e.detail from jsonb_to_recordset(%s) as e(case_id text, kind text, detail jsonb)
            """,
            [Jsonb(rows)],
        )


async def told(connection: Connection, case_ids: Sequence[str], kind: str, recall: str) -> set[str]:
    """Those of the cases whose story has this recall already."""
    cursor = await connection.execute(
        "select distinct case_id from event where case_id = any(%s) and kind = %s and detail ->> 'recall' = %s",
        [list(case_ids), kind, recall],
    )
    return {str(row["case_id"]) for row in await cursor.fetchall()}


async def having(connection: Connection, case_ids: Sequence[str], kind: str) -> set[str]:
    """Those of the cases whose story has an event of this kind."""
    cursor = await connection.execute(
        "select distinct case_id from event where case_id = any(%s) and kind = %s", [list(case_ids), kind]
    )
    return {str(row["case_id"]) for row in await cursor.fetchall()}


async def story(connection: Connection, case_id: str, *, after: int = 0) -> list[Row]:
    """What happened to a case, in order."""
    cursor = await connection.execute(
        "select id, at, kind, detail from event where case_id = %s and id > %s order by id", [case_id, after]
    )
    return await cursor.fetchall()
