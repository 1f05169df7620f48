"""The officers' desk for cases: the only place where what is sealed to an approver is opened for a person.

An officer's key is made on the officer's side and certified by the seat. Every request is signed by it, every look at a
act is written down under the seat's signature (`gateway/acts.py`), and a decision is the officer's own signature inside the
seat's verdict; where the scenario wants a second officer, both officers' (`gateway/countersigning.py`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.database import Row
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.gateway.acts import record
from orchestrator.gateway.casefile import CaseFile, OpenCase, fetch_answers, open_cases
from orchestrator.gateway.requests import SignedRequest
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.gateway.verdicts import leave_desk
from orchestrator.protocol.jose import lowered, peek_jws, verify_jws
from orchestrator.protocol.mandate import open_subject
from orchestrator.protocol.officer import DESK_TYP, Duty, OfficerCertificate, certify, read_certificate, read_decision
from orchestrator.protocol.ports import BindingView, ChainView
from orchestrator.protocol.sheet import Status
from orchestrator.protocol.upholding import MOST_RECALLS
from orchestrator.protocol.wire import Hex32, Name, check_period, read_model, seat_ref

router = APIRouter()

REQUEST_TYP: Final = DESK_TYP
LONGEST_REQUEST: Final = 300
CERTIFICATE_DAYS: Final = 180
ENDED: Final = frozenset({Status.APPROVED, Status.SUSPENDED, Status.REFUSED, Status.WITHDRAWN, Status.REVOKED})
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
    act: Literal["revoke", "uphold"] | None = None
    """What the request does to an approval: such a request is the officer's signature under it."""
    recalls: list[Hex32] = Field(default_factory=list, max_length=MOST_RECALLS)
    """With `uphold`: hashes of the recalls that the officer has seen."""
    mandate: str | None = None
    """With a decision: the newest mandate of the case that the officer looked at."""
    decision: str | None = None
    """The officer's decision, a JWS of its own: it goes into the verdict."""
    countersign: str | None = None
    """A second officer's word on a decision, a JWS of its own: it goes into the verdict too."""
    materials_wanted: list[Name] = Field(default_factory=list)
    reason: str | None = None
    proposal: str | None = Field(default=None, pattern=r"^0x[0-9a-f]{64}$")
    """Hash of what the seat is asked to sign."""
    against: str | None = Field(default=None, pattern=r"^0x[0-9a-f]{64}$")
    """A version to compare it with."""
    contest: str | None = Field(default=None, pattern=r"^0x[0-9a-f]{64}$")
    """Hash of what an applicant contests."""
    correction: str | None = None
    """The officer's word on it, a JWS of its own: it goes into the reply."""
    salt: str | None = Field(default=None, max_length=64)
    """Of the hash of `reason` in that word."""


@router.post("/{department}/desk/queue")
async def queue(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """Cases that wait for an officer, oldest first, with what the rules propose. Those that have ended leave the desk.

    `awaits` is the decision that waits for a second officer's countersignature, `sent_back` why the last one did not get it.
    """
    await officer_of(request, seat, chain, "cases")
    rows = await seat.store.rows(
        """
        select q.case_id as "case", q.sequence, q.mandate, q.scenario, q.proposed, q.rows, q.materials_wanted, q.since,
          (select jsonb_build_object('decision', d.decision, 'certificate', d.certificate, 'at', d.at,
                                     'materials_wanted', d.materials_wanted)
           from decision d
           where (d.case_id, d.sequence, d.mandate) = (q.case_id, q.sequence, q.mandate) and d.awaits) as awaits,
          (select jsonb_build_object('second', s.second, 'at', s.at) from sent_back s
           where (s.case_id, s.sequence, s.mandate) = (q.case_id, q.sequence, q.mandate)
           order by s.id desc limit 1) as sent_back
        from queue_item q where q.done_at is null order by q.since limit 200
        """
    )
    found = await chain.statuses([str(row["case"]) for row in rows])
    ended = [str(row["case"]) for row, (status, _, _) in zip(rows, found, strict=True) if status in ENDED]
    await leave_desk(ended, seat)
    return {"cases": [_told(row) for row in rows if row["case"] not in ended]}


def _told(row: Row) -> Row:
    """A line of the queue with what officers have signed on it, in their words."""
    awaits, back = row["awaits"], row["sent_back"]
    if awaits is not None:
        said = peek_jws(awaits["decision"])[1]
        awaits = {
            "officer": peek_jws(awaits["certificate"])[1]["sub"],
            "outcome": said["outcome"],
            "rows": said["rows"],
            "reason": said["reason"],
            "materials_wanted": awaits["materials_wanted"],
            "decision": awaits["decision"],
            "at": awaits["at"],
        }
    if back is not None:
        officer = peek_jws(back["second"]["certificate"])[1]["sub"]
        back = {"officer": officer, "reason": peek_jws(back["second"]["countersign"])[1]["reason"], "at": back["at"]}
    return row | {"awaits": awaits, "sent_back": None if awaits is not None else back}


@router.post("/{department}/desk/case")
async def look(request: SignedRequest, seat: CurrentSeat, chain: Chain, http: Request) -> dict[str, Any]:
    """A dossier, opened: subjects, form, materials and claims, sealed ones included. The look is written down."""
    officer, asked = await officer_of(request, seat, chain, "cases")
    row = await item_of(asked.case, seat)
    act = await record("look", str(row["case_id"]), officer, request.request, seat)
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
        "contests": [each.shown(seat, int(time.time())) for each in case.contests],
        "act": act,
    }


