"""Reviews, at the approver: what it decided on an answer that was taken back is put before its officers.

An officer looks again and lets the decision stand with a reason, or the lead's officer revokes it. Where the scenario wants a
second officer, either takes the requests of two.
"""

from __future__ import annotations

import time
from typing import Any, Final

from fastapi import APIRouter
from pydantic import Field

from orchestrator.domain.case import Status
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.gateway.acts import Act, record
from orchestrator.gateway.desk import DeskRequest, missing, officer_of
from orchestrator.gateway.requests import SignedBody, SignedRequest, read_signed
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.gateway.sheets import REVOCATION_TYP
from orchestrator.gateway.suspension import read_from, resting
from orchestrator.protocol.jose import jws_hash, lowered, peek_jws, sign_jws
from orchestrator.protocol.officer import OfficerCertificate
from orchestrator.protocol.ports import BindingView, ChainView
from orchestrator.protocol.upholding import SignedAct, sign_upholding
from orchestrator.protocol.wire import CLOCK_SKEW, Hex32, WireModel, read_model, seat_ref

router = APIRouter()

MOST_REVIEWS: Final = 256


class ReviewBody(WireModel):
    """A case and the recall that it is to be looked at again for."""

    case: Hex32
    recall: str


class ReviewsBody(WireModel):
    """Body of a request of kind `reviews`."""

    reviews: list[ReviewBody] = Field(max_length=MOST_REVIEWS)


