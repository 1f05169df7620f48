"""The corrections desk: officers of the department that answered read why an applicant contests it, and reply.

The gateway reads the department's records and can never write them: the officer corrects the record in the department's own
system and says so here. Then the old answers count no more (`gateway/recalls.py`), and whoever asks gets a new one.
"""

from __future__ import annotations

import time
from typing import Any, Final

import orjson
from fastapi import APIRouter
from psycopg.types.json import Jsonb

from orchestrator.database import Row
from orchestrator.domain.canonical import from_hex, to_hex, unb64
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.gateway.acts import record
from orchestrator.gateway.contests import today
from orchestrator.gateway.desk import officer_of
from orchestrator.gateway.recalls import answers_about, reach, recall
from orchestrator.gateway.requests import SignedRequest
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.contest import (
    APPLICANT,
    REASON,
    Contest,
    Reply,
    SealedText,
    open_statement,
    reason_document,
    sign_reply,
)
from orchestrator.protocol.jose import jws_hash, lowered, peek_jws
from orchestrator.protocol.mandate import Mandate, open_subject
from orchestrator.protocol.material import seal_document
from orchestrator.protocol.officer import read_correction_decision
from orchestrator.protocol.ports import ChainView
from orchestrator.protocol.sdjwt import open_disclosure
from orchestrator.protocol.verdict import OfficerDecision
from orchestrator.protocol.wire import seat_ref

router = APIRouter()

WHY_RECALLED: Final = "经申请人异议核实,记录已更正 / the record was corrected after the applicant contested it"


