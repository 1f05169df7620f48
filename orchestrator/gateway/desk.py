"""The officers' desk for cases: the only place where what is sealed to an approver is opened for a person.

An officer's key is made on the officer's side and certified by the seat. Every request is signed by it, every look at a
dossier is written down, and a decision is the officer's own signature inside the seat's verdict.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.database import Row
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.gateway.casefile import CaseFile, OpenCase, fetch_answers, open_cases
from orchestrator.gateway.requests import SignedRequest
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.gateway.sheets import REVOCATION_TYP
from orchestrator.gateway.verdicts import leave_desk
from orchestrator.protocol.jose import jws_hash, lowered, peek_jws, sign_jws, verify_jws
from orchestrator.protocol.mandate import open_subject
from orchestrator.protocol.officer import Duty, OfficerCertificate, certify, read_certificate, read_decision
from orchestrator.protocol.ports import BindingView, ChainView
from orchestrator.protocol.sheet import Status
from orchestrator.protocol.wire import Name, check_period, read_model, seat_ref

router = APIRouter()

REQUEST_TYP: Final = "lianban-desk+jwt"
LONGEST_REQUEST: Final = 300
CERTIFICATE_DAYS: Final = 180
ENDED: Final = frozenset({Status.APPROVED, Status.REFUSED, Status.WITHDRAWN, Status.REVOKED})
"""Statuses of cases that nobody has to decide any more."""


class DeskRequest(BaseModel):
    """What an officer signs for each request."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    certificate: str
    aud: str
    jti: str = Field(min_length=8, max_length=100)
    iat: int
    exp: int
    case: str | None = None
    mandate: str | None = None
    """With a decision: the newest mandate of the case that the officer looked at."""
    decision: str | None = None
    """The officer's decision, a JWS of its own: it goes into the verdict."""
    materials_wanted: list[Name] = Field(default_factory=list)
    reason: str | None = None
    proposal: str | None = Field(default=None, pattern=r"^0x[0-9a-f]{64}$")
    """Hash of what the seat is asked to sign."""
    against: str | None = Field(default=None, pattern=r"^0x[0-9a-f]{64}$")
    """A version to compare it with."""


