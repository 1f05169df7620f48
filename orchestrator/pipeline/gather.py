"""Gather: due questions go out, one signed batch per department, and the signed answers come in.

A department that does not answer is asked again, ever more slowly, inside a window; meanwhile the applicant is offered
the material, and once it is there nobody waits for the department any longer. What a department answers is stored as it came: only an approver judges it.
What is not for this side to read is not stored at all.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import EvidenceItem
from orchestrator.pipeline.context import Context
from orchestrator.protocol.answer import AnswerEnvelope, read_answer
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.question import Question
from orchestrator.protocol.sdjwt import open_disclosure
from orchestrator.store import batches, cases, evidence
from orchestrator.store.cases import CaseRow, Connection, Move
from orchestrator.store.evidence import QuestionRow

BATCH = 256
log = structlog.get_logger()


async def ask(context: Context, due: Sequence[QuestionRow], mandates: dict[str, list[str]]) -> None:
    """Asks every due question, all departments at once, and writes what came back in one statement each."""
    by_seat: dict[int, list[QuestionRow]] = defaultdict(list)
    for question in due:
        by_seat[question.seat].append(question)
    await asyncio.gather(
        *(
            _ask_seat(context, seat, rows[start : start + BATCH], mandates)
            for seat, rows in by_seat.items()
            for start in range(0, len(rows), BATCH)
        )
    )


async def _ask_seat(context: Context, number: int, rows: Sequence[QuestionRow], mandates: dict[str, list[str]]) -> None:
    questions = [Question(mandate=r.mandate, item=r.item, index=r.idx, purpose=r.purpose) for r in rows]
    chained = [jws for case_id in dict.fromkeys(row.case_id for row in rows) for jws in mandates[case_id]]
    try:
        items = await _items(context, rows, mandates)
        seat = await context.view.seat(number)
        result = await context.gateways.ask(seat, questions, chained)
        seat = await context.view.seat(number)  # its keys may have changed while it answered
        answers = [
            answer_row(envelope, seat.key_of("evidence", envelope.answer), item)
            for envelope, item in zip(result.answers, items, strict=True)
        ]
    except LianbanError as error:
        log.warning("department-did-not-answer", seat=number, questions=len(rows), code=error.code)
        async with context.pool.connection() as connection:
            await evidence.record_outage(
                connection,
                [row.id for row in rows],
                window=context.pace.outage_window,
                first=context.pace.retry_first,
                most=context.pace.retry_most,
            )
        return
    async with context.pool.connection() as connection:
        await evidence.record_answers(connection, answers)
        await batches.keep_heads(
            connection,
            [
                {
                    "seat": number,
                    "size": result.head.size,
                    "root": result.head.root,
                    "signature": result.head.signature,
                }
            ],
        )


async def _items(context: Context, rows: Sequence[QuestionRow], mandates: dict[str, list[str]]) -> list[EvidenceItem]:
    """The evidence item of each question, as the scenario version of its case has it."""
    versions = {case: str(peek_jws(mandates[case][0])[1]["version"]) for case in {row.case_id for row in rows}}
    return [(await context.definitions.get(versions[row.case_id])).item(row.item) for row in rows]


def answer_row(envelope: AnswerEnvelope, key: Mapping[str, Any], item: EvidenceItem) -> dict[str, Any]:
    """What is stored of an answer to a question about `item`.

    Raises Refused for one that its department did not sign, which is no answer at all, and for one that discloses more than
    the scenario lets this side read: such an answer is not kept.
    """
    answer = read_answer(envelope, key)
    if answer.question != envelope.question:
        raise Refused("应答与问题不符", detail_en="the answer is to another question", code="wrong-question")
    if not answer.claims.keys() <= {claim.key for claim in item.claims if not claim.sealed_to}:
        raise Refused(
            "应答公开了不应公开的核验项",
            detail_en="the answer discloses a claim that is not for the orchestrator",
            code="discloses-too-much",
        )
    return {
        "id": envelope.question,
        "state": "answered" if answer.result == "answered" else "refused",
        "attempt": envelope.attempt,
        "envelope": envelope.model_dump(mode="json"),
        "answer_hash": jws_hash(envelope.answer),
        "reason": answer.reason,
    }


async def gather(context: Context, claimed: list[CaseRow]) -> list[Move]:
    """Asks what is due for many cases; a case goes on when nothing of it is outstanding."""
    ids = [case.id for case in claimed]
    async with context.pool.connection() as connection:
        due = await evidence.questions(connection, ids, due=True)
        mandates = await cases.mandates(connection, ids)
    await ask(context, due, mandates)
    async with context.pool.connection() as connection:
        for case in claimed:
            await _stop_waiting(connection, await context.definitions.get(case.version), case.id)
        rows = await evidence.questions(connection, ids)
        open_questions: dict[str, list[QuestionRow]] = defaultdict(list)
        for row in rows:
            if row.state == "due":
                open_questions[row.case_id].append(row)
        events: list[tuple[str, str, dict[str, Any]]] = []
        for case in claimed:
            waiting = open_questions.get(case.id, [])
            if waiting and (case.error or {}).get("code") != "department-down":
                events.append((case.id, "department-down", {"items": sorted({row.item for row in waiting})}))
            if not waiting:
                answered = [row for row in rows if row.case_id == case.id]
                detail = {"answered": sum(row.state == "answered" for row in answered), "asked": len(answered)}
                events.append((case.id, "gathered", detail))
        await cases.note(connection, events)
    moves: list[Move] = []
    for case in claimed:
        waiting = open_questions.get(case.id, [])
        if waiting:
            tries = max(row.tries for row in waiting)
            delay = min(context.pace.retry_first * 2 ** min(tries, 20), context.pace.retry_most)
            error = {"code": "department-down", "items": sorted({row.item for row in waiting})}
            moves.append(Move(case_id=case.id, stage="gather", delay=delay, error=error))
        else:
            moves.append(Move(case_id=case.id, stage="decide"))
    return moves


async def _stop_waiting(connection: Connection, scenario: Scenario, case_id: str) -> None:
    """Gives up what a department did not answer when asked, once the applicant has brought every material that can stand in
    for it. What no material stands in for is given up with it: an officer looks at that."""
    brought = {str(each["id"]) for each in (await evidence.materials(connection, [case_id]))[case_id]}
    if not brought:
        return
    late: dict[int, set[str]] = defaultdict(set)
    for row in await evidence.questions(connection, [case_id]):
        if row.state == "due" and row.tries > 0:
            late[row.seat].add(row.item)
    for items in late.values():
        instead = {each.id for each in scenario.materials if items & set(each.replaced_by)}
        if instead and instead <= brought:
            await evidence.give_up(connection, case_id, sorted(items))


def open_claims(rows: Sequence[QuestionRow], scenario: Scenario) -> dict[str, Any]:
    """What the orchestrator may read, as `<role>.<claim>`: predicates that steer the case. Several subjects of one role
    count together: false before unknown before true."""
    values: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        item = scenario.item(row.item)
        if row.envelope is None or row.state != "answered":
            continue
        claims = dict(open_disclosure(text) for text in row.envelope["disclosures"])
        for claim in item.claims:
            if claim.key in claims:
                values[f"{item.subject}.{claim.key}"].append(claims[claim.key])
    return {name: _worst(found) for name, found in values.items()}


def _worst(values: list[Any]) -> Any:
    for value in (False, "unknown"):
        if value in values:
            return value
    return values[0]
