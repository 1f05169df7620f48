"""Where promises come from: files with answers, and for an operator the answers and heads in its own store."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson

from orchestrator.audit.statements import Promise, by_seat
from orchestrator.database import Pool
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.ports import SeatView

MOST_BYTES: Final = 16 * 1024 * 1024


def read_promises(file: Path, seat: SeatView) -> list[Promise]:
    """What a seat's answers in a file promise: one answer, a list of them, a case's documents (`GET /cases/{id}/documents`)
    or what a gateway answered. Raises Invalid when there is none of that seat, or one that it did not sign."""
    try:
        content = orjson.loads(file.read_bytes()) if file.stat().st_size <= MOST_BYTES else None
        if isinstance(content, dict) and "answers" in content:
            head = content.get("head")
            content = [_with_head(each, head) if head else each for each in content["answers"]]
        envelopes = [AnswerEnvelope.parse(each) for each in (content if isinstance(content, list) else [content])]
    except (ValueError, KeyError, TypeError, AttributeError, Invalid):
        raise _none(file, "不是核验应答", "that holds no answers") from None
    promises = _promises([each for each in envelopes if by_seat(each, seat.number)], seat, file)
    if not promises:
        raise _none(
            file, "其中没有该部门载明日志位置的应答", "no answer of this department with its place in the log is in it"
        )
    return promises


async def kept_promises(pool: Pool, seat: SeatView, *, size: int, at: int) -> tuple[list[Promise], list[SignedHead]]:
    """What the operator's store has of a seat: the newest signed head, and the answers that an audit which found the log in
    order at `size` and `at` (seconds since 1970) cannot have looked at: whose place is beyond, or that came since."""
    async with pool.connection() as connection:
        found = await connection.execute(
            """
            select a.envelope from answer a join question q on q.id = a.question
            where q.seat = %s and (
                (a.envelope->'log'->>'index')::bigint >= %s or a.answered_at >= to_timestamp(%s) - interval '1 hour'
            )
            order by a.answered_at
            """,
            [seat.number, size, at],
        )
        envelopes = [AnswerEnvelope.parse(row["envelope"]) for row in await found.fetchall()]
        heads = await connection.execute(
            "select seat, size, root, signature from seat_head where seat = %s and signature <> ''", [seat.number]
        )
        return _promises(envelopes, seat, None), [SignedHead.parse(row) for row in await heads.fetchall()]


def _promises(envelopes: list[AnswerEnvelope], seat: SeatView, file: Path | None) -> list[Promise]:
    try:
        found = [Promise.of(each, seat) for each in envelopes]
    except (Refused, Invalid) as error:
        where = file or Path("answer")
        raise _none(
            where, f"应答不是该席位签署的:{error.detail}", f"the seat did not sign it: {error.detail_en}"
        ) from None
    return [each for each in found if each is not None]


def _with_head(envelope: Any, head: Any) -> Any:
    return {**envelope, "log": {"head": SignedHead.parse(head).model_dump(mode="json"), **envelope["log"]}}


def _none(file: Path, detail: str, detail_en: str) -> Invalid:
    return Invalid(
        field=file.name,
        detail=detail,
        detail_en=detail_en,
        remedy="取自 GET /api/v1/cases/{id}/documents / fetch them from there",
        code="no-promise",
    )
