"""Recalls: what departments took back is found in the cases that rest on it.

A case that is still open has the answer asked again, so that it goes on with the corrected one. A decision is put before the
approvers who made it, and its holder is told. Nothing is undone here: an approver's officer revokes, or lets it stand.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

import structlog

from orchestrator.domain.case import Status
from orchestrator.domain.errors import LianbanError
from orchestrator.pipeline.context import Context
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.recall import Recall, read_recall
from orchestrator.protocol.wire import seat_ref
from orchestrator.store import batches, cases, evidence

log = structlog.get_logger()

OPEN = frozenset({Status.NONE, Status.ACCEPTED, Status.RETURNED})
MOVABLE = ("intake", "gather", "decide", "waiting")
"""Stages from which a case can go back to be asked again; from the others an outcome is on its way."""


async def take_recalls(context: Context) -> int:
    """Asks the providers what they recalled since the last time and follows it up. Returns how many cases it reached."""
    seats = sorted({seat for binding in await context.view.bindings() for seat in binding.providers})
    return sum(await asyncio.gather(*(_recalls(context, seat) for seat in seats)))


async def _recalls(context: Context, number: int) -> int:
    """One seat's recalls, each followed up as a whole before the next: what fails is tried again, and is harmless twice."""
    name, reached = f"recalls:{number}", 0
    async with context.pool.connection() as connection:
        since = await batches.cursor_value(connection, name)
    try:
        seat = await context.view.seat(number)
        found = await context.gateways.send(seat, "recalls", "recalls", {"since": since})
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
    decided = [case for case in found.values() if Status(case.status) in (Status.APPROVED, Status.REFUSED)]
    by_approver: dict[int, list[dict[str, str]]] = defaultdict(list)
    for case in decided:
        for approver in (await context.view.binding(case.binding)).approvers:
            by_approver[approver].append({"case": case.id, "recall": jws})
    for approver, reviews in sorted(by_approver.items()):
        await context.gateways.send(await context.view.seat(approver), "reviews", "reviews", {"reviews": reviews})
    detail = {"seat": number, "recall": jws_hash(jws), "reason": peek_jws(jws)[1]["reason"]}
    async with context.pool.connection() as connection:
        told = await cases.told(connection, list(found), "recalled", jws_hash(jws))
        for case in still_open:
            if case.id not in told:
                await evidence.ask_again(connection, [case.id], items=resting[case.id])
                if not await cases.wake(connection, [case.id], "gather", only=MOVABLE):
                    return None
        events = [(case.id, "recalled", detail) for case in (*still_open, *decided) if case.id not in told]
        await cases.note(connection, events)
    return len(events)
