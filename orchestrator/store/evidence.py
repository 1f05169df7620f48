"""Questions and answers, materials, verdicts, credentials: what a case rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from orchestrator.database import Row
from orchestrator.store.cases import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRow:
    """One question to one seat and the latest that is known of its answer."""

    id: str
    case_id: str
    mandate: str
    item: str
    idx: int
    seat: int
    purpose: Literal["decide", "push"]
    state: str
    """due, answered, refused, unavailable (given up after the window) or brought (the material came meanwhile)."""
    tries: int
    asked_at: datetime | None
    attempt: int | None
    envelope: dict[str, Any] | None
    answer_hash: str | None
    answered_at: datetime | None
    reason: str | None


COLUMNS = ", ".join(f"q.{name}" for name in QuestionRow.__slots__)


def _question(row: Row) -> QuestionRow:
    return QuestionRow(**row)


async def add_questions(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Inserts questions ({id, case_id, mandate, item, idx, seat, purpose}); those that are there are asked again."""
    questions = list(rows)
    if questions:
        await connection.execute(
            """
            insert into question (id, case_id, mandate, item, idx, seat, purpose)
            select q.id, q.case_id, q.mandate, q.item, q.idx, q.seat, q.purpose
            from jsonb_to_recordset(%s)
                as q(id text, case_id text, mandate text, item text, idx int, seat int, purpose text)
            on conflict (id) do update set state = 'due', tries = 0, asked_at = null, next_at = now()
            """,
            [Jsonb(questions)],
        )


async def questions(
    connection: Connection, case_ids: Sequence[str], *, purpose: str = "decide", due: bool = False
) -> list[QuestionRow]:
    """The questions of the newest mandate of each case; with `due`, those to be asked now."""
    cursor = await connection.execute(
        f"""
        with newest as (
            select distinct on (case_id) case_id, hash from mandate where case_id = any(%(ids)s)
            order by case_id, position desc
        )
        select {COLUMNS} from question q join newest n on n.hash = q.mandate
        where q.purpose = %(purpose)s and (not %(due)s or (q.state = 'due' and q.next_at <= now()))
        order by q.case_id, q.item, q.idx
        """,
        {"ids": list(case_ids), "purpose": purpose, "due": due},
    )
    return [_question(row) for row in await cursor.fetchall()]


