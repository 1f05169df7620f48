"""Officers: people of a seat who decide what the rules leave open and what the seat signs, each with a key of their own.

The key is made on the officer's side. The seat certifies it with its evidence key under a pseudonym and for certain duties;
the officer signs each decision. So a seat cannot say that an officer decided, and an officer cannot decide for another seat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.suite import SIGNING_KEY
from orchestrator.protocol.jose import SigningKey, check_signing_jwk, lowered, sign_jws, thumbprint, verify_jws
from orchestrator.protocol.verdict import Outcome
from orchestrator.protocol.wire import (
    Hex32,
    Listed,
    Name,
    SeatRef,
    Seconds,
    Sequence16,
    Text,
    WireModel,
    read_model,
    seat_ref,
)

CERTIFICATE_TYP: Final = "lianban-officer+jwt"
DESK_TYP: Final = "lianban-desk+jwt"
"""What an officer signs for each request to the desk."""
DECISION_TYP: Final = "lianban-decision+jwt"
PROPOSAL_DECISION_TYP: Final = "lianban-proposal-decision+jwt"
CORRECTION_DECISION_TYP: Final = "lianban-correction+jwt"

Duty = Literal["cases", "signatures", "corrections"]
"""Deciding cases; approving what the seat signs: scenario versions, bindings, retirements; replying to applicants who contest
a claim of the department."""
CorrectionOutcome = Literal["corrected", "rejected"]
"""The record was wrong and is corrected; or it is right and the claim stands."""


class Confirmation(WireModel):
    """The key that the certificate is about (RFC 7800)."""

    jwk: dict[str, str]

    @field_validator("jwk")
    @classmethod
    def _a_signing_key(cls, value: dict[str, str]) -> dict[str, str]:
        try:
            check_signing_jwk(value)
        except Invalid:
            raise ValueError(f"not a {SIGNING_KEY} public key") from None
        return value


class OfficerCertificate(WireModel):
    """That a seat lets the holder of a key decide for it."""

    iss: SeatRef
    sub: Name
    """The officer's pseudonym at the seat; never a name or number of a person."""
    cnf: Confirmation
    iat: Seconds
    exp: Seconds
    may: Listed[Duty] = Field(default=("cases",), min_length=1)
    """What the officer decides."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.iat < self.exp:
            raise ValueError("exp is not after iat")
        return self

    def require(self, duty: Duty) -> None:
        """Raises Refused (code `not-the-duty`) when the certificate is not for this."""
        if duty not in self.may:
            raise Refused(
                "经办人证书不含这项职责",
                detail_en=f"the officer's certificate is not for {duty}",
                code="not-the-duty",
                remedy=f"由席位另行认证:lianban officer certify --duty {duty} / have the seat certify it",
            )

    @property
    def kid(self) -> str:
        """Thumbprint of the officer's key."""
        return thumbprint(self.cnf.jwk)


class Decision(WireModel):
    """An officer's decision of one step of one case."""

    case: Hex32
    sequence: Sequence16
    outcome: Outcome
    """Not `manual`: an officer decides."""
    rows: Listed[Name]
    """The rows that were before the officer."""
    reason: Text
    iat: Seconds

    @field_validator("outcome")
    @classmethod
    def _decides(cls, value: Outcome) -> Outcome:
        if value == "manual":
            raise ValueError("an officer decides")
        return value


class ProposalDecision(WireModel):
    """An officer's word on what the seat was asked to sign."""

    proposal: Hex32
    """Hash of the proposal (`protocol/proposal.py`): it names documents, seats and chain."""
    outcome: Literal["approve", "decline"]
    reason: Text
    iat: Seconds


class CorrectionDecision(WireModel):
    """An officer's word on a contest."""

    contest: Hex32
    """Hash of the contest (`protocol/contest.py`)."""
    outcome: CorrectionOutcome
    reason: Hex32
    """Salted hash: the reason is about a person, so it is sealed to those who read it."""
    iat: Seconds


def certify(
    public_jwk: Mapping[str, Any],
    *,
    seat: int,
    pseudonym: str,
    iat: int,
    exp: int,
    key: SigningKey,
    may: Sequence[Duty] = ("cases",),
) -> str:
    """The certificate, a compact JWS by the seat's evidence key, over an officer's public key. Raises Invalid."""
    public = {name: public_jwk.get(name) for name in ("kty", "crv", "x", "y")}
    who = {"iss": seat_ref(seat), "sub": pseudonym, "cnf": {"jwk": public}}
    payload = {**who, "iat": iat, "exp": exp, "may": list(may)}
    certificate = read_model(OfficerCertificate, payload, code="bad-certificate")
    return sign_jws(certificate.model_dump(mode="json"), typ=CERTIFICATE_TYP, key=key)


