"""Mandates (授权书): who applies for what, and what may be asked of whom, signed by the identity seat.

The subjects are commitments; who they are is sealed per role and seat, so only the departments that must know do. A
case's id is the hash of its first mandate: nobody without the identity key can make a case.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any, Final, Literal, Self

import orjson
from pydantic import Field, field_validator, model_validator

from orchestrator.domain.canonical import b64, canonical, from_hex, tagged, to_hex, unb64
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.suite import SEALING_KEY, hash_of
from orchestrator.protocol.jose import SigningKey, jws_hash, sign_jws, verify_jws
from orchestrator.protocol.sealing import SUBJECT_PADDING, SealingKey, check_sealing_jwk, seal, subject_info, unseal
from orchestrator.protocol.wire import (
    CLOCK_SKEW,
    Address,
    Base64Url,
    BindingNumber,
    Hex32,
    HolderJwk,
    Listed,
    Name,
    SeatNumber,
    SeatRef,
    SeatText,
    Seconds,
    Text,
    WireModel,
    distinct,
    faulty,
    read_model,
    seat_ref,
)

TYP: Final = "lianban-mandate+jwt"
MAX_MANDATE: Final = 256 * 1024
"""Longest mandate, in characters."""
_BAD: Final = "bad-mandate"
DEVELOPMENT_METHOD: Final = "development"
"""Method of a face check that compared nothing: it counts outside production only."""
MandateKind = Literal["grant", "amendment", "withdrawal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom or what a question is about. Personal data: never logged, only sealed."""

    type: str
    """Kind of identifier: `citizen-number`, `uscc`, `title-number`… (the scenario says which)."""
    id: str
    name: str
    salt: bytes
    """32 random bytes, the same for every seat, so that all speak of the same commitment."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """What else was declared about the subject (an address, an area…)."""

    @classmethod
    def new(cls, *, type: str, id: str, name: str, attributes: Mapping[str, Any] | None = None) -> Self:
        """A subject with a fresh salt."""
        return cls(type=type, id=id, name=name, salt=secrets.token_bytes(32), attributes=dict(attributes or {}))

    @property
    def commitment(self) -> str:
        """What stands for the subject in mandates and answers."""
        return subject_commitment(self.salt, self.type, self.id)

    def __repr__(self) -> str:  # keeps identifiers out of logs and tracebacks
        return f"Subject({self.commitment})"


class SubjectSlot(WireModel):
    """One subject of a role: the commitment, and the sealed identity per seat that may know it."""

    commitment: Hex32
    sealed: dict[SeatText, Base64Url]


class EvidenceGrant(WireModel):
    """One evidence that may be asked, of which seat and on which lawful basis."""

    item: Name
    seat: SeatNumber
    basis: Text


class Consent(WireModel):
    """That the subject `role[index]` agreed, signed in, at `at`."""

    role: Name
    index: int = Field(ge=0, le=255)
    at: Seconds


class FaceCheck(WireModel):
    """What the identity seat found in the face check."""

    matches: bool | Literal["unknown"]
    liveness: bool | Literal["unknown"]
    assurance: Name
    checked_at: Seconds
    method: Name


class ChainRef(WireModel):
    """The ledger that the mandate is for."""

    id: int = Field(gt=0, lt=1 << 256)
    ledger: Address


class Mandate(WireModel):
    """A signed authorisation; its fields are those of docs/architecture.md."""

    iss: SeatRef
    iat: Seconds
    exp: Seconds
    jti: Name
    kind: MandateKind
    case: Hex32 | None
    """None in a grant, the case's id in what follows."""
    previous: Hex32 | None
    """Hash of the mandate that this one amends or withdraws."""
    chain: ChainRef
    binding: BindingNumber
    version: Hex32
    texts: Hex32
    """Hash of the texts that the applicant was shown."""
    sub: Text
    """Pairwise pseudonym of the applicant for the operator."""
    day: str
    """Day of signing in Asia/Shanghai, `YYYY-MM-DD`: day 0 of the deadline."""
    askers: Listed[SeatNumber]
    situation: Hex32
    form: Hex32 | None
    delivery: dict[str, str]
    """X25519 JWK of whoever gets the credential."""
    holder: HolderJwk | None
    """P-256 JWK to which the credential is bound, when its holder has one."""
    subjects: dict[Name, Listed[SubjectSlot]]
    evidence: Listed[EvidenceGrant]
    consents: Listed[Consent]
    face: FaceCheck | None

    @field_validator("day")
    @classmethod
    def _a_day(cls, value: str) -> str:
        if len(value) != 10 or date.fromisoformat(value).isoformat() != value:
            raise ValueError("not a day")
        return value

    @field_validator("delivery")
    @classmethod
    def _a_sealing_key(cls, value: dict[str, str]) -> dict[str, str]:
        try:
            check_sealing_jwk(value)
        except Invalid:
            raise ValueError(f"not a {SEALING_KEY} public key") from None
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        first = self.kind == "grant"
        if (self.case is None) != first or (self.previous is None) != first:
            raise ValueError("case and previous are given exactly when the mandate follows another")
        if not self.iat < self.exp:
            raise ValueError("exp is not after iat")
        if not self.askers or not distinct(self.askers):
            raise ValueError("askers must be named, each once")
        if not distinct((grant.item, grant.seat) for grant in self.evidence):
            raise ValueError("an evidence is granted twice")
        if any(not 0 < len(slots) <= 256 for slots in self.subjects.values()):
            raise ValueError("a role has 1 to 256 subjects")
        if any(consent.index >= len(self.subjects.get(consent.role, ())) for consent in self.consents):
            raise ValueError("a consent names no subject")
        return self

    @classmethod
    def parse(
        cls, jws: str, identity_jwk: Mapping[str, Any], *, issuer: int | None = None, now: int | None = None
    ) -> Self:
        """The mandate in `jws`, its signature and shape checked. The chain's state is the caller's to check.

        `issuer` is the binding's identity seat, `now` the moment at which the mandate must be in force; None leaves
        that out, for who audits the past. Raises Refused("bad-signature", "wrong-issuer", "expired", "not-yet-valid")
        and Invalid for a faulty field.
        """
        mandate = read_model(cls, verify_jws(jws, typ=TYP, jwk=identity_jwk, limit=MAX_MANDATE), code=_BAD)
        if issuer is not None and mandate.iss != seat_ref(issuer):
            raise Refused("授权书签发席位不符", code="wrong-issuer", detail_en="issued by another seat")
        if now is not None:
            mandate.require_current(now)
        return mandate

    def require_current(self, now: int) -> None:
        """Raises Refused("expired" or "not-yet-valid") unless `now` lies in the mandate's time."""
        if self.iat > now + CLOCK_SKEW:
            raise Refused("授权书尚未生效", code="not-yet-valid", detail_en="the mandate is not valid yet")
        if now >= self.exp:
            raise Refused("授权书已过期", code="expired", detail_en="the mandate has expired", remedy="请重新授权")

    def covers(self, item: str, seat: int) -> EvidenceGrant | None:
        """The grant under which `item` may be asked of `seat`; None when there is none."""
        return next((grant for grant in self.evidence if grant.item == item and grant.seat == seat), None)

    def slot(self, role: str, index: int) -> SubjectSlot:
        """The subject `role[index]`. Raises Refused("no-such-subject")."""
        slots = self.subjects.get(role, ())
        if not 0 <= index < len(slots):
            raise Refused(
                "授权书中没有该核验对象", code="no-such-subject", detail_en="the mandate names no such subject"
            )
        return slots[index]


