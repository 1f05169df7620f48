"""Upholdings (维持决定): a seat has looked again at what it decided on answers that were taken back, and lets it stand.

An upholding names the recalls that it is about, so it says nothing about a recall that comes later. It holds what the officer
signed over the same recalls, or both officers where the scenario wants two: a seat cannot say that an officer looked again. A suspended case is
approved again only on the upholding of each approver whose verdict rested on a recalled answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

from pydantic import Field, model_validator

from orchestrator.domain.errors import Refused
from orchestrator.protocol.jose import SigningKey, lowered, peek_jws, sign_jws, verify_jws
from orchestrator.protocol.officer import DESK_TYP, OfficerCertificate, read_certificate
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.wire import (
    Hex32,
    Listed,
    SeatRef,
    Seconds,
    Text,
    WireModel,
    distinct,
    is_int,
    read_model,
    seat_ref,
)

TYP: Final = "lianban-upholding+jwt"
MOST_RECALLS: Final = 256


class SignedAct(WireModel):
    """What an officer signed at the desk: certificate and request, both compact JWS."""

    certificate: str
    request: str


class Upholding(WireModel):
    """That a seat's decision stands although answers under it were taken back."""

    iss: SeatRef
    case: Hex32
    recalls: Listed[Hex32] = Field(min_length=1, max_length=MOST_RECALLS)
    """Hashes of the recalls."""
    reason: Text
    """For holder and operator to read; says nothing about a person beyond the case."""
    officers: Listed[SignedAct] = Field(min_length=1, max_length=2)
    iat: Seconds

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if not distinct(self.recalls):
            raise ValueError("a recall comes twice")
        return self


def sign_upholding(
    *,
    seat: int,
    case: str,
    recalls: Sequence[str],
    reason: str,
    officers: Sequence[SignedAct],
    iat: int,
    key: SigningKey,
) -> str:
    """The upholding as a compact JWS, by the seat's evidence key. Raises Invalid for a faulty field."""
    payload = {
        "iss": seat_ref(seat),
        "case": case,
        "recalls": list(recalls),
        "reason": reason,
        "officers": [each.model_dump() for each in officers],
        "iat": iat,
    }
    upholding = read_model(Upholding, payload, code="bad-upholding")
    return sign_jws(upholding.model_dump(mode="json"), typ=TYP, key=key)


def read_upholding(jws: str, seat: SeatView, *, two: bool = False) -> Upholding:
    """The upholding in `jws`, signed by a key of `seat` and by its officers. `two`: the scenario wants two of them.

    Raises Refused: "bad-signature", "wrong-issuer", "expired", "not-the-duty", "wrong-officer" when an officer signed something
    else, "not-countersigned"; Invalid for a faulty field.
    """
    read = read_model(Upholding, verify_jws(jws, typ=TYP, jwk=seat.key_of("evidence", jws)), code="bad-upholding")
    if read.iss != seat_ref(seat.number):
        raise Refused("维持决定由其他席位签发", detail_en="another seat upholds", code="wrong-issuer")
    officers = [_officer(each, read, seat) for each in read.officers]
    if len(officers) < 2 and two:
        raise Refused("须由两名经办人作出", detail_en="it takes two officers", code="not-countersigned")
    if len(officers) == 2 and (officers[0].kid == officers[1].kid or officers[0].sub == officers[1].sub):
        raise Refused("须由两名不同的经办人作出", detail_en="it takes two officers", code="not-countersigned")
    return read


def _officer(act: SignedAct, upholding: Upholding, seat: SeatView) -> OfficerCertificate:
    request = lowered(act.request)
    at = peek_jws(request)[1].get("iat")
    certificate = read_certificate(
        act.certificate,
        seat=seat.number,
        jwk=seat.key_of("evidence", act.certificate),
        now=at if is_int(at) else 0,
    )
    certificate.require("cases")
    signed = verify_jws(request, typ=DESK_TYP, jwk=certificate.cnf.jwk)
    recalls = signed.get("recalls")
    same = isinstance(recalls, list) and set(map(str, recalls)) == set(upholding.recalls)
    if (signed.get("act"), signed.get("case"), same) != ("uphold", upholding.case, True):
        raise Refused("经办人签署的不是维持该办件", detail_en="the officer signed something else", code="wrong-officer")
    return certificate
