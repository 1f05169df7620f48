"""Recalls: what departments took back is found in the cases that rest on it.

A case that is still open has the answer asked again, so that it goes on with the corrected one. A decision is put before the
approvers who made it, and its holder is told. Where the scenario says so (`on_recall: suspend`), an approval goes to be
suspended until the officers have looked again; the lead's gateway checks that by itself. Nothing is undone here: an
approver's officer revokes, or lets it stand.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

import structlog

from orchestrator.domain.case import Status
from orchestrator.domain.errors import LianbanError
from orchestrator.pipeline.context import Context
from orchestrator.pipeline.telling import tell
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.ports import seat_knowing
from orchestrator.protocol.recall import Recall, read_recall
from orchestrator.protocol.wire import seat_ref
from orchestrator.store import batches, cases, evidence, standing
from orchestrator.store.cases import CaseRow

log = structlog.get_logger()

OPEN = frozenset({Status.NONE, Status.ACCEPTED, Status.RETURNED})
DECIDED = frozenset({Status.APPROVED, Status.REFUSED, Status.SUSPENDED})
MOVABLE = ("intake", "gather", "decide", "waiting")
"""Stages from which a case can go back to be asked again; from the others an outcome is on its way."""


async def take_recalls(context: Context) -> int:
    """Asks the providers what they recalled since the last time and follows it up. Returns how many cases it reached."""
    seats = sorted({seat for binding in await context.view.bindings() for seat in binding.providers})
    return sum(await asyncio.gather(*(recalls_of(context, seat) for seat in seats)))


async def recalls_of(context: Context, number: int) -> int:
    """One seat's recalls, each followed up as a whole before the next: what fails is tried again, and is harmless twice."""
    name, reached = f"recalls:{number}", 0
    async with context.pool.connection() as connection:
        since = await batches.cursor_value(connection, name)
    try:
        seat = await context.view.seat(number)
        found = await context.gateways.send(seat, "recalls", "recalls", {"since": since})
        seat = await seat_knowing(context.view, seat, "evidence", found["recalls"])
        for jws in found["recalls"]:
            recall = read_recall(jws, seat.key_of("evidence", jws))
            if recall.iss != seat_ref(number):
                continue
            followed = await _follow_up(context, number, jws, recall)
            if followed is None:
                return reached
            reached += followed
    except LianbanError as error:
        log.info("recalls-not-taken", seat=number, code=error.code)
        return reached
    async with context.pool.connection() as connection:
        await batches.set_cursor(connection, name, found["next"])
    return reached


async def _follow_up(context: Context, number: int, jws: str, recall: Recall) -> int | None:
    """How many cases a recall reached; None when one of them has an outcome on its way, so that it is too early."""
    hashes = [answer.hash for answer in recall.answers]
    async with context.pool.connection() as connection:
        resting = await evidence.resting_on(connection, number, hashes)
        found = {case.id: case for case in await cases.many(connection, list(resting))}
    still_open = [case for case in found.values() if Status(case.status) in OPEN]
    if any(case.stage not in MOVABLE for case in still_open):
        return None
    decided = [case for case in found.values() if Status(case.status) in DECIDED]
    leads = {case.id: (await context.view.binding(case.binding)).approvers[0] for case in decided}
    on_desk = await _bring(context, decided, jws)
    rows = [
        {
            "case_id": case.id,
            "kind": "recall",
            "hash": jws_hash(jws),
            "seat": number,
            "jws": jws,
            "suspends": await _suspends(context, case, resting[case.id]),
        }
        for case in decided
        if (leads[case.id], case.id) in on_desk
    ]
    detail = {"seat": number, "recall": jws_hash(jws), "reason": peek_jws(jws)[1]["reason"]}
    async with context.pool.connection() as connection:
        told = await cases.told(connection, list(found), "recalled", jws_hash(jws))
        for case in still_open:
            if case.id not in told:
                await evidence.ask_again(connection, [case.id], items=resting[case.id])
                if not await cases.wake(connection, [case.id], "gather", only=MOVABLE):
                    return None
        await standing.add_papers(connection, rows)
        due = [str(row["case_id"]) for row in rows if row["suspends"] and row["case_id"] not in told]
        going = await standing.suspend(connection, due)
        events = [(case.id, "recalled", detail) for case in (*still_open, *decided) if case.id not in told]
        await cases.note(connection, events)
        await cases.note(connection, [(case_id, "suspending", {"seat": leads[case_id]}) for case_id in going])
    for case in decided:
        if case.id not in told and case.id not in going:
            await tell(context, case, "recalled", jws_hash(jws))
    return len(events)


async def _bring(context: Context, decided: list[CaseRow], jws: str) -> set[tuple[int, str]]:
    """Puts decisions before their approvers; the (approver, case) on whose desk they are now, since its verdict rests on it."""
    by_approver: dict[int, list[dict[str, str]]] = defaultdict(list)
    for case in decided:
        for approver in (await context.view.binding(case.binding)).approvers:
            by_approver[approver].append({"case": case.id, "recall": jws})
    on_desk = set()
    for approver, reviews in sorted(by_approver.items()):
        seat = await context.view.seat(approver)
        answer = await context.gateways.send(seat, "reviews", "reviews", {"reviews": reviews})
        on_desk |= {(approver, str(case)) for case in answer["opened"]}
    return on_desk


async def _suspends(context: Context, case: CaseRow, items: list[str]) -> bool:
    """Whether the scenario says of one of the items that its recall suspends."""
    scenario = await context.definitions.get(case.version)
    return any(scenario.item(item).on_recall == "suspend" for item in items)
