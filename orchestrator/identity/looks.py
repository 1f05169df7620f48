"""Who looked at my data (谁查过我的数据): every department is asked on behalf of who signed in, and what it tells is checked and put
into plain words.

The file that comes of it holds everything that is needed to check it again without this seat: `lianban verify`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
from pydantic import ValidationError

from orchestrator.domain.canonical import b64
from orchestrator.domain.errors import Invalid, LianbanError, Unavailable
from orchestrator.domain.scenario import Scenario
from orchestrator.identity.gateways import post
from orchestrator.identity.notice import BASES, Words, claim_name, evidence_name
from orchestrator.identity.seat import IdentitySeat
from orchestrator.protocol.access import Access, Look, Told, sign_access
from orchestrator.protocol.accesscheck import Proven, check_told
from orchestrator.protocol.mandate import Subject
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.querylog import Head

FORMAT: Final = "lianban-looks-1"
MOST_PARTS: Final = 50
"""Most statements that one department is asked for."""

OUTCOMES: Final[dict[str, Words]] = {
    "answered": {"zh": "已答复", "en": "answered"},
    "no-answer": {"zh": "该部门未能答复", "en": "the department could not answer"},
    "withdrawn": {"zh": "已拒绝:授权已撤回", "en": "refused: the consent was withdrawn"},
    "superseded": {"zh": "已拒绝:授权已变更", "en": "refused: the authorisation was amended"},
}
KINDS: Final[dict[str, Words]] = {
    "answered": {"zh": "已答", "en": "answered"},
    "unknown": {"zh": "无法确定", "en": "unknown"},
}
OPEN: Final[Words] = {"zh": "承办平台与审批部门可读", "en": "readable by the operator and the deciding departments"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One statement of one department, as it was asked for and told."""

    access: str
    told: Told
    proven: Proven


@dataclass(frozen=True, slots=True, kw_only=True)
class FromSeat:
    """What one department told."""

    seat: SeatView
    anchored: Head | None
    """Its log's head on chain when it was asked."""
    parts: tuple[Part, ...] = ()
    error: str = ""
    """Code of why it told nothing (more); empty when it told everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What all departments told about one person."""

    subject: Subject
    at: int
    seats: tuple[FromSeat, ...]


async def find(seat: IdentitySeat, http: httpx.AsyncClient, kind: str, identifier: str) -> Findings:
    """Asks every department that any binding has ever had answer. One that does not tell is named, and stops no other; who
    never had to answer anything, as an operator, is not asked."""
    subject = Subject.new(type=kind, id=identifier, name="")
    views = {view.number: view for view in await seat.chain.seats()}
    answer = {number for binding in await seat.chain.bindings() for number in (binding.identity, *binding.providers)}
    asked = [_ask(seat, http, subject, view, views) for view in views.values() if view.number in answer]
    return Findings(subject=subject, at=seat.now(), seats=tuple(await asyncio.gather(*asked)))


async def _ask(
    seat: IdentitySeat, http: httpx.AsyncClient, subject: Subject, view: SeatView, views: Mapping[int, SeatView]
) -> FromSeat:
    parts: list[Part] = []
    anchored: Head | None = None
    before = None
    if not view.active:
        return FromSeat(seat=view, anchored=None, error="seat-suspended")
    try:
        anchored = await seat.heads.anchored(view.number) if seat.heads is not None else None
        for _ in range(MOST_PARTS):
            part = await _part(seat, http, subject, view, views, anchored, before)
            parts.append(part)
            statement = part.proven.statement
            if not statement.more or not part.proven.leaves:
                return FromSeat(seat=view, anchored=anchored, parts=tuple(parts))
            before = min(part.proven.leaves)
        error = "too-many"
    except LianbanError as problem:
        # A seat to which no mandate of this identity seat ever came has nothing to tell.
        error = "" if problem.code == "not-identity-seat" else problem.code
    return FromSeat(seat=view, anchored=anchored, parts=tuple(parts), error=error)


async def _part(
    seat: IdentitySeat,
    http: httpx.AsyncClient,
    subject: Subject,
    view: SeatView,
    views: Mapping[int, SeatView],
    anchored: Head | None,
    before: int | None,
) -> Part:
    access = sign_access(
        subject,
        view.keyset.key("sealing"),
        key=seat.key,
        iss=seat.number,
        aud=view.number,
        anchored=anchored.size if anchored else None,
        before=before,
        now=seat.now(),
    )
    try:
        told = Told.model_validate_json(await post(http, view, "looks", {"request": access}))
    except ValidationError:
        raise Unavailable("网关应答格式不正确", detail_en="not as specified", code="bad-gateway") from None
    signer = told.head.signer(seat.chain.domain("CaseLedger"))
    if told.head.seat != view.number or not view.signed_by(signer, seat.now()):
        raise Unavailable("日志头不是该席位签署的", detail_en="the head is not signed by the seat", code="bad-head")
    proven = check_told(told, access, seat=view, seats=views, anchored=anchored)
    return Part(access=access, told=told, proven=proven)


