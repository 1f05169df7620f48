"""Cases as people see them: one's own as an applicant, all of them (never what is sealed) as an operator or auditor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from orchestrator.api.cursors import Cursor, Limit, cursor_of, read_cursor
from orchestrator.api.deadlines import deadlines
from orchestrator.api.principals import Anybody, Applicant, Current, Principal
from orchestrator.api.reasons import newest, reasons
from orchestrator.api.state import State
from orchestrator.database import Row
from orchestrator.domain.canonical import to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.dossier import RECEIPT, Dossier
from orchestrator.domain.errors import Refused
from orchestrator.domain.plan import handled_by
from orchestrator.domain.scenario import Scenario
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.store import applications, batches, cases, contests, evidence, standing
from orchestrator.store.cases import CaseRow
from orchestrator.store.evidence import QuestionRow
from orchestrator.store.standing import Paper, Papers

router = APIRouter(prefix="/api/v1")

STATUS_NAMES = {
    Status.NONE: ("办理中", "in progress"),
    Status.ACCEPTED: ("已受理,待审批人员办理", "accepted, waits for an officer"),
    Status.RETURNED: ("需补正", "returned: something is missing"),
    Status.APPROVED: ("准予", "approved"),
    Status.REFUSED: ("不予", "refused"),
    Status.WITHDRAWN: ("已撤回", "withdrawn"),
    Status.REVOKED: ("已撤销", "revoked"),
    Status.SUSPENDED: ("效力中止", "suspended"),
}

SSE_POLL = 0.5
RECEIPT_KINDS = ("mandate", "credential", "recall", "upholding", "revocation")
"""Entries of the dossier whose paths a receipt has."""


@router.get("/me")
async def me(state: Current, principal: Anybody) -> dict[str, Any]:
    """Who one is here, and one's notices."""
    async with state.context.pool.connection() as connection:
        notices = await applications.notices(connection, principal.subject)
    return {"role": principal.role, "subject": principal.subject, "notices": notices}