def sign_mandate(mandate: Mandate, key: SigningKey) -> str:
    """The mandate as a compact JWS. Raises Invalid when it is longer than a reader takes."""
    jws = sign_jws(mandate.model_dump(mode="json"), typ=TYP, key=key)
    if len(jws) > MAX_MANDATE:
        raise faulty("mandate", code=_BAD, detail_en="too large")
    return jws


def case_id(first_mandate_jws: str) -> str:
    """`0x…` id of the case that a first mandate opens."""
    return to_hex(tagged("lianban.case.v1", from_hex(jws_hash(first_mandate_jws))))


def check_chain(signed: Sequence[tuple[str, Mandate]]) -> str:
    """The id of the case that these mandates (JWS and parsed, in order, already verified) belong to.

    Raises Refused("broken-chain") unless they are one grant and what follows it, each naming the one before, under the
    same issuer, ledger and binding, with nothing after a withdrawal.
    """
    if not signed or signed[0][1].kind != "grant":
        raise _broken_chain()
    case = case_id(signed[0][0])
    for (jws, before), (_, after) in pairwise(signed):
        same = all(
            getattr(before, name) == getattr(after, name) for name in ("iss", "chain", "binding", "version", "sub")
        )
        follows = after.previous == jws_hash(jws) and after.case == case and after.iat >= before.iat
        if not same or not follows or before.kind == "withdrawal":
            raise _broken_chain()
    return case