def document(findings: Findings, seat: IdentitySeat) -> dict[str, Any]:
    """The file: what was asked and told as it was signed, and the salt that shows whom it is about."""
    ledger = seat.chain.domain("CaseLedger")
    subject = findings.subject
    return {
        "format": FORMAT,
        "at": findings.at,
        "chain": {"id": ledger.chain_id, "ledger": ledger.contract},
        "subject": {"type": subject.type, "id": subject.id, "salt": b64(subject.salt)},
        "seats": [
            {
                "seat": each.seat.number,
                "anchored": {"size": each.anchored.size, "root": "0x" + each.anchored.root.hex()}
                if each.anchored
                else None,
                "error": each.error,
                "parts": [{"access": part.access, "told": part.told.model_dump(mode="json")} for part in each.parts],
            }
            for each in findings.seats
        ],
    }


async def lines(findings: Findings, seat: IdentitySeat) -> list[dict[str, Any]]:
    """Every question and access in plain words, newest first."""
    names = {view.number: view.keyset.name for view in await seat.chain.seats()}
    found = []
    for each in findings.seats:
        for part in each.parts:
            for look in part.proven.statement.looks:
                found.append(await _line(look, each, part, names, seat))
            for access in part.proven.statement.accesses:
                found.append(_access_line(access, each, part, names))
    return sorted(found, key=lambda line: (-line["at"], line["seat"], -line["index"]))


async def _line(
    look: Look, each: FromSeat, part: Part, names: Mapping[int, Words], seat: IdentitySeat
) -> dict[str, Any]:
    scenario = await _scenario(look, seat)
    item = next((one for one in scenario.evidence if one.id == look.item), None) if scenario else None
    role: Words = {"zh": look.role, "en": look.role}
    if scenario and any(one.id == look.role for one in scenario.subjects):
        role = _words(scenario.subject(look.role).label)
    claims = []
    for told in look.claims:
        claim = next((one for one in item.claims if one.key == told.claim), None) if item else None
        plain: Words = {"zh": told.claim, "en": told.claim}
        readers = [_name(names, reader) for reader in told.sealed_to]
        only = {
            "zh": "仅" + "、".join(name["zh"] for name in readers) + "可读",
            "en": "readable by " + ", ".join(name["en"] for name in readers) + " alone",
        }
        claims.append(
            {
                "name": claim_name(item, claim, seat.catalogue) if item and claim else plain,
                "kind": KINDS[told.kind],
                "readers": only if readers else OPEN,
            }
        )
    refused: Words = {"zh": f"已拒绝:{look.outcome}", "en": f"refused: {look.outcome}"}
    return {
        "kind": "question",
        "seat": each.seat.number,
        "index": look.index,
        "at": look.at,
        "asked_of": each.seat.keyset.name,
        "asker": _name(names, look.asker),
        "evidence": evidence_name(item, seat.catalogue) if item else {"zh": look.item, "en": look.item},
        "item": look.item,
        "role": role,
        "part": look.part,
        "scenario": _words(scenario.name) if scenario else {"zh": look.version[:12], "en": look.version[:12]},
        "case": look.case,
        "purpose": look.purpose,
        "basis": BASES.get(
            look.basis or "", {"zh": look.basis or "授权书未列", "en": look.basis or "not in the mandate"}
        ),
        "act": _words(item.basis.act) if item and look.basis else None,
        "outcome": OUTCOMES.get(look.outcome, refused),
        "result": look.outcome,
        "recalled": look.recalled,
        "claims": claims,
        "anchored": look.index in part.proven.anchored,
    }


def _access_line(access: Access, each: FromSeat, part: Part, names: Mapping[int, Words]) -> dict[str, Any]:
    return {
        "kind": "access",
        "seat": each.seat.number,
        "index": access.index,
        "at": access.at,
        "asked_of": each.seat.keyset.name,
        "asker": _name(names, access.asker),
        "anchored": access.index in part.proven.anchored,
    }


async def _scenario(look: Look, seat: IdentitySeat) -> Scenario | None:
    try:
        return await seat.scenario(look.version, look.texts)
    except Invalid:  # another identity seat's: its documents are not here
        return None


def _name(names: Mapping[int, Words], number: int) -> Words:
    return names.get(number, {"zh": f"席位 {number}", "en": f"seat {number}"})


def _words(text: Any) -> Words:
    return {"zh": text.zh, "en": text.en}
