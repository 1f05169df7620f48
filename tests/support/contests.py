"""Contests for tests: signed as the identity seat signs them, carried as the operator carries them."""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import Any

from orchestrator.gateway.contests import today
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.contest import Contest, SealedText, seal_statement, sign_contest
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.mandate import ChainRef, case_id
from orchestrator.protocol.verdict import AnswerRef
from orchestrator.protocol.wire import new_jti, seat_ref
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