def subject_commitment(salt: bytes, type: str, id: str) -> str:
    """`0x…` SHA-256 over tag, 32 bytes of salt, type and id.

    Raises ValueError for another salt or a zero byte in `type`.
    """
    if len(salt) != 32 or "\0" in type:
        raise ValueError("a commitment needs 32 bytes of salt and a type without zero bytes")
    return to_hex(hash_of(b"lianban.subject.v1\0" + salt + type.encode() + b"\0" + id.encode()))


def salted_hash(salt: bytes, obj: Any) -> str:
    """`0x…` hash of a situation, form or material: tag, 32 bytes of salt, canonical JSON.

    Raises ValueError for another salt.
    """
    if len(salt) != 32:
        raise ValueError("a salt has 32 bytes")
    return to_hex(hash_of(b"lianban.object.v1\0" + salt + canonical(obj)))


def seal_subject(subject: Subject, public_jwk: Mapping[str, Any], *, jti: str, role: str, index: int, seat: int) -> str:
    """The subject, readable by `seat` alone and only at this place of this mandate."""
    plaintext = canonical(
        {
            "type": subject.type,
            "id": subject.id,
            "name": subject.name,
            "salt": b64(subject.salt),
            "attributes": subject.attributes,
        }
    )
    return seal(public_jwk, plaintext, info=subject_info(jti, role, index, seat), pad_to=SUBJECT_PADDING)


def open_subject(mandate: Mandate, role: str, index: int, *, seat: int, key: SealingKey) -> Subject:
    """The subject `role[index]` of a verified mandate, as `seat` may know it.

    Raises Refused: "no-such-subject", "not-for-this-seat", "cannot-open", or "wrong-subject" when what was sealed is
    not what the mandate commits to.
    """
    slot = mandate.slot(role, index)
    blob = slot.sealed.get(str(seat))
    if blob is None:
        raise Refused(
            "该核验对象未向本席位开放", code="not-for-this-seat", detail_en="the subject is not sealed to this seat"
        )
    plaintext = unseal(key, blob, info=subject_info(mandate.jti, role, index, seat))
    try:
        value = orjson.loads(plaintext)
        subject = Subject(**(value | {"salt": unb64(value["salt"])}))
        same = subject.commitment == slot.commitment and isinstance(subject.attributes, dict)
    except (ValueError, TypeError, KeyError, AttributeError):
        same = False
    if not same:
        raise Refused("密封的核验对象与授权书不符", code="wrong-subject", detail_en="the sealed subject is another one")
    return subject


def _broken_chain() -> Refused:
    return Refused("授权书前后不相衔接", code="broken-chain", detail_en="the mandates do not follow one another")
