"""Credentials (电子证照): the result of a case as an SD-JWT VC that anybody can check without trusting the portal.

The lead approver signs it; it counts once the ledger says `Approved`. Its disclosures are sealed to the mandate's
`delivery` key, so the orchestrator carries what it cannot read. The holder shows what they choose (RFC 9901, 4):
`<jwt>~<disclosure>~…~`, and when the credential is bound to a key of theirs (`cnf`) a key binding JWT behind it
(`protocol/keybinding.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson
from pydantic import Field

from orchestrator.domain.errors import Refused
from orchestrator.domain.suite import INTEGRITY
from orchestrator.protocol import sdjwt
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.sealing import CREDENTIAL_PADDING, SealingKey, credential_info, seal, unseal
from orchestrator.protocol.wire import (
    Address,
    Base64Url,
    Hex32,
    HolderJwk,
    SeatRef,
    Seconds,
    Text,
    WireModel,
    read_model,
    seat_ref,
)

TYP: Final = "dc+sd-jwt"
_BAD: Final = "bad-credential"
OPEN: Final = frozenset({"iss", "iat", "nbf", "exp", "cnf", "vct", "vct#integrity", "status", "aud", "sub"})
"""Claims that are never selectively disclosed (draft-ietf-oauth-sd-jwt-vc) and are no names of a scenario's fields."""


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


class _Status(WireModel):
    """The status mechanisms of a credential: one, the consortium's chain."""

    lianban_case: CaseRef


class _Confirmation(WireModel):
    """Whose key the credential is bound to (RFC 7800)."""

    jwk: HolderJwk


class _Payload(WireModel):
    iss: SeatRef
    vct: Text
    integrity: Text = Field(alias="vct#integrity", pattern=rf"^{INTEGRITY}-[A-Za-z0-9+/]{{43}}=$")
    iat: Seconds
    exp: Seconds | None = None
    cnf: _Confirmation | None = None
    status: _Status


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialView:
    """A verified credential and the claims that were shown with it."""

    iss: str
    vct: str
    """Kind of credential, a URI or URN."""
    integrity: str
    """SRI hash of the type metadata that it was issued by."""
    iat: int
    exp: int | None
    holder: dict[str, str] | None
    """The holder's public P-256 JWK; None when the credential is bound to no key."""
    status: CaseRef
    claims: dict[str, Any]
    hash: str
    claims_in_all: int
    """How many claims it has, shown or not."""


def issue_credential(
    *,
    seat: int,
    vct: str,
    integrity: str,
    case: str,
    ledger: str,
    chain_id: int,
    claims: Mapping[str, Any],
    delivery: Mapping[str, Any],
    holder: Mapping[str, str] | None,
    iat: int,
    exp: int | None,
    key: SigningKey,
) -> Credential:
    """The credential of a case: `claims` disclosable, signed by `seat`'s evidence key, sealed to `delivery`.

    `integrity` is the hash of the type metadata, `holder` the key that it is bound to, `exp` None means without end.
    Raises Invalid for a faulty field, ValueError for a claim with a reserved name.
    """
    if not OPEN.isdisjoint(claims):
        raise ValueError("a claim has the name of one that is never selectively disclosed")
    payload: dict[str, Any] = {
        "iss": seat_ref(seat),
        "vct": vct,
        "vct#integrity": integrity,
        "iat": iat,
        "status": {"lianban_case": {"case": case, "ledger": ledger, "chain_id": chain_id}},
    }
    if exp is not None:
        payload["exp"] = exp
    if holder is not None:
        payload["cnf"] = {"jwk": dict(holder)}
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
    raw, claims, size = sdjwt.read_counted(jwt, disclosures, typ=TYP, jwk=jwk)
    payload = read_model(_Payload, raw, code=_BAD)
    if not OPEN.isdisjoint(claims):
        raise Refused("证照格式不正确", code="bad-disclosure", detail_en="a claim is disclosed that never may be")
    return CredentialView(
        iss=payload.iss,
        vct=payload.vct,
        integrity=payload.integrity,
        iat=payload.iat,
        exp=payload.exp,
        holder=dict(payload.cnf.jwk) if payload.cnf else None,
        status=payload.status.lianban_case,
        claims=claims,
        hash=jws_hash(jwt),
        claims_in_all=size,
    )


def open_credential(credential: Credential, case: str, key: SealingKey) -> list[str]:
    """The disclosures, for the holder of the delivery key. Raises Refused("cannot-open")."""
    disclosures = orjson.loads(unseal(key, credential.sealed, info=credential_info(case)))
    if not isinstance(disclosures, list) or not all(isinstance(disclosure, str) for disclosure in disclosures):
        raise Refused("证照的密封内容不正确", code="cannot-open", detail_en="not a list of disclosures")
    return disclosures


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """What a holder shows: the signed part, the disclosures chosen, perhaps a key binding JWT. Nothing of it is verified."""

    jwt: str
    disclosures: tuple[str, ...]
    binding: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `<jwt>~<disclosure>~…~[<key binding JWT>]`. Raises Refused("bad-disclosure")."""
        jwt, *rest = text.strip().split("~")
        if not rest or not jwt or any(not part for part in rest[:-1]):
            raise Refused("证照格式不正确", code="bad-disclosure", detail_en="not an SD-JWT presentation")
        return cls(jwt=jwt, disclosures=tuple(rest[:-1]), binding=rest[-1] or None)

    def bound_part(self) -> str:
        """Everything that a key binding JWT binds: all but itself."""
        return "~".join([self.jwt, *self.disclosures, ""])

    def text(self) -> str:
        """The presentation as it is handed over."""
        return self.bound_part() + (self.binding or "")

    def choose(self, names: Iterable[str]) -> Self:
        """The same with the claims of these names alone, without a key binding. Raises Invalid for a name that is not there."""
        known = {sdjwt.open_disclosure(each)[0]: each for each in self.disclosures}
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            if name not in known:
                raise sdjwt.no_such_claim(name, known)
        chosen = tuple(each for name, each in known.items() if name in wanted)
        return type(self)(jwt=self.jwt, disclosures=chosen)


def present(jwt: str, disclosures: Iterable[str]) -> str:
    """What a holder shows without a key binding: `<jwt>~<disclosure>~…~`."""
    return Presentation(jwt=jwt, disclosures=tuple(disclosures)).text()