@router.post("/{department}/reviews")
async def open_reviews(request: SignedBody, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """Puts decisions that rest on recalled answers on the officers' desk: `{"opened": [case…], "refused": [{case, code}]}`.

    Only what this seat decided, on an answer that the recall names and its own department signed away.
    """
    await read_signed(request, "reviews", seat, chain)
    body = read_model(ReviewsBody, request.body, code="bad-request")
    opened, refused = [], []
    for each in body.reviews:
        try:
            await _review(each, seat, chain)
            opened.append(each.case)
        except LianbanError as error:
            refused.append({"case": each.case, "code": error.code})
    return {"opened": opened, "refused": refused}


async def _review(each: ReviewBody, seat: Seat, chain: ChainView) -> None:
    found = await resting(each.case, await read_from(each.recall, chain), seat)
    if found is None:
        raise Refused("本席位的意见不依据被召回的应答", detail_en="no verdict rests on it", code="not-resting")
    await seat.store.rows(
        "insert into review (case_id, recall, jws, sequence) values (%s, %s, %s, %s) on conflict do nothing",
        [each.case, jws_hash(each.recall), lowered(each.recall), found.sequence],
    )


@router.post("/{department}/desk/reviews")
async def reviews(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """Decisions to be looked at again, oldest first, with who recalled what and why. `awaits` is the officer who has upheld or
    revoked it and waits for a second one: {officer, act, reason}."""
    await officer_of(request, seat, chain, "cases")
    rows = await seat.store.rows(
        """
        select r.case_id, r.recall, r.sequence, r.jws, r.opened_at, p.act, p.login, p.request
        from review r left join desk_pending p using (case_id)
        where r.closed_at is null order by r.opened_at limit 200
        """
    )
    statuses = await chain.statuses([str(row["case_id"]) for row in rows])
    found = []
    for row, (status, _, _) in zip(rows, statuses, strict=True):
        document = peek_jws(str(row["jws"]))[1]
        awaits = None
        if row["request"] is not None:
            said = peek_jws(str(row["request"]))[1]["reason"]
            awaits = {"officer": row["login"], "act": row["act"], "reason": said}
        found.append(
            {
                "case": row["case_id"],
                "recall": row["recall"],
                "sequence": row["sequence"],
                "status": int(status),
                "seat": document["iss"],
                "reason": document["reason"],
                "answers": document["answers"],
                "since": row["opened_at"],
                "awaits": awaits,
            }
        )
    return {"reviews": found}


@router.post("/{department}/desk/reviews/close", status_code=201)
async def uphold(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """An officer has looked again and lets the decision stand, with a reason; revoking it closes the review too.

    Raises Refused: "no-reason", "not-found" when nothing is to be looked at again, "same-officer".
    """
    officer, asked = await officer_of(request, seat, chain, "cases")
    case = _required(asked, "uphold")
    recalls = sorted(set(asked.recalls))
    rows = await seat.store.rows(
        "select 1 as one from review where case_id = %s and recall = any(%s) and closed_at is null", [case, recalls]
    )
    if not rows or len(rows) != len(recalls):
        raise Refused(
            "该办件没有这些待复核事项", detail_en="these reviews are not open for this case", code="not-found"
        )
    _, sequence, number = await chain.status_of(case)
    binding = await chain.binding(number)
    act = await record("uphold", case, officer, request.request, seat)
    officers = await _jointly("uphold", case, officer, asked, request.request, binding, seat)
    if officers is None:
        return {"case": case, "closed": 0, "awaits_second": True, "act": act}
    upholding = sign_upholding(
        seat=seat.number,
        case=case,
        recalls=recalls,
        reason=str(asked.reason),
        officers=officers,
        iat=int(time.time()),
        key=seat.keys.evidence,
    )
    await seat.store.rows(
        """
        with closed as (
            update review set closed_at = now(), closing = %s
            where case_id = %s and recall = any(%s) and closed_at is null returning recall
        )
        insert into desk_update (case_id, sequence, operator, upheld) values (%s, %s, %s, %s)
        """,
        [lowered(request.request), case, recalls, case, sequence, binding.operator, upholding],
    )
    return {"case": case, "closed": len(recalls), "awaits_second": False, "act": act}


@router.post("/{department}/desk/revocations", status_code=201)
async def revoke(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """An order to revoke an approval, suspended or not, that this seat leads.

    Raises Refused: "no-reason", "not-revocable", "same-officer", "suspending" while a suspension is on its way to the chain: the
    order names the number of the step, which is another one then.
    """
    officer, asked = await officer_of(request, seat, chain, "cases")
    case = _required(asked, "revoke")
    status, sequence, number = await chain.status_of(case)
    binding = await chain.binding(number) if status in (Status.APPROVED, Status.SUSPENDED) else None
    if binding is None or binding.approvers[0] != seat.number:
        raise Refused(
            "该办件不是本部门牵头的已准予办件",
            detail_en="this is no approved case that this seat leads",
            code="not-revocable",
        )
    under_way = await seat.store.rows(
        "select 1 as one from outcome where case_id = %s and sequence = %s and status = %s and valid_until >= %s",
        [case, sequence + 1, int(Status.SUSPENDED), int(time.time()) - CLOCK_SKEW],
    )
    if under_way:
        raise Refused(
            "证照效力正在中止,上链后再撤销",
            detail_en="its suspension is on the way to the chain; revoke it then",
            code="suspending",
            remedy="一两分钟后重试 / try again in a minute or two",
        )
    act = await record("revoke", case, officer, request.request, seat)
    officers = await _jointly("revoke", case, officer, asked, request.request, binding, seat)
    if officers is None:
        return {"case": case, "order": None, "awaits_second": True, "officer": officer.sub, "act": act}
    first, *second = [each.model_dump() for each in officers]
    order = sign_jws(
        {
            "iss": seat_ref(seat.number),
            "case": case,
            "sequence": sequence + 1,
            "reason": asked.reason,
            "officer": first,
            "second": second[0] if second else None,
            "iat": int(time.time()),
        },
        typ=REVOCATION_TYP,
        key=seat.keys.evidence,
    )
    await seat.store.rows(
        """
        with closed as (
            update review set closed_at = now(), closing = %s where case_id = %s and closed_at is null
        )
        insert into desk_update (case_id, sequence, revocation, operator) values (%s, %s, %s, %s)
        """,
        [lowered(request.request), case, case, sequence + 1, order, binding.operator],
    )
    return {"case": case, "order": jws_hash(order), "awaits_second": False, "officer": officer.sub, "act": act}


def _required(asked: DeskRequest, act: Act) -> str:
    """The case of a request that says what it is about, and why."""
    if not asked.reason:
        raise Refused("缺少理由", detail_en="the reason is missing", code="no-reason", remedy="写明理由 / say why")
    if asked.case is None or asked.act != act:
        raise missing("act", "办件或办理动作", "the case, or what is to be done,")
    return asked.case


async def _jointly(
    act: Act,
    case: str,
    officer: OfficerCertificate,
    asked: DeskRequest,
    request: str,
    binding: BindingView,
    seat: Seat,
) -> list[SignedAct] | None:
    """What the officers signed who do this; None when the scenario wants two, and this was the first.

    Raises Refused("same-officer") when the second is the first once more.
    """
    mine = SignedAct(certificate=asked.certificate, request=lowered(request))
    scenario = (await seat.scenarios.of([binding.version], seat.store))[binding.version]
    if scenario.approvers[binding.approvers.index(seat.number)] not in scenario.countersign:
        return [mine]
    rows = await seat.store.rows("select * from desk_pending where case_id = %s", [case])
    before = peek_jws(str(rows[0]["request"]))[1].get("recalls", []) if rows else []
    if rows and rows[0]["act"] == act and set(before) == set(asked.recalls):
        first = rows[0]
        if officer.sub == first["login"] or officer.kid == first["officer"]:
            raise Refused(
                "须由另一名经办人作出",
                detail_en="another officer has to do it too: another key, another login",
                code="same-officer",
                remedy="请另一名经办人办理 / have another officer do it",
            )
        await seat.store.rows("delete from desk_pending where case_id = %s", [case])
        return [SignedAct(certificate=str(first["certificate"]), request=str(first["request"])), mine]
    # An officer who wants something else, or has seen another recall, begins anew: two have to agree.
    await seat.store.rows(
        """
        insert into desk_pending (case_id, act, officer, login, certificate, request) values (%s, %s, %s, %s, %s, %s)
        on conflict (case_id) do update set act = excluded.act, officer = excluded.officer, login = excluded.login,
            certificate = excluded.certificate, request = excluded.request, at = now()
        """,
        [case, act, officer.kid, officer.sub, asked.certificate, lowered(request)],
    )
    return None
