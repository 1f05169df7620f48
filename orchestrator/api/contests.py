"""Contesting a department's claim: the applicant says which and why, the identity seat signs it, the department replies.

Why is sealed to the department before it comes here. A contest does not need the case to be open: a record that is wrong is
corrected all the same, and after a refusal the applicant applies anew on the corrected one.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.authorising import Authorising, begin, once
from orchestrator.api.principals import Applicant, Current
from orchestrator.api.reasons import catalogue
from orchestrator.api.state import State
from orchestrator.database import Row
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import Claim, EvidenceItem
from orchestrator.pipeline.recalls import MOVABLE, OPEN
from orchestrator.protocol.contest import MOST_CLAIMS, SealedText, read_contest
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.ports import seat_knowing
from orchestrator.protocol.sdjwt import open_disclosure
from orchestrator.protocol.wire import Name, seat_ref
from orchestrator.store import applications, cases, contests, evidence
from orchestrator.store.cases import CaseRow
from orchestrator.store.contests import ContestRow
from orchestrator.store.evidence import QuestionRow

router = APIRouter(prefix="/api/v1")

MOST_SEALED: Final = 4 * 1024 * 1024
"""Characters of a sealed statement: its department gets several in one request."""


class NewContest(BaseModel):
    """What a person holds to be wrong."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    item: Name
    index: int = Field(default=0, ge=0, le=255)
    """Which subject of the item's role."""
    claims: list[Name] = Field(min_length=1, max_length=MOST_CLAIMS)
    """Keys of the claims."""
    statement: SealedText
    """Why, and what supports it, sealed to the department that answered."""


@router.post("/cases/{case}/contests", status_code=201)
async def contest(
    case: str,
    body: NewContest,
    state: Current,
    principal: Applicant,
    idempotency_key: Annotated[str | None, Header(min_length=8, max_length=200)] = None,
) -> Authorising:
    """Prepares a contest of claims of one answer in one's own case, and says where to sign it."""
    row = await _own(state, case, principal.subject)
    if row.status == Status.WITHDRAWN:
        raise Refused(
            "办件已撤回,不能提出异议",
            detail_en="the case was withdrawn",
            code="case-closed",
            remedy="可重新申请 / apply anew",
        )
    scenario = await state.context.definitions.get(row.version)
    question = await _question(state, scenario, row, body)
    async with state.context.pool.connection() as connection:
        before = (await contests.of_cases(connection, [case]))[case]
        mandates = (await cases.mandates(connection, [case]))[case]
    _check_new(before, question)
    named: dict[str, Any] = {
        "item": body.item,
        "index": body.index,
        "claims": body.claims,
        "answer": {"question": question.id, "attempt": question.attempt, "hash": question.answer_hash},
        "statement": body.statement.hash,
    }
    application: dict[str, Any] = {
        "id": secrets.token_urlsafe(18),
        "subject": principal.subject,
        "scenario": row.scenario,
        "version": row.version,
        "binding": row.binding,
        "kind": "contest",
        "case_id": case,
        "situation": row.situation,
        "situation_salt": row.situation_salt,
        "form": None,
        "delivery": row.delivery,
        "holder": None,
        "materials": [],
        "contest": {**named, "seat": question.seat, "sealed": body.statement.sealed},
    }
    details = {
        "kind": "contest",
        "binding": row.binding,
        "situation": {"values": row.situation, "salt": row.situation_salt},
        "delivery": row.delivery,
        "case": case,
        "previous": jws_hash(mandates[-1]),
        "contest": named,
    }
    asked = [case, body.model_dump(mode="json")]
    return await once(state, principal.subject, idempotency_key, asked, lambda: begin(state, application, details))


