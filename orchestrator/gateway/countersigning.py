"""Countersigning (复核) at the desk: a second officer stands by a decision, or sends it back with a reason.

Where the scenario wants it (`countersign`), a decision stays on the desk and no verdict has it until another officer of the
seat, with another key and another login, has signed its hash. What is sent back stays on record and the case stays on the
desk, to be decided anew.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from psycopg.types.json import Jsonb

from orchestrator.domain.errors import Refused
from orchestrator.gateway.acts import record
from orchestrator.gateway.desk import item_of, missing, moved_on, officer_of
from orchestrator.gateway.requests import SignedRequest
from orchestrator.gateway.seat import Chain, CurrentSeat
from orchestrator.protocol.countersign import read_countersign
from orchestrator.protocol.jose import lowered
from orchestrator.protocol.officer import read_decision

router = APIRouter()


@router.post("/{department}/desk/countersigns", status_code=201)
async def countersign(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """A second officer's word on the decision that waits for one. Countersigned, the seat signs its verdict when the case is
    next carried to it.

    Raises Refused: "not-found", "not-awaited", "same-officer", "conflict" when the decision is another one by now.
    """
    officer, asked = await officer_of(request, seat, chain, "cases")
    if asked.countersign is None:
        raise missing("countersign", "复核意见", "the signed countersignature")
    row = await item_of(asked.case, seat)
    place = [row["case_id"], row["sequence"]]
    rows = await seat.store.rows(
        "select certificate, decision from decision where (case_id, sequence, mandate) = (%s, %s, %s) and awaits",
        [*place, row["mandate"]],
    )
    if not rows:
        raise Refused(
            "该办件没有待复核的决定",
            detail_en="no decision on this case waits for a second officer",
            code="not-awaited",
            remedy="lianban officer queue",
        )
    own, certificate, decision = await chain.seat(seat.number), str(rows[0]["certificate"]), str(rows[0]["decision"])
    _, first = read_decision(decision, certificate, seat=seat.number, jwk=own.key_of("evidence", certificate))
    word, _ = read_countersign(asked.countersign, asked.certificate, decision=decision, first=first, seat=own)
    if [word.case, word.sequence] != place:
        raise moved_on()
    second = Jsonb({"certificate": asked.certificate, "countersign": lowered(asked.countersign)})
    done = await seat.store.rows(
        _COUNTERSIGNED if word.outcome == "countersign" else _SENT_BACK,
        {"case": word.case, "sequence": word.sequence, "decision": decision, "second": second},
    )
    if not done:
        raise moved_on()
    act = await record(word.outcome, word.case, officer, request.request, seat)
    return {"case": word.case, "sequence": word.sequence, "outcome": word.outcome, "act": act}


# Each only while that decision waits: of two officers at the same time one is told that the case has moved on.
_COUNTERSIGNED = """
with decided as (
    update decision set awaits = false, second = %(second)s
    where (case_id, sequence, decision) = (%(case)s, %(sequence)s, %(decision)s) and awaits
    returning case_id, sequence
), left_desk as (
    update queue_item q set done_at = now() from decided d where q.case_id = d.case_id returning q.case_id, q.operator
)
insert into desk_update (case_id, sequence, operator)
select d.case_id, d.sequence, l.operator from decided d join left_desk l using (case_id)
returning id
"""
_SENT_BACK = """
with gone as (
    delete from decision
    where (case_id, sequence, decision) = (%(case)s, %(sequence)s, %(decision)s) and awaits
    returning case_id, sequence, mandate, certificate, decision
)
insert into sent_back (case_id, sequence, mandate, certificate, decision, second)
select case_id, sequence, mandate, certificate, decision, %(second)s from gone
returning id
"""
