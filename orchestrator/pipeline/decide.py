"""Decide: every approver gets the case, fetches the answers itself, runs the published rules and signs a verdict.

The orchestrator only carries; it combines the signed verdicts by severity, as the approvers' gateways do once more before
they sign a sheet.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import structlog

from orchestrator.domain.case import Status, may_move
from orchestrator.domain.errors import LianbanError
from orchestrator.pipeline.context import Context
from orchestrator.pipeline.withdrawals import take_withdrawals
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.ports import seat_knowing
from orchestrator.protocol.verdict import Verdict, combine, read_verdict
from orchestrator.store import batches, cases, contests, evidence, standing
from orchestrator.store.cases import CaseRow, Move

TARGETS = {
    "approve": Status.APPROVED,
    "return": Status.RETURNED,
    "refuse": Status.REFUSED,
    "manual": Status.ACCEPTED,
}
FOR_THE_APPLICANT = frozenset(
    {"form-incomplete", "bad-form", "material-unknown", "material-missing", "wrong-material", "cannot-open"}
    | {"not-for-this-seat"}
)
"""Why an approver refuses a case that only another form can mend: nobody asks again, the case waits for the applicant."""
log = structlog.get_logger()


async def case_files(context: Context, claimed: list[CaseRow]) -> dict[str, dict[str, Any]]:
    """What an approver needs of each case, as the body of a `verdicts` request has it."""
    ids = [case.id for case in claimed]
    async with context.pool.connection() as connection:
        mandates = await cases.mandates(connection, ids)
        materials = await evidence.materials(connection, ids)
        questions = await evidence.questions(connection, ids)
        contested = await contests.of_cases(connection, ids)
    given_up: dict[str, set[str]] = defaultdict(set)
    for question in questions:
        if question.state in ("unavailable", "brought"):
            given_up[question.case_id].add(question.item)
    return {
        case.id: {
            "case": case.id,
            "sequence": case.sequence + 1,
            "mandates": mandates[case.id],
            "situation": {"values": case.situation, "salt": case.situation_salt},
            "form": case.form,
            "materials": materials[case.id],
            "given_up": sorted(given_up[case.id]),
            "contests": [each.carried() for each in contested[case.id] if each.state != "refused"],
        }
        for case in claimed
    }


async def decide(context: Context, claimed: list[CaseRow]) -> list[Move]:
    """Gets a verdict of every approver on every case and says where each case goes."""
    files = await case_files(context, claimed)
    by_seat: dict[int, list[CaseRow]] = defaultdict(list)
    approvers: dict[str, tuple[int, ...]] = {}
    for case in claimed:
        approvers[case.id] = (await context.view.binding(case.binding)).approvers
        for seat in approvers[case.id]:
            by_seat[seat].append(case)
    found: dict[str, dict[int, tuple[Verdict, str]]] = defaultdict(dict)
    problems: dict[str, dict[str, Any]] = {}
    await asyncio.gather(*(_verdicts(context, seat, rows, files, found, problems) for seat, rows in by_seat.items()))

    moves, rows, events = [], [], []
    asked_again: dict[str, list[str]] = {}
    for case in claimed:
        verdicts = found[case.id]
        for seat, (verdict, jws) in verdicts.items():
            rows.append(
                {
                    "case_id": case.id,
                    "sequence": verdict.sequence,
                    "seat": seat,
                    "jws": jws,
                    "hash": jws_hash(jws),
                    "outcome": verdict.outcome,
                    "rows": list(verdict.rows),
                    "materials_wanted": list(verdict.materials_wanted),
                }
            )
        if len(verdicts) < len(approvers[case.id]):
            error = problems.get(case.id, {"code": "approver-down"})
            delay = min(context.pace.retry_first * 2 ** min(case.attempts, 20), context.pace.retry_most)
            if error["code"] in ("stale-evidence", "provider-down"):
                # Asked again, so that a department that is down is waited for as long as any other.
                asked_again[case.id] = error["items"]
                wait = delay if error["code"] == "provider-down" else 0.0
                moves.append(Move(case_id=case.id, stage="gather", delay=wait, error=error))
                continue
            if error["code"] == "contested":
                moves.append(Move(case_id=case.id, stage="waiting", error=error))
                continue
            if error["code"] in FOR_THE_APPLICANT:
                moves.append(Move(case_id=case.id, stage="waiting", error=error))
                events.append((case.id, "form-not-readable", {"code": error["code"]}))
                continue
            moves.append(Move(case_id=case.id, stage="decide", delay=delay, error=error))
            continue
        outcome = combine([verdict.outcome for verdict, _ in verdicts.values()])
        reasons = sorted({row for verdict, _ in verdicts.values() for row in verdict.rows})
        target = TARGETS[outcome]
        if not may_move(Status(case.status), target):
            # Accepted and still an officer's, or returned and something is missing still: there is nothing to settle, the
            # new verdicts are the new notice.
            if target == Status.RETURNED:
                events.append((case.id, "decided", {"outcome": outcome, "rows": reasons}))
            moves.append(Move(case_id=case.id, stage="waiting", outcome=outcome))
        else:
            events.append((case.id, "decided", {"outcome": outcome, "rows": reasons}))
            moves.append(Move(case_id=case.id, stage="seal", target=int(target), outcome=outcome))
    async with context.pool.connection() as connection:
        await evidence.add_verdicts(connection, rows)
        await cases.note(connection, events)
        for case_id, items in asked_again.items():
            await evidence.ask_again(connection, [case_id], items=items)
    return moves


async def _verdicts(
    context: Context,
    number: int,
    claimed: list[CaseRow],
    files: dict[str, dict[str, Any]],
    found: dict[str, dict[int, tuple[Verdict, str]]],
    problems: dict[str, dict[str, Any]],
) -> None:
    """One approver's verdicts on many cases, in one request."""
    try:
        seat = await context.view.seat(number)
        answer = await context.gateways.verdicts(seat, [files[case.id] for case in claimed])
        seat = await seat_knowing(context.view, seat, "evidence", [entry["verdict"] for entry in answer["verdicts"]])
        for entry in answer["verdicts"]:
            verdict = read_verdict(entry["verdict"], seat.key_of("evidence", entry["verdict"]))
            found[entry["case"]][number] = (verdict, entry["verdict"])
        for entry in answer["refused"]:
            log.warning("approver-refused-a-case", seat=number, case=entry["case"], code=entry["code"])
            problems[entry["case"]] = {"code": entry["code"], "seat": number, "items": entry.get("items", [])}
    except LianbanError as error:
        log.warning("approver-did-not-answer", seat=number, cases=len(claimed), code=error.code)
        for case in claimed:
            problems.setdefault(case.id, {"code": error.code, "seat": number})