def read_certificate(jws: str, *, seat: int, jwk: Mapping[str, Any], now: int) -> OfficerCertificate:
    """The certificate in `jws`, signed by `seat`'s evidence key and in force at `now`.

    Raises Refused: "bad-signature", "wrong-issuer", "expired"; Invalid for a faulty field.
    """
    certificate = read_model(OfficerCertificate, verify_jws(jws, typ=CERTIFICATE_TYP, jwk=jwk), code="bad-certificate")
    if certificate.iss != seat_ref(seat):
        raise Refused("经办人证书由其他席位签发", code="wrong-issuer", detail_en="another seat certified the officer")
    if not certificate.iat <= now < certificate.exp:
        raise Refused("经办人证书不在有效期内", code="expired", detail_en="the officer's certificate is not in force")
    return certificate


def sign_decision(
    *, case: str, sequence: int, outcome: Outcome, rows: Sequence[str], reason: str, iat: int, key: SigningKey
) -> str:
    """The decision as a compact JWS by the officer's own key. Raises Invalid for a faulty field."""
    payload = {
        "case": case,
        "sequence": sequence,
        "outcome": outcome,
        "rows": list(rows),
        "reason": reason,
        "iat": iat,
    }
    decision = read_model(Decision, payload, code="bad-decision")
    return sign_jws(decision.model_dump(mode="json"), typ=DECISION_TYP, key=key)


def sign_proposal_decision(
    *, proposal: str, outcome: Literal["approve", "decline"], reason: str, iat: int, key: SigningKey
) -> str:
    """The word on a proposal as a compact JWS by the officer's own key. Raises Invalid for a faulty field."""
    payload = {"proposal": proposal, "outcome": outcome, "reason": reason, "iat": iat}
    decision = read_model(ProposalDecision, payload, code="bad-decision")
    return sign_jws(decision.model_dump(mode="json"), typ=PROPOSAL_DECISION_TYP, key=key)


def sign_correction_decision(
    *, contest: str, outcome: CorrectionOutcome, reason: str, iat: int, key: SigningKey
) -> str:
    """The word on a contest as a compact JWS by the officer's own key; `reason` is its salted hash. Raises Invalid."""
    payload = {"contest": contest, "outcome": outcome, "reason": reason, "iat": iat}
    decision = read_model(CorrectionDecision, payload, code="bad-decision")
    return sign_jws(decision.model_dump(mode="json"), typ=CORRECTION_DECISION_TYP, key=key)


def read_decision(
    decision: str, certificate: str, *, seat: int, jwk: Mapping[str, Any]
) -> tuple[Decision, OfficerCertificate]:
    """The decision and who took it: an officer whom `seat` (evidence key `jwk`) had certified for cases at that moment.

    Takes the signature of a WebCrypto key as it comes (see `jose.lowered`); what is kept is to be lowered first. Raises
    Refused and Invalid as `read_certificate`. That case, sequence and outcome are those of the verdict is the caller's
    to compare.
    """
    read = read_model(Decision, _decided(decision, certificate, DECISION_TYP, jwk), code="bad-decision")
    return read, _at_that_moment(certificate, "cases", seat=seat, jwk=jwk, now=read.iat)


def read_proposal_decision(
    decision: str, certificate: str, *, seat: int, jwk: Mapping[str, Any]
) -> tuple[ProposalDecision, OfficerCertificate]:
    """The word on a proposal and whose it is: an officer whom `seat` had certified for signatures at that moment.

    Raises Refused and Invalid as `read_decision`.
    """
    payload = _decided(decision, certificate, PROPOSAL_DECISION_TYP, jwk)
    read = read_model(ProposalDecision, payload, code="bad-decision")
    return read, _at_that_moment(certificate, "signatures", seat=seat, jwk=jwk, now=read.iat)


def read_correction_decision(
    decision: str, certificate: str, *, seat: int, jwk: Mapping[str, Any]
) -> tuple[CorrectionDecision, OfficerCertificate]:
    """The word on a contest and whose it is: an officer whom `seat` had certified for corrections at that moment.

    Raises Refused and Invalid as `read_decision`.
    """
    payload = _decided(decision, certificate, CORRECTION_DECISION_TYP, jwk)
    read = read_model(CorrectionDecision, payload, code="bad-decision")
    return read, _at_that_moment(certificate, "corrections", seat=seat, jwk=jwk, now=read.iat)


def _decided(decision: str, certificate: str, typ: str, jwk: Mapping[str, Any]) -> dict[str, Any]:
    """What is signed by the key that a certificate is about."""
    unproven = read_model(
        OfficerCertificate, verify_jws(certificate, typ=CERTIFICATE_TYP, jwk=jwk), code="bad-certificate"
    )
    return verify_jws(lowered(decision), typ=typ, jwk=unproven.cnf.jwk)


def _at_that_moment(certificate: str, duty: Duty, *, seat: int, jwk: Mapping[str, Any], now: int) -> OfficerCertificate:
    read = read_certificate(certificate, seat=seat, jwk=jwk, now=now)
    read.require(duty)
    return read