@router.get("/cases")
async def list_cases(state: Current, principal: Anybody, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    """One's own cases, newest first; for operators and auditors everybody's. `next` is the cursor of the following page."""
    subject = principal.subject if principal.role == "applicant" else None
    async with state.context.pool.connection() as connection:
        rows = await cases.newest(connection, subject=subject, limit=limit + 1, before=read_cursor(cursor))
    page = rows[:limit]
    until = await deadlines(state, page)
    found = []
    for row in page:
        scenario = await state.context.definitions.get(row.version)
        found.append(_head(row, scenario, until[row.id]))
    more = cursor_of(page[-1].submitted_at, page[-1].id) if len(rows) > limit else None
    return {"cases": found, "next": more}


@router.get("/cases/{case}")
async def show_case(case: str, state: Current, principal: Anybody) -> dict[str, Any]:
    """A case with its reasons, what is wanted, what was asked of whom, and its transactions."""
    row, scenario = await visible(state, case, principal)
    async with state.context.pool.connection() as connection:
        verdicts = (await evidence.verdicts(connection, [case]))[case]
        questions = await evidence.questions(connection, [case])
        materials = (await evidence.materials(connection, [case]))[case]
        transitions = (await batches.transitions(connection, [case]))[case]
        mandates = (await cases.mandates(connection, [case]))[case]
        papers = (await standing.papers(connection, [case]))[case]
    departments = {seat.number: seat.keyset.id for seat in await state.context.view.seats()}
    binding = await state.context.view.binding(row.binding)
    until = await deadlines(state, [row])
    return {
        **_head(row, scenario, until[case]),
        "situation": row.situation,
        "reasons": reasons(scenario, row, verdicts),
        "materials_wanted": wanted(scenario, row, verdicts),
        "materials_offered": offered(scenario, questions),
        "materials_submitted": sorted({str(each["id"]) for each in materials}),
        "evidence": [
            *_stated(mandates[-1], scenario, binding.identity, departments),
            *(_asked(each, scenario, departments) for each in questions),
        ],
        "transitions": [
            {
                "sequence": each["sequence"],
                "status": each["status"],
                "dossier_root": each["root"],
                "transaction": each["tx_hash"],
                "block": each["block"],
                "sealed_at": each["sealed_at"],
                "settled_at": each["settled_at"],
            }
            for each in transitions
        ],
        "recalls": [_recalled(each, papers, departments) for each in papers.of("recall")],
        "error": row.error,
    }


@router.get("/cases/{case}/dossier")
async def dossier(case: str, state: Current, principal: Anybody) -> dict[str, Any]:
    """The dossier's leaves with their Merkle proofs, as `StandardMerkleTree` of @openzeppelin/merkle-tree verifies them."""
    await visible(state, case, principal)
    async with state.context.pool.connection() as connection:
        rows = (await evidence.leaves(connection, [case]))[case]
        transitions = (await batches.transitions(connection, [case]))[case]
    settled = [each for each in transitions if each["settled_at"] is not None]
    if not settled:
        raise Refused("案卷尚未上链", detail_en="the dossier is not settled yet", code="not-settled", remedy="稍后再查")
    last: Any = settled[-1]
    leaves = [each for each in rows if int(str(each["sequence"])) <= last["sequence"]]
    closed = Dossier.parse(leaves)
    tree = closed.tree()
    return {
        "case": case,
        "chain": {"id": state.context.view.chain_id, "ledger": state.context.view.address("CaseLedger")},
        "root": last["root"],
        "steps": [
            {
                "step": str(int(t["status"]) << 56 | int(t["sequence"]) << 40 | int(t["binding"])),
                "root": t["root"],
                "transaction": t["tx_hash"],
            }
            for t in settled
        ],
        "transaction": last["tx_hash"],
        "leaf_encoding": ["string", "bytes32", "bytes32"],
        "leaves": [
            {
                "value": [leaf.kind, to_hex(leaf.salt), to_hex(leaf.content)],
                "proof": [to_hex(node) for node in tree.proof(leaf)],
            }
            for leaf in closed.entries
        ],
    }


@router.get("/cases/{case}/receipt")
async def receipt(case: str, state: Current, principal: Anybody) -> dict[str, Any]:
    """The case's receipt: that it was applied for, what became of it, and which credential it ended in, as `lianban verify`
    proves it against any node (docs/credentials.md)."""
    whole = await dossier(case, state, principal)
    leaves = [each for each in whole["leaves"] if each["value"][0] in RECEIPT_KINDS]
    return {"format": RECEIPT, **{name: whole[name] for name in ("case", "chain", "steps")}, "leaves": leaves}


@router.get("/credential-types/{vct}", responses={200: {"content": {"application/json": {}}}})
async def credential_type(
    vct: str, state: Current, integrity: Annotated[str | None, Query(max_length=100)] = None
) -> Response:
    """The type metadata (SD-JWT VC) that credentials name by `vct` and hash as `vct#integrity`: the one of that hash, else the
    newest, byte for byte as its issuer gave it. It needs no account."""
    async with state.context.pool.connection() as connection:
        document = await evidence.credential_type(connection, vct, integrity)
    if document is None:
        raise Refused(
            "没有这种证照的类型说明",
            detail_en="there is no type metadata of that name and hash",
            code="not-found",
            remedy="核对 vct 与摘要 / check vct and hash",
        )
    return Response(document, media_type="application/json")


@router.get("/cases/{case}/credential")
async def credential(case: str, state: Current, principal: Applicant) -> dict[str, Any]:
    """The credential: the signed part, and the disclosures sealed to the key that the applicant gave."""
    row, _ = await visible(state, case, principal)
    async with state.context.pool.connection() as connection:
        found = (await evidence.credentials(connection, [case])).get(case)
    if found is None or row.status not in (Status.APPROVED, Status.SUSPENDED, Status.REVOKED):
        raise Refused(
            "尚无电子证照",
            detail_en="there is no credential: it counts once the chain says approved",
            code="not-found",
            remedy="办结后再取 / fetch it after approval",
        )
    return {"jwt": found["jwt"], "sealed": found["sealed"], "status": row.status}


@router.get("/cases/{case}/documents")
async def documents(case: str, state: Current, principal: Anybody) -> dict[str, Any]:
    """What the dossier's leaves are the hashes of, as far as it is not sealed: mandates, answers, verdicts, contests and
    replies, and what came after the decision: recalls and upholdings."""
    await visible(state, case, principal)
    async with state.context.pool.connection() as connection:
        mandates = (await cases.mandates(connection, [case]))[case]
        verdicts = (await evidence.verdicts(connection, [case]))[case]
        answers = await evidence.answers_under(connection, case)
        contested = (await contests.of_cases(connection, [case]))[case]
        papers = (await standing.papers(connection, [case]))[case]
    return {
        "mandates": mandates,
        "verdicts": [each["jws"] for each in verdicts],
        "answers": answers,
        "contests": [each.jws for each in contested],
        "replies": [each.reply for each in contested if each.reply is not None],
        "recalls": [each.jws for each in papers.of("recall")],
        "upholdings": [each.jws for each in papers.of("upholding")],
    }


@router.get(
    "/cases/{case}/events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Server-sent events"}
    },
)
async def events(case: str, request: Request, state: Current, principal: Anybody) -> StreamingResponse:
    """The case's story as server-sent events; `Last-Event-ID` resumes."""
    await visible(state, case, principal)
    header = request.headers.get("last-event-id", "0")
    start = int(header) if header.isdecimal() else 0

    async def stream() -> AsyncIterator[str]:
        position = start
        while not await request.is_disconnected():
            async with state.context.pool.connection() as connection:
                rows = await cases.story(connection, case, after=position)
                row = await cases.get(connection, case)
            for each in rows:
                position = int(str(each["id"]))
                data = json.dumps({"at": each["at"].isoformat(), **each["detail"]}, ensure_ascii=False)
                yield f"id: {position}\nevent: {each['kind']}\ndata: {data}\n\n"
            if row is None or row.stage == "done":
                return
            await asyncio.sleep(SSE_POLL)

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})


