"""From a finished flow to a signed mandate.

Each subject is sealed to exactly the seats that need it: the providers of granted evidence in which its role plays a part,
and every approver. What was declined is not granted, and its provider learns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import orjson

from orchestrator.domain.canonical import unb64
from orchestrator.identity.flow import Entered, Flow, MandateRequest
from orchestrator.identity.needs import Item, Needs
from orchestrator.identity.store import SignedMandate
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.mandate import (
    ChainRef,
    Consent,
    EvidenceGrant,
    FaceCheck,
    Mandate,
    Subject,
    SubjectSlot,
    case_id,
    salted_hash,
    seal_subject,
    sign_mandate,
)
from orchestrator.protocol.ports import BindingView, SeatView
from orchestrator.protocol.sheet import Domain
from orchestrator.protocol.wire import seat_ref

MANDATE_DAYS: Final = 400
"""How long a mandate may be used: the longest deadline, one return and a year of monthly re-asks."""

REPEATED: Final = (
    "iss", "chain", "binding", "version", "texts", "sub", "askers", "situation", "form", "delivery", "holder",
)  # fmt: skip
"""Members of a mandate that a withdrawal signed without a client takes over."""

_BEIJING: Final = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A mandate as it leaves the identity seat."""

    jws: str
    hash: str
    case: str
    seats: tuple[int, ...] = ()
    """Departments that it names."""
    terms: str = "{}"
    """What a withdrawal of it repeats, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a mandate holds."""

    binding: BindingView
    ledger: Domain
    """EIP-712 domain of the CaseLedger: chain and address."""
    seats: dict[int, SeatView]
    """Every seat that the binding names."""


def beijing_day(now: int) -> str:
    """The day in Asia/Shanghai, `YYYY-MM-DD` (no summer time since 1991)."""
    return datetime.fromtimestamp(now, UTC).astimezone(_BEIJING).date().isoformat()


def granted(needs: Needs, flow: Flow) -> tuple[Item, ...]:
    """The evidence that the mandate covers: nothing declined, and no face check that was not made."""
    return tuple(
        need
        for need in needs.items
        if need.item.id not in flow.declined and not (need.item.source == "mandate" and flow.face is None)
    )


def make_mandate(flow: Flow, request: MandateRequest, needs: Needs, place: Place, *, sub: str, now: int) -> Mandate:
    """The mandate that a finished flow stands for. A withdrawal names no subject and grants nothing.

    Raises ValueError for a contest, which is no mandate (`identity/contests.py`).
    """
    if request.kind == "contest":
        raise ValueError("a contest is no mandate")
    binding = place.binding
    items = () if request.kind == "withdrawal" else granted(needs, flow)
    entered = {} if request.kind == "withdrawal" else (flow.subjects or {})
    return Mandate(
        iss=seat_ref(binding.identity),
        iat=now,
        exp=now + MANDATE_DAYS * 86400,
        jti=flow.jti,
        kind=request.kind,
        case=request.case,
        previous=request.previous,
        chain=ChainRef(id=place.ledger.chain_id, ledger=place.ledger.contract),
        binding=binding.number,
        version=flow.version,
        texts=flow.texts,
        sub=sub,
        day=beijing_day(now),
        askers=tuple(dict.fromkeys((binding.operator, *binding.approvers))),
        situation=salted_hash(unb64(request.situation.salt), request.situation.values),
        form=request.form.hash if request.form else None,
        delivery={name: str(value) for name, value in request.delivery.items()},
        holder=request.holder,
        subjects={role: _slots(role, each, items, place, flow.jti) for role, each in entered.items()},
        evidence=tuple(EvidenceGrant(item=need.item.id, seat=need.seat, basis=need.item.basis.kind) for need in items),
        consents=tuple(
            Consent(role=consent.role, index=consent.index, at=consent.at)
            for consent in flow.consents
            if consent.at is not None
        ),
        face=_face(flow) if any(need.item.source == "mandate" for need in items) else None,
    )


def named_seats(flow: Flow, request: MandateRequest, needs: Needs, place: Place) -> tuple[int, ...]:
    """The departments that a flow's mandate names: those that may be asked under it, and those that decide on it."""
    if request.kind == "withdrawal":
        return ()
    asked = {need.seat for need in granted(needs, flow) if need.item.source == "gateway"}
    return tuple(sorted(asked | set(place.binding.approvers)))


def terms_of(mandate: Mandate) -> str:
    """What a withdrawal repeats of the mandate that it follows, as JSON: hashes, public keys, a pseudonym."""
    return mandate.model_dump_json(include=set(REPEATED))


def make_withdrawal(before: SignedMandate, *, jti: str, now: int) -> Mandate:
    """The withdrawal of the case whose newest mandate is `before`, made without a client."""
    return Mandate(
        **orjson.loads(before.terms),
        iat=now,
        exp=now + MANDATE_DAYS * 86400,
        jti=jti,
        kind="withdrawal",
        case=before.case_id,
        previous=before.hash,
        day=beijing_day(now),
        subjects={},
        evidence=(),
        consents=(),
        face=None,
    )


def sign(mandate: Mandate, key: SigningKey, *, seats: tuple[int, ...] = ()) -> Signed:
    """The mandate signed by the identity key, with its hash and the case that it belongs to."""
    jws = sign_mandate(mandate, key)
    case = mandate.case or case_id(jws)
    return Signed(jws=jws, hash=jws_hash(jws), case=case, seats=seats, terms=terms_of(mandate))


def _slots(
    role: str, entered: tuple[Entered, ...], items: tuple[Item, ...], place: Place, jti: str
) -> tuple[SubjectSlot, ...]:
    asked = {
        need.seat
        for need in items
        if need.item.source == "gateway" and role in {need.item.subject, *need.item.with_.values()}
    }
    readers = sorted(asked | set(place.binding.approvers))
    return tuple(_slot(role, index, each, readers, place, jti) for index, each in enumerate(entered))


def _slot(role: str, index: int, entered: Entered, readers: list[int], place: Place, jti: str) -> SubjectSlot:
    subject = Subject.new(type=entered.type, id=entered.id, name=entered.name, attributes=entered.attributes)
    sealed: dict[str, Any] = {
        str(seat): seal_subject(
            subject, place.seats[seat].keyset.key("sealing"), jti=jti, role=role, index=index, seat=seat
        )
        for seat in readers
    }
    return SubjectSlot(commitment=subject.commitment, sealed=sealed)


def _face(flow: Flow) -> FaceCheck | None:
    if flow.face is None:
        return None
    return FaceCheck(
        matches=flow.face.matches,
        liveness=flow.face.liveness,
        assurance=flow.face.assurance,
        checked_at=flow.face.checked_at,
        method=flow.face.method,
    )
