"""Contests: an applicant's objections are carried to the departments that answered, and the case goes on with the reply.

While a department's term runs, no approver decides; the case waits. A corrected record is asked for anew. A claim that the
department lets stand, or does not reply about, goes back to the approvers as it is, with the contest and the reply beside it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from orchestrator.domain.case import Status
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.pipeline.context import Context
from orchestrator.pipeline.recalls import MOVABLE, OPEN, recalls_of
from orchestrator.protocol.contest import Carried, read_reply
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.ports import SeatView, seat_knowing
from orchestrator.protocol.wire import read_model
from orchestrator.store import cases, contests, evidence
from orchestrator.store.cases import Connection
from orchestrator.store.contests import ContestRow

PORTION: Final = 64
"""Contests of one request: what a gateway takes."""
BEIJING: Final = ZoneInfo("Asia/Shanghai")
log = structlog.get_logger()


async def take_contests(context: Context) -> int:
    """Carries new contests, asks for replies, notes terms that ended, and moves the cases on. Returns how many went on."""
    today = context.now().astimezone(BEIJING).date()
    async with context.pool.connection() as connection:
        lapsed = await contests.lapse(connection, today)
        await cases.note(connection, [(case_id, "contest-lapsed", {"contest": name}) for case_id, name in lapsed])
        busy = await contests.busy(connection)
    by_seat: dict[int, list[ContestRow]] = defaultdict(list)
    for row in busy:
        if row.state in ("new", "open"):
            by_seat[row.seat].append(row)
    await asyncio.gather(*(_exchange(context, number, rows) for number, rows in by_seat.items()))
    async with context.pool.connection() as connection:
        unfollowed = [row for row in await contests.busy(connection) if not row.followed]
    for number in sorted({row.seat for row in unfollowed if row.state == "corrected"}):
        # While the case is open still: once it is decided on the new answer, the recall of the old one is none of its business.
        await recalls_of(context, number)
    return sum([await _go_on(context, row) for row in unfollowed])


async def _exchange(context: Context, number: int, rows: list[ContestRow]) -> None:
    """What is new goes to one department, and what it has replied comes back. One that is down is asked again next time."""
    fresh, waiting = ([row for row in rows if row.state == state] for state in ("new", "open"))
    try:
        seat = await context.view.seat(number)
        for start in range(0, len(fresh), PORTION):
            await _deliver(context, seat, fresh[start : start + PORTION])
        for start in range(0, len(waiting), PORTION):
            await _fetch(context, seat, waiting[start : start + PORTION])
    except LianbanError as error:
        log.info("contests-not-exchanged", seat=number, contests=len(rows), code=error.code)


async def _deliver(context: Context, seat: SeatView, rows: list[ContestRow]) -> None:
    body = {"contests": [{"contest": row.jws, "statement": row.statement} for row in rows]}
    answer = await context.gateways.send(seat, "contests", "contests", body)
    refused = {str(each["contest"]): each for each in answer["refused"]}
    taken = set(answer["taken"])
    async with context.pool.connection() as connection:
        for row in rows:
            why = refused.get(row.hash)
            if why is not None:
                problem = {name: str(why.get(name, "")) for name in ("code", "detail", "detail_en")}
                await contests.delivered(connection, row.hash, problem)
                await cases.note(connection, [(row.case_id, "contest-refused", {"contest": row.hash, **problem})])
            elif row.hash in taken:
                await contests.delivered(connection, row.hash, None)


async def _fetch(context: Context, seat: SeatView, rows: list[ContestRow]) -> None:
    asked = {row.hash: row for row in rows}
    answer = await context.gateways.send(seat, "contests/replies", "replies", {"contests": sorted(asked)})
    for each in answer["replies"]:
        carried = read_model(Carried, each, code="bad-gateway")
        row = asked.get(jws_hash(carried.contest))
        if row is None or carried.reply is None:
            continue
        reply = read_reply(carried.reply, await seat_knowing(context.view, seat, "evidence", [carried.reply]))
        if reply.contest != row.hash or reply.case != row.case_id:
            raise Refused("答复与异议不符", detail_en="the reply is to another contest", code="wrong-reply")
        async with context.pool.connection() as connection:
            if await contests.replied(connection, row.hash, reply.outcome, carried.reply, carried.sealed):
                kind = "contest-corrected" if reply.outcome == "corrected" else "contest-rejected"
                await cases.note(connection, [(row.case_id, kind, {"contest": row.hash})])


async def _go_on(context: Context, row: ContestRow) -> bool:
    """Wakes the case of a contest that is new or has come to something; one with an outcome on its way is left until that has
    landed."""
    async with context.pool.connection() as connection:
        case = await cases.get(connection, row.case_id)
        if case is None or Status(case.status) not in OPEN:
            # A decision that has settled stands; what the department took back has its approvers look again.
            await contests.followed(connection, row.hash)
            return False
        if not await cases.wake(connection, [row.case_id], "gather", only=MOVABLE):
            return False
        if row.state == "corrected" and await _old(connection, row):
            await evidence.ask_again(connection, [row.case_id], items=[row.item])
        await contests.followed(connection, row.hash)
        return True


async def _old(connection: Connection, row: ContestRow) -> bool:
    """Whether the newest answer is from before the reply; the recall may have had it asked again already."""
    asked = [each for each in await evidence.questions(connection, [row.case_id]) if each.item == row.item]
    return any(
        each.answered_at is None or row.replied_at is None or each.answered_at < row.replied_at for each in asked
    )
