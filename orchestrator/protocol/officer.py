"""Officers: people of an approver seat who decide what the rules leave open, each with a key of their own.

The key is made on the officer's side. The seat certifies it with its evidence key under a pseudonym; the officer signs
each decision. So a seat cannot say that an officer decided, and an officer cannot decide for another seat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from pydantic import field_validator, model_validator

from orchestrator.domain.errors import Invalid, Refused
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
DECISION_TYP: Final = "lianban-decision+jwt"


class Confirmation(WireModel):
    """The key that the certificate is about (RFC 7800)."""

    jwk: dict[str, str]

    @field_validator("jwk")
    @classmethod
    def _a_signing_key(cls, value: dict[str, str]) -> dict[str, str]:
        try:
            check_signing_jwk(value)
        except Invalid:
            raise ValueError("not a P-256 public key") from None
        return value


class OfficerCertificate(WireModel):
    """That a seat lets the holder of a key decide for it."""

    iss: SeatRef
    sub: Name
    """The officer's pseudonym at the seat; never a name or number of a person."""
    cnf: Confirmation
    iat: Seconds
    exp: Seconds

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.iat < self.exp:
            raise ValueError("exp is not after iat")
        return self

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


def certify(public_jwk: Mapping[str, Any], *, seat: int, pseudonym: str, iat: int, exp: int, key: SigningKey) -> str:
    """The certificate, a compact JWS by the seat's evidence key, over an officer's public key. Raises Invalid."""
    public = {name: public_jwk.get(name) for name in ("kty", "crv", "x", "y")}
    payload = {"iss": seat_ref(seat), "sub": pseudonym, "cnf": {"jwk": public}, "iat": iat, "exp": exp}
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


def read_decision(
    decision: str, certificate: str, *, seat: int, jwk: Mapping[str, Any]
) -> tuple[Decision, OfficerCertificate]:
    """The decision and who took it: an officer whom `seat` (evidence key `jwk`) had certified at that moment.

    Takes the signature of a WebCrypto key as it comes (see `jose.lowered`); what is kept is to be lowered first. Raises
    Refused and Invalid as `read_certificate`. That case, sequence and outcome are those of the verdict is the caller's
    to compare.
    """
    unproven = read_model(
        OfficerCertificate, verify_jws(certificate, typ=CERTIFICATE_TYP, jwk=jwk), code="bad-certificate"
    )
    payload = verify_jws(lowered(decision), typ=DECISION_TYP, jwk=unproven.cnf.jwk)
    read = read_model(Decision, payload, code="bad-decision")
    return read, read_certificate(certificate, seat=seat, jwk=jwk, now=read.iat)