@router.post("/{department}/desk/corrections")
async def corrections(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """Contests that wait for a reply, the most urgent first: `{contest, case, item, index, claims, since, reply_by, overdue}`."""
    await officer_of(request, seat, chain, "corrections")
    rows = await seat.store.rows(
        "select hash, jws, received_at, reply_by from contest where reply is null order by reply_by, received_at limit 200"
    )
    return {"corrections": [_listed(row) for row in rows]}


@router.post("/{department}/desk/corrections/one")
async def look(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """One contest, opened: why, what supports it, about whom, and what was answered as far as it was not sealed. The look is
    written down."""
    officer, asked = await officer_of(request, seat, chain, "corrections")
    row = await _row(asked.contest, seat)
    contest = _contest(row)
    await record("correction-look", contest.case, officer, request.request, seat)
    blob = {str(seat.number): str(row["statement"])}
    statement = open_statement(SealedText(hash=contest.statement, sealed=blob), seat=seat.number, key=seat.keys.sealing)
    mandate = await _mandate(contest, seat)
    subject = open_subject(mandate, contest.item.split(".")[1], contest.index, seat=seat.number, key=seat.keys.sealing)
    answered = await seat.store.rows(
        "select envelope from answer where question = %s and attempt = %s",
        [from_hex(contest.answer.question), contest.answer.attempt],
    )
    envelope = AnswerEnvelope.parse(orjson.loads(_bytes(answered[0]["envelope"])))
    said = dict(open_disclosure(text) for text in envelope.disclosures)
    return _listed(row) | {
        "why": statement.why,
        "attachments": [each.model_dump() for each in statement.attachments],
        "subject": {"type": subject.type, "id": subject.id, "name": subject.name, "attributes": subject.attributes},
        "answered": {claim: said[claim] for claim in contest.claims if claim in said},
        "question": contest.answer.question,
        "attempt": contest.answer.attempt,
        "outcome": row["outcome"],
    }


@router.post("/{department}/desk/corrections/replies", status_code=201)
async def reply(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """An officer's reply, with the reason for applicant and approvers. With `corrected` the answers are taken back: correct
    the record first."""
    officer, asked = await officer_of(request, seat, chain, "corrections")
    row = await _row(asked.contest, seat)
    contest = _contest(row)
    if row["reply"] is not None:
        raise Refused("该异议已答复", detail_en="there is a reply already", code="conflict", remedy="刷新列表")
    if not asked.reason or not asked.correction or not asked.salt:
        raise Invalid(
            field="reason",
            detail="缺少理由、决定或其盐值",
            detail_en="the reason, the signed decision or its salt is missing",
            remedy="写明理由并由经办人签名 / say why, signed by the officer",
        )
    own = await chain.seat(seat.number)
    decision, certificate = read_correction_decision(
        asked.correction, asked.certificate, seat=seat.number, jwk=own.key_of("evidence", asked.certificate)
    )
    digest, sealed = await _sealed_reason(asked.reason, asked.salt, contest, seat, chain)
    named = (decision.contest, decision.reason, certificate.kid)
    if named != (asked.contest, digest, officer.kid):
        raise Refused("决定与请求不符", detail_en="the decision is about something else", code="wrong-decision")
    recalled: list[str] = []
    if decision.outcome == "corrected":
        recalled = await _recall(contest, seat, chain)
    document = Reply(
        iss=seat_ref(seat.number),
        contest=decision.contest,
        case=contest.case,
        outcome=decision.outcome,
        reason=digest,
        officer=OfficerDecision(certificate=asked.certificate, decision=lowered(asked.correction)),
        iat=int(time.time()),
    )
    jws = sign_reply(document, seat.keys.evidence)
    kept = await seat.store.rows(
        "update contest set reply = %s, outcome = %s, sealed = %s, replied_at = now() where hash = %s and reply is null"
        " returning hash",
        [jws, decision.outcome, Jsonb(sealed), from_hex(decision.contest)],
    )
    if not kept:
        raise Refused("该异议已答复", detail_en="there is a reply already", code="conflict", remedy="刷新列表")
    act = await record(
        "correct" if decision.outcome == "corrected" else "reject", contest.case, officer, request.request, seat
    )
    return {
        "contest": decision.contest,
        "outcome": decision.outcome,
        "reply": jws_hash(jws),
        "recalled": recalled,
        "act": act,
    }


async def _recall(contest: Contest, seat: Seat, chain: ChainView) -> list[str]:
    """Takes back what was answered of this item and subject in the case; the hashes of the recalls."""
    mandate = await _mandate(contest, seat)
    role = contest.item.split(".")[1]
    subject = open_subject(mandate, role, contest.index, seat=seat.number, key=seat.keys.sealing)
    rows = await answers_about(subject.type, subject.id, seat, case=contest.case)
    reached = [each for each in await reach(rows, seat, chain) if each.item == contest.item]
    return [jws_hash(jws) for jws in await recall(reached, WHY_RECALLED, seat)]


async def _sealed_reason(
    reason: str, salt: str, contest: Contest, seat: Seat, chain: ChainView
) -> tuple[str, dict[str, str]]:
    """The salted hash of the reason, and the reason for the applicant and each approver."""
    mandate, binding = await _mandate(contest, seat), await chain.binding(contest.binding)
    readers: dict[str, dict[str, Any]] = {APPLICANT: dict(mandate.delivery)}
    for number in binding.approvers:
        readers[str(number)] = (await chain.seat(number)).keyset.key("sealing")
    try:
        digest, sealed = seal_document(REASON, reason_document(reason), readers, salt=unb64(salt))
    except ValueError:
        raise Invalid(field="salt", detail="盐值须为 32 字节", detail_en="a salt has 32 bytes") from None
    return digest, sealed


async def _row(name: str | None, seat: Seat) -> Row:
    rows = await seat.store.rows("select * from contest where hash = %s", [from_hex(name)]) if name else []
    if not rows:
        raise Refused("没有这项异议", detail_en="there is no such contest", code="not-found", remedy="刷新列表")
    return rows[0]


def _contest(row: Row) -> Contest:
    """A contest that was verified when it came in."""
    return Contest.model_validate(peek_jws(str(row["jws"]))[1])


async def _mandate(contest: Contest, seat: Seat) -> Mandate:
    held = await seat.store.mandates([from_hex(contest.mandate)])
    return Mandate.model_validate(peek_jws(held[from_hex(contest.mandate)])[1])


def _listed(row: Row) -> dict[str, Any]:
    contest = _contest(row)
    return {
        "contest": to_hex(_bytes(row["hash"])),
        "case": contest.case,
        "item": contest.item,
        "index": contest.index,
        "claims": list(contest.claims),
        "since": row["received_at"],
        "reply_by": contest.reply_by,
        "overdue": contest.lapsed(today()),
    }


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("expected bytea")
    return value
