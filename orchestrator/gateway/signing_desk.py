"""The officers' desk for signatures: what the seat is asked to sign, the documents behind it, and officers' words on it.

An officer gets the documents themselves, so that their own software hashes and compares what they read; their word names
the proposal's hash and is kept as they signed it.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.gateway import proposals
from orchestrator.gateway.desk import officer_of
from orchestrator.gateway.requests import SignedRequest
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.protocol.jose import lowered
from orchestrator.protocol.officer import read_proposal_decision

router = APIRouter()


@router.post("/{department}/desk/proposals")
async def waiting(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """What waits for an officer before the seat signs, oldest first."""
    await officer_of(request, seat, chain, "signatures")
    return {
        "proposals": [
            {
                "hash": each.proposal.hash,
                "asker": each.asker,
                "since": each.since.isoformat(),
                **each.proposal.document(),
            }
            for each in await proposals.waiting(seat)
        ]
    }


@router.post("/{department}/desk/proposals/one")
async def look(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """A proposal with its documents, and those that it is compared with: what was signed before, or the version `against`.

    A retirement has no documents: all that it says is in the proposal.
    """
    _, asked = await officer_of(request, seat, chain, "signatures")
    proposal = await proposals.known(seat, _required(asked.proposal))
    decided = {"proposal": proposal.document(), "decisions": await proposals.decisions(seat, proposal)}
    if proposal.kind == "retirement":
        return {**decided, "definition": None, "texts": None, "before": None}
    if asked.against is not None:
        before = {"proposal": None, **await _documents(seat, asked.against, None)}
    elif (last := await proposals.signed_before(seat, proposal)) is not None:
        before = {"proposal": last.document(), **await _documents(seat, last.version, last.texts)}
    else:
        before = None
    return {**decided, **await _documents(seat, proposal.version, proposal.texts), "before": before}


@router.post("/{department}/desk/proposals/decisions", status_code=201)
async def decide(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """An officer's word on a proposal. The last one counts: what was declined may be approved later, and the other way."""
    officer, asked = await officer_of(request, seat, chain, "signatures")
    if asked.decision is None:
        raise Invalid(field="decision", detail="缺少决定", detail_en="the signed decision is missing")
    key = (await chain.seat(seat.number)).key_of("evidence", asked.certificate)
    said, certificate = read_proposal_decision(asked.decision, asked.certificate, seat=seat.number, jwk=key)
    if certificate.kid != officer.kid:
        raise Refused("决定由其他经办人签署", detail_en="another officer signed the decision", code="wrong-officer")
    proposal = await proposals.known(seat, said.proposal)
    await proposals.decide(
        proposal,
        seat,
        outcome=said.outcome,
        reason=said.reason,
        officer=officer.kid,
        certificate=asked.certificate,
        decision=lowered(asked.decision),
    )
    return {"proposal": proposal.hash, "outcome": said.outcome}


async def _documents(seat: Seat, version: str, texts: str | None) -> dict[str, Any]:
    """Definition and texts (the newest when not named). Raises Refused (code `not-found`) for what the seat does not hold."""
    found = await seat.store.documents(from_hex(version), None if texts is None else from_hex(texts))
    if found is None:
        raise Refused("本席位没有该场景版本", detail_en="this seat does not hold the version", code="not-found")
    return {"definition": orjson.loads(found[0]), "texts": orjson.loads(found[1])}


def _required(proposal: str | None) -> str:
    if proposal is None:
        raise Invalid(field="proposal", detail="缺少签署请求的编号", detail_en="the proposal's hash is missing")
    return proposal
