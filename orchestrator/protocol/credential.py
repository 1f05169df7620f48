"""Credentials (电子证照): the result of a case as an SD-JWT VC that anybody can check without trusting the portal.

The lead approver signs it; it counts once the ledger says `Approved`. Its disclosures are sealed to the mandate's
`delivery` key, so the orchestrator carries what it cannot read. The holder shows what they choose:
`<jwt>~<disclosure>~…~`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson
from pydantic import Field

from orchestrator.domain.errors import Refused
from orchestrator.protocol import sdjwt
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.sealing import CREDENTIAL_PADDING, SealingKey, credential_info, seal, unseal
from orchestrator.protocol.wire import (
    Address,
    Base64Url,
    Hex32,
    SeatRef,
    Seconds,
    Text,
    WireModel,
    read_model,
    seat_ref,
)

TYP: Final = "dc+sd-jwt"
_BAD: Final = "bad-credential"


class CaseRef(WireModel):
    """Where the credential's standing is looked up: `statusOf(case)` at `ledger`."""

    case: Hex32
    ledger: Address
    chain_id: int = Field(gt=0, lt=1 << 256)


class Credential(WireModel):
    """A credential as the orchestrator carries it."""

    jwt: str
    """The SD-JWT's signed part."""
    sealed: Base64Url
    """All disclosures, a JSON array, sealed to the holder's delivery key."""

    @classmethod
    def parse(cls, value: Any) -> Self:
        """The credential in a JSON value. Raises Invalid."""
        return read_model(cls, value, code=_BAD)

    @property
    def hash(self) -> str:
        """SHA-256 of the signed part: the dossier's `credential` leaf."""
        return jws_hash(self.jwt)


class _Payload(WireModel):
    iss: SeatRef
    vct: Text
    iat: Seconds
    exp: Seconds | None = None
    status: CaseRef


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialView:
    """A verified credential and the claims that were shown with it."""

    iss: str
    vct: str
    """Kind of credential, a URI or URN."""
    iat: int
    exp: int | None
    status: CaseRef
    claims: dict[str, Any]
    hash: str


def issue_credential(
    *,
    seat: int,
    vct: str,
    case: str,
    ledger: str,
    chain_id: int,
    claims: Mapping[str, Any],
    delivery: Mapping[str, Any],
    iat: int,
    exp: int | None,
    key: SigningKey,
) -> Credential:
    """The credential of a case: `claims` disclosable, signed by `seat`'s evidence key, sealed to `delivery`.

    `exp` None means without end. Raises Invalid for a faulty field, ValueError for a claim with a reserved name.
    """
    payload: dict[str, Any] = {
        "iss": seat_ref(seat),
        "vct": vct,
        "iat": iat,
        "status": {"case": case, "ledger": ledger, "chain_id": chain_id},
    }
    if exp is not None:
        payload["exp"] = exp
    read_model(_Payload, payload, code=_BAD)
    jwt, disclosures = sdjwt.issue(payload, claims, typ=TYP, key=key)
    blob = seal(
        delivery, orjson.dumps(list(disclosures.values())), info=credential_info(case), pad_to=CREDENTIAL_PADDING
    )
    return Credential(jwt=jwt, sealed=blob)


def read_credential(jwt: str, disclosures: Iterable[str], jwk: Mapping[str, Any]) -> CredentialView:
    """The credential and the claims shown, signed by the evidence key `jwk` of the seat in its `iss`.

    Whether it counts is the ledger's to say (`status`), and `exp` the reader's to compare. Raises
    Refused("bad-signature", "bad-disclosure") and Invalid for a faulty field.
    """
    raw, claims = sdjwt.read(jwt, disclosures, typ=TYP, jwk=jwk)
    payload = read_model(_Payload, raw, code=_BAD)
    return CredentialView(
        iss=payload.iss,
        vct=payload.vct,
        iat=payload.iat,
        exp=payload.exp,
        status=payload.status,
        claims=claims,
        hash=jws_hash(jwt),
    )


def open_credential(credential: Credential, case: str, key: SealingKey) -> list[str]:
    """The disclosures, for the holder of the delivery key. Raises Refused("cannot-open")."""
    disclosures = orjson.loads(unseal(key, credential.sealed, info=credential_info(case)))
    if not isinstance(disclosures, list) or not all(isinstance(disclosure, str) for disclosure in disclosures):
        raise Refused("证照的密封内容不正确", code="cannot-open", detail_en="not a list of disclosures")
    return disclosures


def present(jwt: str, disclosures: Iterable[str]) -> str:
    """What a holder shows (RFC 9901, 4): `<jwt>~<disclosure>~…~`."""
    return "~".join([jwt, *disclosures, ""])


def parse_presentation(text: str) -> tuple[str, list[str]]:
    """Signed part and disclosures of what a holder shows.

    Raises Refused("bad-disclosure"), also for a key binding JWT.
    """
    jwt, *disclosures = text.strip().split("~")
    if not disclosures or disclosures.pop() != "":
        raise Refused("证照格式不正确", code="bad-disclosure", detail_en="not an SD-JWT presentation")
    return jwt, disclosures