async def take_updates(context: Context) -> int:
    """Asks the approvers what their officers decided or revoked since the last time; wakes those cases. Returns how many."""
    seats = sorted({seat for binding in await context.view.bindings() for seat in binding.approvers})
    counts = await asyncio.gather(*(_updates(context, seat) for seat in seats))
    return sum(counts)


async def _updates(context: Context, number: int) -> int:
    """A case that is not waiting yet needs no waking: it asks for verdicts again before it comes to rest (`push`)."""
    name = f"officers:{number}"
    async with context.pool.connection() as connection:
        since = await batches.cursor_value(connection, name)
    try:
        seat = await context.view.seat(number)
        answer = await context.gateways.updates(seat, since)
    except LianbanError as error:
        log.info("approver-did-not-answer", seat=number, code=error.code)
        return 0
    decided = [entry["case"] for entry in answer["updates"] if "decided" in entry]
    revoked = {entry["case"]: entry["order"] for entry in answer["updates"] if "order" in entry}
    withdrawn = [(str(entry["case"]), str(entry["withdrawal"])) for entry in answer["updates"] if "withdrawal" in entry]
    upheld = [_upholding(number, entry) for entry in answer["updates"] if "upheld" in entry]
    async with context.pool.connection() as connection:
        if await cases.held(connection, decided, "decide"):
            return 0  # a verdict asked for before the decision may be on its way: once more when it has come
        woken = await cases.wake(connection, decided, "gather", only=["waiting"])
        if woken:
            await evidence.ask_again(connection, woken)
            await cases.note(connection, [(case_id, "officer-decided", {"seat": number}) for case_id in woken])
        # A gateway may serve other orchestrators, too: what is not ours is not noted.
        told = {*revoked, *(str(paper["case_id"]) for paper in upheld)}
        there = {case.id for case in await cases.many(connection, sorted(told))}
        revoked = {case_id: order for case_id, order in revoked.items() if case_id in there}
        if revoked:
            await cases.revoke(connection, revoked)
            await cases.note(connection, [(case_id, "revocation-ordered", {"seat": number}) for case_id in revoked])
        papers = [paper for paper in upheld if paper["case_id"] in there]
        await standing.add_papers(connection, papers)
        said = [(paper["case_id"], peek_jws(paper["jws"])[1]["reason"]) for paper in papers]
        await cases.note(
            connection, [(case_id, "upheld", {"seat": number, "reason": reason}) for case_id, reason in said]
        )
        # Whether all have spoken who have to, the approvers' gateways say before they sign.
        await standing.reinstate(connection, [case_id for case_id, _ in said])
        ended = await take_withdrawals(context, connection, withdrawn)
        await batches.set_cursor(connection, name, answer["next"])
    return len(woken) + len(revoked) + ended


def _upholding(number: int, entry: dict[str, Any]) -> dict[str, Any]:
    """An approver's upholding as a paper of its case."""
    place = {"case_id": entry["case"], "seat": number, "kind": "upholding", "suspends": False}
    return {**place, "hash": jws_hash(entry["upheld"]), "jws": entry["upheld"]}
