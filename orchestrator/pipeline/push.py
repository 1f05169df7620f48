"""Push: what a settled outcome opens next, told to the holder.

A push may ask departments first, under a purpose of its own, only on approved cases and for a limited time; what it asks
is listed in the scenario and was on the notice that the applicant read.
"""

from __future__ import annotations

from typing import Any

from orchestrator.domain.case import Status
from orchestrator.domain.conditions import holds
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import Push
from orchestrator.domain.situations import read_situation
from orchestrator.pipeline.context import Context
from orchestrator.pipeline.gather import ask, open_claims
from orchestrator.pipeline.intake import questions_of
from orchestrator.pipeline.telling import tell
from orchestrator.pipeline.withdrawals import ENDED
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.store import applications, batches, cases, evidence, standing
from orchestrator.store.cases import CaseRow, Move

STANDING = frozenset({Status.APPROVED, Status.SUSPENDED, Status.REVOKED})
"""Statuses in which there is a credential."""
WAITING = frozenset({Status.ACCEPTED, Status.RETURNED, Status.SUSPENDED})
"""Statuses in which somebody has to do something before the case goes on."""


async def push(context: Context, claimed: list[CaseRow]) -> list[Move]:
    """Works on cases that have just settled: approved ones push, once everything that a push asks is answered or given up;
    the others rest where they are."""
    async with context.pool.connection() as connection:
        ended = await cases.having(connection, [case.id for case in claimed], ENDED)
    approved = [case for case in claimed if case.status == Status.APPROVED and case.id not in ended]
    open_questions = await _ask(context, approved)
    resting = [case for case in claimed if case.status in (Status.ACCEPTED, Status.RETURNED)]
    overtaken = await _overtaken(context, resting)
    onward = await _standing(context, claimed)
    moves = []
    for case in claimed:
        if case.id in onward:
            moves.append(onward[case.id])
            continue
        if case.id in open_questions:
            delay = min(context.pace.retry_first * 2 ** min(case.attempts, 20), context.pace.retry_most)
            error = {"code": "department-down", "items": open_questions[case.id]}
            moves.append(Move(case_id=case.id, stage="push", delay=delay, error=error))
            continue
        if case.status == Status.APPROVED and case.id not in ended:
            await _notify(context, case)
        if case.id in overtaken:
            moves.append(overtaken[case.id])
        elif case.status == Status.ACCEPTED:
            # An officer may have decided while the acceptance was on its way; if not, the case comes to rest from there.
            moves.append(Move(case_id=case.id, stage="decide"))
        else:
            moves.append(Move(case_id=case.id, stage="waiting" if case.status in WAITING else "done"))
    return moves


async def _standing(context: Context, claimed: list[CaseRow]) -> dict[str, Move]:
    """Tells holders that their credential does not count, or counts again. The cases that go on at once by what came meanwhile:
    an approver has let a suspended one stand already, or one that counts again rests on something recalled since."""
    decided = [case for case in claimed if case.status in STANDING]
    async with context.pool.connection() as connection:
        found = await standing.papers(connection, [case.id for case in decided])
        recalled = [case.id for case in decided if found[case.id].all]
        steps = await batches.transitions(connection, recalled)
    moves = {}
    for case in decided:
        papers = found[case.id]
        if case.status == Status.REVOKED:
            await tell(context, case, "revoked", str(case.sequence))
        elif case.status == Status.SUSPENDED:
            await tell(context, case, "suspended", str(case.sequence))
            if papers.of("upholding"):
                moves[case.id] = Move(case_id=case.id, stage="seal", target=int(Status.APPROVED))
        elif papers.all:
            if any(each["status"] == Status.SUSPENDED and each["settled_at"] is not None for each in steps[case.id]):
                await tell(context, case, "reinstated", str(case.sequence))
            lead = (await context.view.binding(case.binding)).approvers[0]
            if papers.suspending(lead):
                moves[case.id] = Move(case_id=case.id, stage="seal", target=int(Status.SUSPENDED))
    return moves


async def _overtaken(context: Context, resting: list[CaseRow]) -> dict[str, Move]:
    """Cases for which the applicant signed an amendment or a withdrawal while the transition was on its way."""
    ids = [case.id for case in resting]
    async with context.pool.connection() as connection:
        mandates = await cases.mandates(connection, ids)
        verdicts = await evidence.verdicts(connection, ids)
    found = {}
    for case in resting:
        newest = mandates[case.id][-1]
        judged = [peek_jws(str(row["jws"]))[1]["mandates"] for row in verdicts[case.id]]
        if peek_jws(newest)[1]["kind"] == "withdrawal":
            found[case.id] = Move(case_id=case.id, stage="seal", target=int(Status.WITHDRAWN))
        elif not any(jws_hash(newest) in hashes for hashes in judged):
            found[case.id] = Move(case_id=case.id, stage="intake")
    return found


async def _ask(context: Context, approved: list[CaseRow]) -> dict[str, list[str]]:
    """Asks what the pushes of these cases need; the items that are still open, by case."""
    ids = [case.id for case in approved]
    async with context.pool.connection() as connection:
        mandates = await cases.mandates(connection, ids)
        begun = {row.case_id for row in await evidence.questions(connection, ids, purpose="push")}
        rows: list[dict[str, Any]] = []
        for case in approved:
            if case.id not in begun:
                scenario = await context.definitions.get(case.version)
                rows += questions_of(scenario, case.id, mandates[case.id][-1], purpose="push")
        await evidence.add_questions(connection, rows)
        due = await evidence.questions(connection, ids, purpose="push", due=True)
    await ask(context, due, mandates)
    found: dict[str, list[str]] = {}
    async with context.pool.connection() as connection:
        for row in await evidence.questions(connection, ids, purpose="push"):
            if row.state == "due":
                found.setdefault(row.case_id, []).append(row.item)
    return found


async def _notify(context: Context, case: CaseRow) -> None:
    scenario = await context.definitions.get(case.version)
    async with context.pool.connection() as connection:
        rows = await evidence.questions(connection, [case.id], purpose="push")
        rows += await evidence.questions(connection, [case.id])
        claims = open_claims(rows, scenario)
        for each in scenario.pushes:
            if due(each, scenario, case, claims) and await applications.add_notice(
                connection,
                subject=case.subject,
                case_id=case.id,
                push=each.id,
                target=each.target,
                texts={"zh": each.message.zh, "en": each.message.en},
                prefill=prefill(each, case),
            ):
                await cases.note(connection, [(case.id, "pushed", {"push": each.id, "target": each.target})])


def due(each: Push, scenario: Scenario, case: CaseRow, claims: dict[str, Any]) -> bool:
    """Whether a push goes out, by the situation and the claims that the orchestrator may read. A claim that is not there
    counts as unknown."""
    words = {name: "unknown" for alternative in each.given for name in alternative}
    words |= {name: str(value).lower() if isinstance(value, bool) else value for name, value in claims.items()}
    answers = read_situation(scenario, case.situation)
    return holds(each.when, answers) and holds(each.given, words)


def prefill(each: Push, case: CaseRow) -> dict[str, Any]:
    """What the next service starts with: `answers` to its questions, from the situation of this case, and `subjects`, which of
    its roles are who or what a role of this case was. Who that is stays at the identity seat, which fills in whoever signs in.
    """
    answers = {
        target: case.situation[source.removeprefix("q.")]
        for target, source in each.prefill.items()
        if source.startswith("q.") and source.removeprefix("q.") in case.situation
    }
    subjects = {target: source for target, source in each.prefill.items() if not source.startswith("q.")}
    return {"answers": answers, "subjects": subjects}