@router.post("/{department}/desk/queue")
async def queue(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """Cases that wait for an officer, oldest first, with what the rules propose. Those that have ended leave the desk."""
    await officer_of(request, seat, chain, "cases")
    rows = await seat.store.rows(
        """
        select case_id as "case", sequence, mandate, scenario, proposed, rows, materials_wanted, since from queue_item
        where done_at is null order by since limit 200
        """
    )
    found = await asyncio.gather(*(chain.status_of(str(row["case"])) for row in rows))
    ended = [str(row["case"]) for row, (status, _, _) in zip(rows, found, strict=True) if status in ENDED]
    await leave_desk(ended, seat)
    return {"cases": [row for row in rows if row["case"] not in ended]}


@router.post("/{department}/desk/case")
async def look(request: SignedRequest, seat: CurrentSeat, chain: Chain, http: Request) -> dict[str, Any]:
    """A dossier, opened: subjects, form, materials and claims, sealed ones included. The look is written down."""
    officer, asked = await officer_of(request, seat, chain, "cases")
    row = await _item(asked.case, seat)
    await seat.store.rows("insert into desk_look (officer, case_id) values (%s, %s)", [officer.kid, row["case_id"]])
    case = await _open(row, seat, chain, http)
    reasons = {rule.id: rule.reason for rule in case.scenario.rules}
    return {
        "case": row["case_id"],
        "sequence": row["sequence"],
        "mandate": row["mandate"],
        "scenario": row["scenario"],
        "proposed": row["proposed"],
        "rows": [
            {"row": name, **({"zh": reasons[name].zh, "en": reasons[name].en} if name in reasons else {})}
            for name in row["rows"]
        ],
        "situation": case.file.situation.values,
        "form": case.form,
        "subjects": _subjects(case, seat),
        "materials": [material.document() for material in case.materials.values()],
        "claims": [
            {"item": item, "index": index, "claims": answer.claims if answer else None}
            for (item, index), answer in sorted(case.answers.items())
        ],
    }


@router.post("/{department}/desk/decisions", status_code=201)
async def decide(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """An officer's decision; the seat signs its verdict when the case is next carried to it."""
    officer, asked = await officer_of(request, seat, chain, "cases")
    if asked.decision is None:
        raise _missing("decision", "办理决定", "the signed decision")
    key = (await chain.seat(seat.number)).key_of("evidence", asked.certificate)
    decision, certificate = read_decision(asked.decision, asked.certificate, seat=seat.number, jwk=key)
    row = await _item(decision.case, seat)
    if certificate.kid != officer.kid or (decision.sequence, asked.mandate) != (row["sequence"], row["mandate"]):
        raise Refused(
            "办件状态已变化,请刷新后再办理",
            detail_en="the case has moved on; look at it again",
            code="conflict",
            remedy="重新打开办件 / open the case again",
        )
    if decision.outcome == "return" and not (asked.materials_wanted or decision.rows):
        raise _missing("materials_wanted", "需补正的内容", "what is to be supplied")
    known = {material.id for material in (await _scenario(row, seat, chain)).materials}
    if not known.issuperset(asked.materials_wanted):
        raise Invalid(
            field="materials_wanted",
            detail="本场景没有这种材料",
            detail_en="this scenario has no such material",
            remedy=" / ".join(sorted(known)),
        )
    await seat.store.rows(
        """
        with decided as (
            insert into decision (case_id, sequence, mandate, officer, certificate, decision, materials_wanted)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (case_id, sequence) do update
            set mandate = excluded.mandate, officer = excluded.officer, certificate = excluded.certificate,
                decision = excluded.decision, materials_wanted = excluded.materials_wanted, at = now()
            returning case_id, sequence
        ), left_desk as (
            update queue_item set done_at = now() where case_id = %s
        )
        insert into desk_update (case_id, sequence, operator) select case_id, sequence, %s from decided
        """,
        [
            decision.case,
            decision.sequence,
            row["mandate"],
            officer.kid,
            asked.certificate,
            lowered(asked.decision),
            Jsonb(asked.materials_wanted),
            decision.case,
            row["operator"],
        ],
    )
    return {"case": decision.case, "sequence": decision.sequence, "outcome": decision.outcome}


@router.post("/{department}/desk/revocations", status_code=201)
async def revoke(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """An order to revoke an approval that this seat leads."""
    officer, asked = await officer_of(request, seat, chain, "cases")
    if asked.case is None or not asked.reason:
        raise _missing("reason", "撤销理由", "the reason")
    status, sequence, number = await chain.status_of(asked.case)
    binding = await chain.binding(number) if status == Status.APPROVED else None
    if binding is None or binding.approvers[0] != seat.number:
        raise Refused(
            "该办件不是本部门牵头的已准予办件",
            detail_en="this is no approved case that this seat leads",
            code="not-revocable",
        )
    order = sign_jws(
        {
            "iss": seat_ref(seat.number),
            "case": asked.case,
            "sequence": sequence + 1,
            "reason": asked.reason,
            "officer": {"certificate": asked.certificate, "request": request.request},
            "iat": int(time.time()),
        },
        typ=REVOCATION_TYP,
        key=seat.keys.evidence,
    )
    await seat.store.rows(
        "insert into desk_update (case_id, sequence, revocation, operator) values (%s, %s, %s, %s)",
        [asked.case, sequence + 1, order, binding.operator],
    )
    await close_reviews(asked.case, request.request, seat)
    return {"case": asked.case, "order": jws_hash(order), "officer": officer.sub}


async def close_reviews(case: str, signed: str, seat: Seat) -> int:
    """Closes the open reviews of a case by what an officer signed. How many there were."""
    rows = await seat.store.rows(
        "update review set closed_at = now(), closing = %s where case_id = %s and closed_at is null returning recall",
        [signed, case],
    )
    return len(rows)


async def certify_officer(
    seat: Seat,
    public_jwk: dict[str, Any],
    pseudonym: str,
    *,
    days: int = CERTIFICATE_DAYS,
    may: Sequence[Duty] = ("cases",),
) -> str:
    """Certifies an officer's public key for `days` days and some duties, and keeps the certificate. Raises Invalid for a
    faulty key."""
    now = int(time.time())
    exp = now + days * 86_400
    certificate = certify(
        public_jwk, seat=seat.number, pseudonym=pseudonym, iat=now, exp=exp, key=seat.keys.evidence, may=may
    )
    kid = read_certificate(certificate, seat=seat.number, jwk=seat.keyset.key("evidence"), now=now).kid
    await seat.store.rows(
        """
        insert into officer (kid, pseudonym, certificate, expires_at) values (%s, %s, %s, to_timestamp(%s))
        on conflict (kid) do update set pseudonym = excluded.pseudonym, certificate = excluded.certificate,
            expires_at = excluded.expires_at
        """,
        [kid, pseudonym, certificate, exp],
    )
    return certificate


async def revoke_officer(seat: Seat, kid: str) -> bool:
    """Ends an officer's certificate at once. False when there is none in force."""
    rows = await seat.store.rows(
        "update officer set revoked_at = now() where kid = %s and revoked_at is null returning kid", [kid]
    )
    return bool(rows)


async def officer_of(
    request: SignedRequest, seat: Seat, chain: ChainView, duty: Duty
) -> tuple[OfficerCertificate, DeskRequest]:
    """The officer behind a request, certified by this seat for a duty and not revoked."""
    now = int(time.time())
    token = lowered(request.request)
    unproven = read_model(DeskRequest, peek_jws(token)[1], code="bad-request")
    key = (await chain.seat(seat.number)).key_of("evidence", unproven.certificate)
    certificate = read_certificate(unproven.certificate, seat=seat.number, jwk=key, now=now)
    payload = verify_jws(token, typ=REQUEST_TYP, jwk=certificate.cnf.jwk)
    check_period(payload, now=now, longest=LONGEST_REQUEST)
    if payload["aud"] != seat_ref(seat.number):
        raise Refused("请求的对象不是本席位", detail_en="the request is for another seat", code="wrong-audience")
    rows = await seat.store.rows(
        "select revoked_at from officer where kid = %s and certificate = %s", [certificate.kid, unproven.certificate]
    )
    if not rows or rows[0]["revoked_at"] is not None:
        raise Refused("经办人证书已停用", detail_en="the officer's certificate was ended", code="officer-revoked")
    certificate.require(duty)
    await seat.store.use_nonce(seat.number, f"desk:{certificate.kid[:16]}:{unproven.jti}", unproven.exp)
    return certificate, unproven


async def _item(case: str | None, seat: Seat) -> Row:
    rows = await seat.store.rows("select * from queue_item where case_id = %s and done_at is null", [case])
    if not rows:
        raise Refused("该办件不在待办中", detail_en="this case does not wait for an officer", code="not-found")
    return rows[0]


async def _open(row: Row, seat: Seat, chain: ChainView, http: Request) -> OpenCase:
    file = CaseFile.model_validate(row["file"])
    # The file came from the operator when the case was queued.
    operator, now = await chain.seat((await _binding(row, chain)).operator), int(time.time())
    opened = await open_cases([file], seat=seat, chain=chain, reader=http.app.state.mandates, asker=operator, now=now)
    case = opened[file.case]
    if not isinstance(case, OpenCase):
        raise case
    await fetch_answers([case], seat=seat, chain=chain, client=http.app.state.clients[seat.id], now=now)
    return case


async def _binding(row: Row, chain: ChainView) -> BindingView:
    """The binding of a case of the desk, whose mandates were verified when it was queued."""
    return await chain.binding(int(peek_jws(row["file"]["mandates"][-1])[1]["binding"]))


async def _scenario(row: Row, seat: Seat, chain: ChainView) -> Scenario:
    version = (await _binding(row, chain)).version
    return (await seat.scenarios.of([version], seat.store))[version]


def _subjects(case: OpenCase, seat: Seat) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for role, slots in case.mandate.subjects.items():
        for index, slot in enumerate(slots):
            if str(seat.number) in slot.sealed:
                subject = open_subject(case.mandate, role, index, seat=seat.number, key=seat.keys.sealing)
                found.setdefault(role, []).append(
                    {"type": subject.type, "id": subject.id, "name": subject.name, "attributes": subject.attributes}
                )
    return found


def _missing(field: str, zh: str, en: str) -> Invalid:
    return Invalid(
        field=field, detail=f"缺少{zh}", detail_en=f"{en} is missing", remedy="补充后重试 / add it and try again"
    )