@router.post("/{department}/desk/decisions", status_code=201)
async def decide(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """An officer's decision; the seat signs its verdict when the case is next carried to it. Where the scenario wants a second
    officer it stays on the desk until one has countersigned it."""
    officer, asked = await officer_of(request, seat, chain, "cases")
    if asked.decision is None:
        raise missing("decision", "办理决定", "the signed decision")
    key = (await chain.seat(seat.number)).key_of("evidence", asked.certificate)
    decision, certificate = read_decision(asked.decision, asked.certificate, seat=seat.number, jwk=key)
    row = await item_of(decision.case, seat)
    if certificate.kid != officer.kid or (decision.sequence, asked.mandate) != (row["sequence"], row["mandate"]):
        raise moved_on()
    if decision.outcome == "return" and not (asked.materials_wanted or decision.rows):
        raise missing("materials_wanted", "需补正的内容", "what is to be supplied")
    binding = await _binding(row, chain)
    scenario = await _scenario(binding, seat)
    known = {material.id for material in scenario.materials}
    if not known.issuperset(asked.materials_wanted):
        raise Invalid(
            field="materials_wanted",
            detail="本场景没有这种材料",
            detail_en="this scenario has no such material",
            remedy=" / ".join(sorted(known)),
        )
    awaits = scenario.approvers[binding.approvers.index(seat.number)] in scenario.countersign
    await seat.store.rows(
        """
        with decided as (
            insert into decision (case_id, sequence, mandate, officer, certificate, decision, materials_wanted, awaits)
            values (%(case)s, %(sequence)s, %(mandate)s, %(officer)s, %(certificate)s, %(decision)s, %(wanted)s, %(awaits)s)
            on conflict (case_id, sequence) do update
            set mandate = excluded.mandate, officer = excluded.officer, certificate = excluded.certificate,
                decision = excluded.decision, materials_wanted = excluded.materials_wanted, awaits = excluded.awaits,
                second = null, at = now()
            returning case_id, sequence, awaits
        ), left_desk as (
            update queue_item set done_at = now() where case_id = %(case)s and not %(awaits)s
        )
        insert into desk_update (case_id, sequence, operator)
        select case_id, sequence, %(operator)s from decided where not awaits
        """,
        {
            "case": decision.case,
            "sequence": decision.sequence,
            "mandate": row["mandate"],
            "officer": officer.kid,
            "certificate": asked.certificate,
            "decision": lowered(asked.decision),
            "wanted": Jsonb(asked.materials_wanted),
            "awaits": awaits,
            "operator": row["operator"],
        },
    )
    act = await record("decide", decision.case, officer, request.request, seat)
    return {
        "case": decision.case,
        "sequence": decision.sequence,
        "outcome": decision.outcome,
        "awaits_countersign": awaits,
        "act": act,
    }


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


async def item_of(case: str | None, seat: Seat) -> Row:
    """A case of the desk. Raises Refused("not-found")."""
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


async def _scenario(binding: BindingView, seat: Seat) -> Scenario:
    return (await seat.scenarios.of([binding.version], seat.store))[binding.version]


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


def moved_on() -> Refused:
    """The officer looked at something else than what is there by now."""
    return Refused(
        "办件状态已变化,请刷新后再办理",
        detail_en="the case has moved on; look at it again",
        code="conflict",
        remedy="重新打开办件 / open the case again",
    )


def missing(field: str, zh: str, en: str) -> Invalid:
    """Something that an officer has to sign is not there."""
    return Invalid(
        field=field, detail=f"缺少{zh}", detail_en=f"{en} is missing", remedy="补充后重试 / add it and try again"
    )