@router.get("/cases/{case}/contests")
async def list_contests(case: str, state: Current, principal: Applicant) -> dict[str, Any]:
    """What one has contested in a case with the departments' replies, and what can be contested: `{contests, contestable}`.

    The reason of a reply opens with the case's delivery key.
    """
    row = await _own(state, case, principal.subject)
    scenario = await state.context.definitions.get(row.version)
    async with state.context.pool.connection() as connection:
        found = (await contests.of_cases(connection, [case]))[case]
        questions = await evidence.questions(connection, [case])
    departments = {seat.number: seat for seat in await state.context.view.seats()}
    answered = [
        each
        for each in questions
        if each.answer_hash is not None and each.state == "answered" and row.status != Status.WITHDRAWN
    ]
    open_ones = {each.question for each in found if each.state in ("new", "open")}
    contested = {each.answer for each in found if each.state != "refused"}
    return {
        "contests": [shown(each, scenario, departments[each.seat].keyset.id) for each in found],
        "contestable": [
            {
                "item": each.item,
                "index": each.idx,
                "seat": each.seat,
                "department": departments[each.seat].keyset.id,
                "sealing": {name: departments[each.seat].keyset.key("sealing")[name] for name in ("kty", "crv", "x")},
                "evidence": _evidence_name(scenario.item(each.item)),
                "about": _words(scenario.subject(scenario.item(each.item).subject).label),
                "answer": {"question": each.id, "attempt": each.attempt, "hash": each.answer_hash},
                "claims": _claims(each, scenario),
            }
            for each in answered
            if each.id not in open_ones and each.answer_hash not in contested
        ],
    }


def shown(row: ContestRow, scenario: Scenario, department: str) -> dict[str, Any]:
    """A contest as its applicant sees it."""
    item = scenario.item(row.item)
    names = {claim.key: _claim_name(item, claim) for claim in item.claims}
    return {
        "contest": row.hash,
        "item": row.item,
        "index": row.idx,
        "seat": row.seat,
        "department": department,
        "evidence": _evidence_name(item),
        "claims": [{"claim": each, **names[each]} for each in row.claims],
        "state": "unanswered" if row.lapsed_at is not None and row.state in ("new", "open") else row.state,
        "problem": row.problem,
        "made_at": row.made_at,
        "reply_by": row.reply_by,
        "replied_at": row.replied_at,
        "signed": row.jws,
        "reply": row.reply,
        "reason": row.sealed.get("applicant"),
    }


async def take_contest(state: State, row: Row, jws: str) -> str:
    """Takes the signed contest for what was prepared, and has an open case wait for the department. Returns the case."""
    case, prepared = str(row["case_id"]), row["contest"]
    assert isinstance(prepared, dict)
    binding = await state.context.view.binding(int(str(row["binding"])))
    view = state.context.view
    identity = await seat_knowing(view, await view.seat(binding.identity), "identity", [jws])
    signed = read_contest(jws, identity.key_of("identity", jws))
    asked = {name: prepared[name] for name in ("item", "index", "claims", "answer", "statement")}
    given = {name: signed.model_dump(mode="json")[name] for name in asked}
    place = (signed.iss, signed.aud, signed.case, signed.binding, signed.sub)
    if given != asked or place != (
        seat_ref(binding.identity),
        seat_ref(prepared["seat"]),
        case,
        binding.number,
        row["subject"],
    ):
        raise Refused("异议与所提交的不符", detail_en="the contest is not the one asked for", code="wrong-contest")
    async with state.context.pool.connection() as connection:
        new = await contests.add(
            connection,
            name=jws_hash(jws),
            jws=jws,
            contest=signed.model_dump(mode="json"),
            seat=prepared["seat"],
            statement={"hash": prepared["statement"], "sealed": prepared["sealed"]},
        )
        found = await cases.get(connection, case)
        if new:
            await cases.note(connection, [(case, "contested", {"contest": jws_hash(jws), "seat": prepared["seat"]})])
            # Through the approvers at once, so that they know, and no officer decides meanwhile; what a worker holds goes later.
            is_open = found is not None and Status(found.status) in OPEN
            if not is_open or await cases.wake(connection, [case], "gather", only=MOVABLE):
                await contests.followed(connection, jws_hash(jws))
        await applications.forget_application(connection, str(row["id"]))
    return case