async def visible(state: State, case: str, principal: Principal) -> tuple[CaseRow, Scenario]:
    """A case that the principal may see. Raises Refused (404): whether somebody else's case exists is nobody's business."""
    async with state.context.pool.connection() as connection:
        row = await cases.get(connection, case)
    if row is None or (principal.role == "applicant" and row.subject != principal.subject):
        raise Refused("没有这个办件", detail_en="there is no such case", code="not-found", remedy="核对办件编号")
    return row, await state.context.definitions.get(row.version)


def wanted(scenario: Scenario, row: CaseRow, verdicts: list[Row]) -> list[dict[str, Any]]:
    """The materials that the newest notice asks for."""
    if row.status != Status.RETURNED:
        return []
    names = sorted({name for verdict in newest(verdicts) for name in verdict["materials_wanted"]})
    return [_material(scenario, name) for name in names]


def offered(scenario: Scenario, questions: list[QuestionRow]) -> list[dict[str, Any]]:
    """Materials that may be brought while a department does not answer."""
    late = {each.item for each in questions if each.state in ("due", "unavailable") and each.tries > 0}
    return [_material(scenario, each.id) for each in scenario.materials if late & set(each.replaced_by)]


def _material(scenario: Scenario, name: str) -> dict[str, Any]:
    material = scenario.material(name)
    return {"id": name, "zh": material.name.zh, "en": material.name.en}


def _head(row: CaseRow, scenario: Scenario, until: dict[str, Any]) -> dict[str, Any]:
    zh, en = STATUS_NAMES[Status(row.status)]
    return {
        "id": row.id,
        "scenario": row.scenario,
        "name": {"zh": scenario.name.zh, "en": scenario.name.en},
        "version": row.version,
        "binding": row.binding,
        "status": row.status,
        "status_name": {"zh": zh, "en": en},
        "sequence": row.sequence,
        "handled_by": handled_by(scenario, row.situation),
        "outcome": row.verdict_outcome,
        "stage": row.stage,
        "day": row.day,
        "deadline": until,
        "submitted_at": row.submitted_at,
        "settled_at": row.settled_at,
    }


def _recalled(paper: Paper, papers: Papers, departments: dict[int, str]) -> dict[str, Any]:
    """What a department took back of what the decision rests on, and which approvers let the decision stand all the same."""
    return {
        "recall": paper.hash,
        "seat": paper.seat,
        "department": departments[paper.seat],
        "reason": paper.said["reason"],
        "suspends": paper.suspends,
        "at": paper.at,
        "upheld_by": [departments[seat] for seat in papers.upheld_by(paper.hash)],
    }


def _asked(row: QuestionRow, scenario: Scenario, departments: dict[int, str]) -> dict[str, Any]:
    item = scenario.item(row.item)
    return {
        "item": row.item,
        "type": item.type,
        "provider": item.provider,
        "department": departments[row.seat],
        "seat": row.seat,
        "state": row.state,
        "attempt": row.attempt,
        "answered_at": row.answered_at,
        "answer": row.answer_hash,
    }


def _stated(mandate: str, scenario: Scenario, identity: int, departments: dict[int, str]) -> list[dict[str, Any]]:
    """What the identity seat itself states in the mandate: the face check (E04)."""
    payload = peek_jws(mandate)[1]
    if payload["face"] is None:
        return []
    return [
        {
            "item": item.id,
            "type": item.type,
            "provider": item.provider,
            "department": departments[identity],
            "seat": identity,
            "state": "answered",
            "attempt": 1,
            "answered_at": datetime.fromtimestamp(payload["face"]["checked_at"], UTC),
            "answer": jws_hash(mandate),
        }
        for item in scenario.evidence
        if item.source == "mandate"
    ]
