"""Countersignatures (复核): a second officer of the seat stands by what the first one decided, or sends it back.

Where a scenario says so (`countersign`), an officer's decision goes into a verdict only with the signature of another officer
over its hash: another key, certified under another login. Both travel in the verdict, so that whoever checks the verdict
checks that two people were at it. That they are two people, and not one with two logins, is the seat's word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from orchestrator.domain.errors import Refused
from orchestrator.protocol.jose import SigningKey, jws_hash, lowered, peek_jws, sign_jws, verify_jws
from orchestrator.protocol.officer import (
    Decision,
    OfficerCertificate,
    read_certificate,
    read_decision,
)
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.verdict import OfficerDecision, SecondOfficer, Verdict
from orchestrator.protocol.wire import Hex32, Seconds, Sequence16, Text, WireModel, is_int, read_model

TYP: Final = "lianban-countersign+jwt"

Word = Literal["countersign", "send-back"]
"""The second officer stands by the decision, or gives it back to be taken anew."""


class Countersign(WireModel):
    """A second officer's word on a decision."""

    case: Hex32
    sequence: Sequence16
    decision: Hex32
    """Hash of the first officer's decision as it was signed."""
    outcome: Word
    reason: Text
    iat: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Officers:
    """Who decided, as the verdict proves it."""

    decision: Decision
    first: OfficerCertificate
    second: OfficerCertificate | None
    """Who countersigned; None where one officer is enough."""


def sign_countersign(
    *, case: str, sequence: int, decision: str, outcome: Word, reason: str, iat: int, key: SigningKey
) -> str:
    """The word on a decision (its JWS) as a compact JWS by the second officer's key. Raises Invalid for a faulty field."""
    hashed = jws_hash(lowered(decision))
    payload = {"case": case, "sequence": sequence, "decision": hashed, "outcome": outcome, "reason": reason, "iat": iat}
    word = read_model(Countersign, payload, code="bad-countersign")
    return sign_jws(word.model_dump(mode="json"), typ=TYP, key=key)


def read_countersign(
    word: str, certificate: str, *, decision: str, first: OfficerCertificate, seat: SeatView
) -> tuple[Countersign, OfficerCertificate]:
    """A second officer's word on `decision` (a JWS, lowered), and whose it is: certified by `seat` for cases at that moment, with
    another key and another login than the `first`.

    Takes a WebCrypto signature as it comes; what is kept is to be lowered. Raises Refused: "bad-signature", "wrong-issuer",
    "expired", "not-the-duty", "other-decision" for a word on another decision, "same-officer"; Invalid for a faulty field.
    """
    certified_by = seat.key_of("evidence", certificate)
    unproven = peek_jws(lowered(word))[1].get("iat")
    second = read_certificate(certificate, seat=seat.number, jwk=certified_by, now=unproven if is_int(unproven) else 0)
    said = read_model(Countersign, verify_jws(lowered(word), typ=TYP, jwk=second.cnf.jwk), code="bad-countersign")
    second.require("cases")
    if said.decision != jws_hash(decision):
        raise Refused(
            "复核的是另一份决定", detail_en="the second officer spoke about another decision", code="other-decision"
        )
    if second.kid == first.kid or second.sub == first.sub:
        raise Refused(
            "复核须由另一名经办人作出",
            detail_en="another officer has to countersign: another key, another login",
            code="same-officer",
            remedy="请另一名经办人复核 / have another officer do it",
        )
    return said, second


def read_officers(officer: OfficerDecision, second: SecondOfficer | None, seat: SeatView, *, two: bool) -> Officers:
    """Who decided for `seat` and, if somebody did, countersigned. `two`: a second officer is wanted.

    Raises Refused: as `read_decision` and `read_countersign`, "not-countersigned"; Invalid for a faulty field.
    """
    key = seat.key_of("evidence", officer.certificate)
    decision, first = read_decision(officer.decision, officer.certificate, seat=seat.number, jwk=key)
    if second is None:
        if two:
            raise Refused(
                "该决定须由第二名经办人复核",
                detail_en="a second officer has to countersign this decision",
                code="not-countersigned",
            )
        return Officers(decision=decision, first=first, second=None)
    word, who = read_countersign(
        second.countersign, second.certificate, decision=officer.decision, first=first, seat=seat
    )
    if (word.case, word.sequence, word.outcome) != (decision.case, decision.sequence, "countersign"):
        raise _otherwise()
    return Officers(decision=decision, first=first, second=who)


def check_officers(verdict: Verdict, seat: SeatView, *, two: bool) -> Officers | None:
    """The officers behind a verdict of `seat`; None when the rules decided. `two`: its scenario wants a second officer.

    Raises Refused: as `read_officers`, "wrong-officer" when they decided something else than the verdict says; Invalid for
    a faulty field.
    """
    if verdict.officer is None:
        return None
    found = read_officers(verdict.officer, verdict.second, seat, two=two)
    said = found.decision
    if (said.case, said.sequence, said.outcome, said.rows) != (
        verdict.case,
        verdict.sequence,
        verdict.outcome,
        verdict.rows,
    ):
        raise _otherwise()
    return found


def _otherwise() -> Refused:
    return Refused("经办人的决定与审批意见不符", detail_en="the officers decided something else", code="wrong-officer")
