"""When an approval is suspended and when it counts again: what a seat checks before its sheet says so.

Nobody decides to suspend: a provider has taken back an answer that the approval rests on, and the scenario says that the
credential does not count until the officers have looked again (`on_recall: suspend`). The lead's gateway checks both by
itself, against the provider's signature and its own kept answers, so whoever carries the cases can suspend nothing without
a genuine recall. It counts again once every approver whose verdict rests on a recalled answer has upheld it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.gateway.seat import Seat
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.ports import BindingView, ChainView
from orchestrator.protocol.recall import Recall, read_recall
from orchestrator.protocol.upholding import read_upholding
from orchestrator.protocol.wire import seat_number


class Recalled(Protocol):
    """A transition as it is asked for, with the papers that it rests on."""

    @property
    def case(self) -> str: ...
    @property
    def sequence(self) -> int: ...
    @property
    def recalls(self) -> Sequence[str]:
        """The recalls that the case was suspended for, compact JWS."""
        ...

    @property
    def upholdings(self) -> Sequence[str]:
        """The seats' upholdings, compact JWS."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """A verdict of this seat that rests on a recalled answer."""

    sequence: int
    items: frozenset[str]
    """The evidence items that were answered so."""


async def read_from(jws: str, chain: ChainView) -> Recall:
    """A recall, signed by a key of the seat that it is from. Raises Refused or Invalid."""
    issuer = await chain.seat(seat_number(peek_jws(jws)[1].get("iss")))
    return read_recall(jws, issuer.key_of("evidence", jws))


async def resting(case: str, recall: Recall, seat: Seat, *, approved: bool = False) -> Resting | None:
    """The newest verdict of this seat on a case that rests on an answer which its own seat has taken back; None when there is
    none. `approved`: only the verdict by which this seat last signed the approval counts."""
    rows = await seat.store.rows(
        "select b.sequence, b.envelopes from basis b where b.case_id = %(case)s and (not %(approved)s or b.sequence ="
        " (select max(v.sequence) from basis v join outcome o using (case_id, sequence)"
        "  where v.case_id = %(case)s and o.status = %(status)s))"
        " order by b.sequence desc",
        {"case": case, "approved": approved, "status": int(Status.APPROVED)},
    )
    named = {(answer.question, answer.hash) for answer in recall.answers}
    for row in rows:
        items = set()
        for held in row["envelopes"]:
            envelope = AnswerEnvelope.parse(held["envelope"])
            # Another seat cannot take back what it never said.
            if peek_jws(envelope.answer)[1]["iss"] != recall.iss:
                continue
            if (envelope.question, jws_hash(envelope.answer)) in named:
                items.add(str(held["item"]))
        if items:
            return Resting(sequence=int(str(row["sequence"])), items=frozenset(items))
    return None


async def require_suspension(
    asked: Recalled, binding: BindingView, scenario: Scenario, seat: Seat, chain: ChainView
) -> None:
    """That the lead suspends: every recall that is given has been brought to its officers, and one that they have not spoken to
    is of an answer that the approval rests on and whose recall suspends, as the scenario says.

    Raises Refused: "not-lead", "not-under-review", "not-suspending", "revocation-ordered", and as `read_from`.
    """
    if binding.approvers[0] != seat.number:
        raise Refused("中止效力由牵头部门签批", detail_en="the lead suspends", code="not-lead")
    hashes = [jws_hash(jws) for jws in asked.recalls]
    rows = await seat.store.rows(
        "select recall, closed_at from review where case_id = %s and recall = any(%s)", [asked.case, hashes]
    )
    open_now = {str(row["recall"]) for row in rows if row["closed_at"] is None}
    if not open_now or len(rows) != len(set(hashes)):
        raise Refused(
            "没有待复核的召回",
            detail_en="no recall of what this rests on is under review here",
            code="not-under-review",
        )
    ordered = await seat.store.rows(
        "select 1 as one from desk_update where case_id = %s and sequence = %s and revocation is not null",
        [asked.case, asked.sequence],
    )
    if ordered:
        raise Refused("已决定撤销", detail_en="its revocation is ordered", code="revocation-ordered")
    for jws in asked.recalls:
        if jws_hash(jws) not in open_now:
            continue
        found = await resting(asked.case, await read_from(jws, chain), seat, approved=True)
        if found and any(scenario.item(item).on_recall == "suspend" for item in found.items):
            return
    raise Refused(
        "场景未规定召回该数据时中止证照效力",
        detail_en="the scenario does not say that the recall of this suspends",
        code="not-suspending",
    )


async def require_reinstatement(
    asked: Recalled, binding: BindingView, scenario: Scenario, seat: Seat, chain: ChainView
) -> None:
    """That a suspended case is approved again, as far as this seat can tell: its lead has upheld it against every recall that is
    given, this seat against every one that its own verdict rests on, and nothing is under review here.

    That all recalls are given follows from the dossier, which holds each of them (`gateway/sheets.py`). Raises Refused:
    "under-review", and as `read_from` and `read_upholding`.
    """
    upheld: dict[int, set[str]] = {number: set() for number in binding.approvers}
    for jws in asked.upholdings:
        number = seat_number(peek_jws(jws)[1].get("iss"))
        if number not in upheld:
            raise Refused("维持决定的席位不是审批部门", detail_en="who upholds is no approver", code="wrong-issuer")
        role = scenario.approvers[binding.approvers.index(number)]
        read = read_upholding(jws, await chain.seat(number), two=role in scenario.countersign)
        if read.case == asked.case:
            upheld[number] |= set(read.recalls)
    open_here = await seat.store.rows(
        "select 1 as one from review where case_id = %s and closed_at is null", [asked.case]
    )
    if open_here or not asked.recalls:
        raise _under_review()
    for jws in asked.recalls:
        hashed, recall = jws_hash(jws), await read_from(jws, chain)
        mine = await resting(asked.case, recall, seat) is not None
        if hashed not in upheld[binding.approvers[0]] or (mine and hashed not in upheld[seat.number]):
            raise _under_review()


def _under_review() -> Refused:
    return Refused("审批部门尚在复核", detail_en="an approver is looking at it again", code="under-review")