async def _own(state: State, case: str, subject: str) -> CaseRow:
    async with state.context.pool.connection() as connection:
        found = await cases.get(connection, case)
    if found is None or found.subject != subject:
        raise Refused("没有这个办件", detail_en="there is no such case", code="not-found")
    return found


async def _question(state: State, scenario: Scenario, row: CaseRow, body: NewContest) -> QuestionRow:
    """The question whose answer is contested. Raises Invalid, naming the field, or Refused where nothing was answered."""
    item = next((each for each in scenario.evidence if each.id == body.item), None)
    async with state.context.pool.connection() as connection:
        asked = await evidence.questions(connection, [row.id])
    found = next((each for each in asked if (each.item, each.idx) == (body.item, body.index)), None)
    if item is None or found is None:
        raise Invalid(
            field="item",
            detail="本办件没有向部门核验该项",
            detail_en="no department was asked this in the case",
            remedy="、".join(sorted({each.item for each in asked})),
        )
    if found.state != "answered" or found.answer_hash is None:
        raise Refused(
            "该部门尚未应答,没有可异议的内容",
            detail_en="the department has not answered: there is nothing to contest",
            code="not-answered",
            remedy="等待应答,或提交材料 / wait for the answer, or bring the material",
        )
    known = {claim.key for claim in item.claims}
    if not set(body.claims) <= known or len(set(body.claims)) != len(body.claims):
        raise Invalid(
            field="claims",
            detail="该核验项不含所列内容,或重复列出",
            detail_en="this evidence has no such claim, or one is named twice",
            remedy="、".join(sorted(known)),
        )
    if set(body.statement.sealed) != {str(found.seat)}:
        raise Invalid(
            field="statement.sealed",
            detail="异议理由须只加密给应答部门",
            detail_en="the statement is sealed to the department that answered, and to nobody else",
            remedy=str(found.seat),
        )
    if len(body.statement.sealed[str(found.seat)]) > MOST_SEALED:
        raise Invalid(
            field="statement.sealed",
            detail="异议材料过大",
            detail_en="the statement is too large",
            remedy="压缩附件,总计不超过 3 MB / no more than 3 MB of files",
        )
    return found


def _check_new(before: list[ContestRow], question: QuestionRow) -> None:
    for each in before:
        if each.question == question.id and each.state in ("new", "open"):
            raise Refused(
                "对该项已有异议,等待部门答复",
                detail_en="this is contested already, the reply is awaited",
                code="contested-before",
                remedy="等待答复 / wait for the reply",
            )
        if each.answer == question.answer_hash and each.state != "refused":
            raise Refused(
                "对该应答的异议已有答复",
                detail_en="the department has replied to a contest of this very answer",
                code="contested-before",
                remedy="可由经办人审查,或依法申请行政复议 / an officer looks at it; other remedies are the law's",
            )


def _claims(row: QuestionRow, scenario: Scenario) -> list[dict[str, Any]]:
    """The claims of an answer: by name, and with what was said where it is not sealed."""
    said = dict(open_disclosure(text) for text in (row.envelope or {}).get("disclosures", []))
    item = scenario.item(row.item)
    return [
        {
            "claim": claim.key,
            **_claim_name(item, claim),
            "sealed": claim.key not in said,
            "value": said.get(claim.key),
        }
        for claim in item.claims
    ]


def _evidence_name(item: EvidenceItem) -> dict[str, str]:
    known = catalogue().evidence_types
    return _words(known[item.type].name) if item.type in known else {"zh": item.type, "en": item.type}


def _claim_name(item: EvidenceItem, claim: Claim) -> dict[str, str]:
    try:
        return _words(catalogue().evidence(item.type).claim(claim.claim).name)
    except Invalid:
        return {"zh": claim.claim, "en": claim.claim}


def _words(text: Any) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}
