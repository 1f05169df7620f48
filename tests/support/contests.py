"""Contests for tests: signed as the identity seat signs them, carried as the operator carries them."""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import Any

from orchestrator.gateway.contests import today
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.contest import (
    APPLICANT,
    REASON,
    Carried,
    Contest,
    Reply,
    SealedText,
    reason_document,
    seal_statement,
    sign_contest,
    sign_reply,
)
from orchestrator.protocol.jose import SigningKey, jws_hash, peek_jws
from orchestrator.protocol.mandate import ChainRef, case_id
from orchestrator.protocol.material import seal_document
from orchestrator.protocol.officer import CorrectionOutcome, certify, sign_correction_decision
from orchestrator.protocol.verdict import AnswerRef, OfficerDecision
from orchestrator.protocol.wire import new_jti, seat_number, seat_ref
from tests.support.consortium import Consortium

WHY = "营业执照住所已于上月变更,登记簿仍为旧址"


def statement_to(consortium: Consortium, seat: int, why: str = WHY) -> SealedText:
    """A statement with one file, for a department alone."""
    key = consortium.seat(seat).keyset.key("sealing")
    return seal_statement(why, [("licence.pdf", "application/pdf", b"%PDF")], {seat: key})


def contest_of(
    consortium: Consortium,
    mandate: str,
    envelope: AnswerEnvelope,
    statement: SealedText,
    *,
    key: Any = None,
    days: int = 14,
    **changes: Any,
) -> str:
    """A contest of an answer under a mandate, by its first claim; the term ends in `days`; `changes` replace fields."""
    under, said = peek_jws(mandate)[1], peek_jws(envelope.answer)[1]
    binding, now = consortium.binding, int(time.time())
    item = consortium.scenario.item(said["item"])
    day: date = today()
    fields: dict[str, Any] = {
        "iss": seat_ref(binding.identity),
        "aud": said["iss"],
        "iat": now,
        "jti": new_jti(),
        "case": under["case"] or case_id(mandate),
        "mandate": jws_hash(mandate),
        "chain": ChainRef(id=consortium.chain.chain_id, ledger=consortium.chain.domain("CaseLedger").contract),
        "binding": binding.number,
        "version": binding.version,
        "sub": under["sub"],
        "item": item.id,
        "index": said["index"],
        "claims": (item.claims[0].key,),
        "answer": AnswerRef(question=envelope.question, attempt=envelope.attempt, hash=jws_hash(envelope.answer)),
        "statement": statement.hash,
        "day": min(day, day + timedelta(days=days)).isoformat(),
        "reply_by": (day + timedelta(days=days)).isoformat(),
    }
    return sign_contest(Contest(**(fields | changes)), key or consortium.keys[binding.identity].identity)


def body_of(contest: str, statement: SealedText) -> dict[str, Any]:
    """The body of a request that carries one contest."""
    return {"contests": [{"contest": contest, "statement": statement.model_dump(mode="json")}]}


def replied(
    consortium: Consortium,
    contest: str,
    outcome: CorrectionOutcome,
    reason: str = "登记簿无误",
    *,
    age: int = 0,
    key: SigningKey | None = None,
) -> Carried:
    """A contest with its department's reply, signed `age` seconds ago by an officer certified for corrections; `key` is
    another signing key than the department's."""
    said = peek_jws(contest)[1]
    number = seat_number(said["aud"])
    keys, officer, salt, iat = consortium.keys[number], SigningKey.generate(), b"\7" * 32, int(time.time()) - age
    certificate = certify(
        officer.jwk, seat=number, pseudonym="o-1", iat=iat, exp=iat + 60, key=keys.evidence, may=("corrections",)
    )
    readers = {str(seat): consortium.seat(seat).keyset.key("sealing") for seat in consortium.binding.approvers}
    readers[APPLICANT] = dict(consortium.delivery.jwk)
    digest, sealed = seal_document(REASON, reason_document(reason), readers, salt=salt)
    word = sign_correction_decision(contest=jws_hash(contest), outcome=outcome, reason=digest, iat=iat, key=officer)
    reply = Reply(
        iss=said["aud"],
        contest=jws_hash(contest),
        case=said["case"],
        outcome=outcome,
        reason=digest,
        officer=OfficerDecision(certificate=certificate, decision=word),
        iat=iat,
    )
    return Carried(contest=contest, reply=sign_reply(reply, key or keys.evidence), sealed=sealed)