async def record_answers(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Writes what came back: {id, state, attempt, envelope, answer_hash, reason} for many questions."""
    answers = list(rows)
    if answers:
        await connection.execute(
            """
            with a as (
                select * from jsonb_to_recordset(%s)
                    as a(id text, state text, attempt int, envelope jsonb, answer_hash text, reason text)
            ), kept as (
                insert into answer (hash, question, envelope)
                select a.answer_hash, a.id, a.envelope from a join question q on q.id = a.id
                on conflict do nothing
            )
            update question q
            set state = a.state, attempt = a.attempt, envelope = a.envelope, answer_hash = a.answer_hash, reason = a.reason,
                answered_at = now(), asked_at = coalesce(q.asked_at, now()), tries = q.tries + 1
            from a where q.id = a.id
            """,
            [Jsonb(answers)],
        )


async def answers_under(connection: Connection, case_id: str) -> list[dict[str, Any]]:
    """The envelopes of the answers that a case's dossier rests on, and of those that came since, oldest first."""
    cursor = await connection.execute(
        """
        select a.envelope from answer a join question q on q.id = a.question
        where q.case_id = %(case)s and q.purpose = 'decide'
          and (a.hash = q.answer_hash
               or exists (select from leaf l where l.case_id = %(case)s and l.kind = 'answer' and l.content = a.hash))
        order by a.answered_at, q.item, q.idx
        """,
        {"case": case_id},
    )
    return [row["envelope"] for row in await cursor.fetchall()]


async def resting_on(connection: Connection, seat: int, hashes: Sequence[str]) -> dict[str, list[str]]:
    """The cases that rest on these answers of a seat, in their dossier or as the newest, each with the items that were answered."""
    cursor = await connection.execute(
        """
        select q.case_id, array_agg(distinct q.item) as items
        from answer a join question q on q.id = a.question
        where q.seat = %s and a.hash = any(%s) and q.purpose = 'decide'
          and (q.answer_hash = a.hash
               or exists (select from leaf l where l.case_id = q.case_id and l.kind = 'answer' and l.content = a.hash))
        group by q.case_id
        """,
        [seat, list(hashes)],
    )
    return {str(row["case_id"]): list(row["items"]) for row in await cursor.fetchall()}


async def record_outage(
    connection: Connection, ids: Sequence[str], *, window: float, first: float, most: float
) -> None:
    """Notes that a seat did not answer: the next try comes after `first`·2^tries seconds (at most `most`); questions
    first asked more than `window` seconds ago are given up."""
    if ids:
        await connection.execute(
            """
            update question
            set tries = tries + 1,
                asked_at = coalesce(asked_at, now()),
                next_at = now() + make_interval(secs => least(%(first)s * 2 ^ least(tries, 20), %(most)s)),
                state = case when coalesce(asked_at, now()) + make_interval(secs => %(window)s) <= now()
                        then 'unavailable' else 'due' end,
                reason = 'unavailable'
            where id = any(%(ids)s)
            """,
            {"ids": list(ids), "window": window, "first": first, "most": most},
        )


async def give_up(connection: Connection, case_id: str, items: Sequence[str]) -> None:
    """Stops waiting for the items whose material the applicant has brought."""
    await connection.execute(
        "update question set state = 'brought' where case_id = %s and item = any(%s) and state = 'due'",
        [case_id, list(items)],
    )


async def ask_again(connection: Connection, case_ids: Sequence[str], *, items: Sequence[str] | None = None) -> None:
    """Makes the questions of the newest mandates due once more (a supplement came, or an answer got too old)."""
    await connection.execute(
        """
        with newest as (
            select distinct on (case_id) case_id, hash from mandate where case_id = any(%(ids)s)
            order by case_id, position desc
        )
        update question q set state = 'due', tries = 0, asked_at = null, next_at = now()
        from newest n
        where n.hash = q.mandate and q.purpose = 'decide' and (%(items)s::text[] is null or q.item = any(%(items)s))
        """,
        {"ids": list(case_ids), "items": list(items) if items is not None else None},
    )


async def add_material(
    connection: Connection, case_id: str, material: str, digest: str, sealed: dict[str, str]
) -> None:
    """Keeps a sealed material. The same one twice is one, and the newest by the second time."""
    await connection.execute(
        "insert into material (case_id, material, hash, sealed) values (%s, %s, %s, %s)"
        " on conflict (case_id, material, hash) do update set added_at = now()",
        [case_id, material, digest, Jsonb(sealed)],
    )


async def materials(connection: Connection, case_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The newest version of each material of each case, as {id, hash, sealed}."""
    cursor = await connection.execute(
        """
        select distinct on (case_id, material) case_id, material as id, hash, sealed from material
        where case_id = any(%s) order by case_id, material, added_at desc
        """,
        [list(case_ids)],
    )
    found: dict[str, list[Row]] = {case_id: [] for case_id in case_ids}
    for row in await cursor.fetchall():
        found[str(row.pop("case_id"))].append(row)
    return found


async def add_verdicts(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Keeps verdicts {case_id, sequence, seat, jws, hash, outcome, rows, materials_wanted}; a newer one replaces."""
    verdicts = list(rows)
    if verdicts:
        await connection.execute(
            """
            insert into verdict (case_id, sequence, seat, jws, hash, outcome, rows, materials_wanted)
            select v.case_id, v.sequence, v.seat, v.jws, v.hash, v.outcome, v.rows, v.materials_wanted
            from jsonb_to_recordset(%s) as v(case_id text, sequence int, seat int, jws text, hash text, outcome text,
                                             rows jsonb, materials_wanted jsonb)
            on conflict (case_id, sequence, seat) do update
            set jws = excluded.jws, hash = excluded.hash, outcome = excluded.outcome, rows = excluded.rows,
                materials_wanted = excluded.materials_wanted
            """,
            [Jsonb(verdicts)],
        )


async def verdicts(connection: Connection, case_ids: Sequence[str]) -> dict[str, list[Row]]:
    """All verdicts of each case, by sequence and seat."""
    cursor = await connection.execute(
        "select * from verdict where case_id = any(%s) order by case_id, sequence, seat", [list(case_ids)]
    )
    found: dict[str, list[Row]] = {case_id: [] for case_id in case_ids}
    for row in await cursor.fetchall():
        found[str(row["case_id"])].append(row)
    return found


async def add_credentials(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Keeps credentials {case_id, jwt, sealed}."""
    credentials = list(rows)
    if credentials:
        await connection.execute(
            """
            insert into credential (case_id, jwt, sealed)
            select c.case_id, c.jwt, c.sealed from jsonb_to_recordset(%s) as c(case_id text, jwt text, sealed text)
            on conflict (case_id) do update set jwt = excluded.jwt, sealed = excluded.sealed
            """,
            [Jsonb(credentials)],
        )


async def add_credential_types(connection: Connection, documents: Iterable[tuple[str, str, bytes]]) -> None:
    """Keeps type metadata as (integrity, vct, document)."""
    for row in documents:
        await connection.execute(
            "insert into credential_type (integrity, vct, document) values (%s, %s, %s) on conflict do nothing", row
        )


async def credential_type(connection: Connection, vct: str, integrity: str | None) -> bytes | None:
    """The type metadata of that hash, else the newest of a type; None when there is none."""
    cursor = await connection.execute(
        """
        select document from credential_type where vct = %s and (%s::text is null or integrity = %s)
        order by since desc limit 1
        """,
        [vct, integrity, integrity],
    )
    row = await cursor.fetchone()
    return bytes(row["document"]) if row else None


async def credentials(connection: Connection, case_ids: Sequence[str]) -> dict[str, Row]:
    """The credential of each case that has one."""
    cursor = await connection.execute("select * from credential where case_id = any(%s)", [list(case_ids)])
    return {str(row["case_id"]): row for row in await cursor.fetchall()}


async def set_leaves(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Closes dossiers on leaves {case_id, kind, salt, content, sequence}: one that is there keeps its salt, one of a
    transition that has not settled and that is no longer among them goes."""
    leaves = list(rows)
    if leaves:
        await connection.execute(
            """
            with wanted as (
              select l.case_id, l.kind, l.salt, l.content, l.sequence
              from jsonb_to_recordset(%s) as l(case_id text, kind text, salt text, content text, sequence int)
            ), gone as (
              delete from leaf l using case_file c
              where l.case_id = c.id and l.sequence > c.sequence and c.id in (select case_id from wanted)
                and not exists (select from wanted w
                                where (w.case_id, w.kind, w.content) = (l.case_id, l.kind, l.content))
            )
            insert into leaf (case_id, kind, salt, content, sequence) select * from wanted on conflict do nothing
            """,
            [Jsonb(leaves)],
        )


async def leaves(connection: Connection, case_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The dossier leaves of each case, in a fixed order."""
    cursor = await connection.execute(
        """
        select case_id, kind, salt, content, sequence from leaf where case_id = any(%s)
        order by case_id, sequence, kind, content
        """,
        [list(case_ids)],
    )
    found: dict[str, list[Row]] = {case_id: [] for case_id in case_ids}
    for row in await cursor.fetchall():
        found[str(row["case_id"])].append(row)
    return found
