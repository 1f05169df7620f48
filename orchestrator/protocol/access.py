"""Access (谁查过我的数据): a person asks every department, through the identity seat, who asked about them.

The identity seat knows who signed in; it seals the identifier to each department's gateway and signs the request. Nobody in
between learns who asks, and the orchestrator takes no part. A department answers with a signed statement of every question that
it logged about the identifier, with inclusion proofs under its signed head, and it logs the access like a question. Values are
never in it: what was answered is told in kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Self

import orjson
from pydantic import Field, model_validator

from orchestrator.domain.canonical import canonical, unb64
from orchestrator.domain.errors import Refused
from orchestrator.protocol.jose import SigningKey, jws_hash, sign_jws, verify_jws
from orchestrator.protocol.loghead import LogSize, SignedHead
from orchestrator.protocol.mandate import Subject
from orchestrator.protocol.notice import MOST_NODES
from orchestrator.protocol.question import read_request, sign_request
from orchestrator.protocol.sealing import SUBJECT_PADDING, SealingKey, access_info, seal, unseal
from orchestrator.protocol.wire import (
    Attempt,
    Base64Url,
    BindingNumber,
    Hex32,
    Listed,
    Name,
    SeatNumber,
    SeatRef,
    Seconds,
    Text,
    WireModel,
    distinct,
    read_model,
)

KIND: Final = "access"
TYP: Final = "lianban-looks+jwt"
ACCESSED: Final = "accessed"
"""The outcome in the log of an entry that is no question but an access."""
MOST_LOOKS: Final = 1000
"""Questions, and accesses, in one statement; more are told in further ones."""
_ENVELOPE: Final = ("iss", "aud", "jti", "iat", "exp")


class AccessRequest(WireModel):
    """What an identity seat asks a department on behalf of who signed in."""

    commitment: Hex32
    """To the person's identifier, with a salt of this one request."""
    sealed: Base64Url
    """The subject, readable by the asked seat alone."""
    anchored: LogSize | None
    """Size of the seat's log head on chain, as the asker sees it: entries below it are to be proven under that head."""
    before: LogSize | None
    """Only entries below this index; None for the newest."""


def access_entry(request: str, at: int) -> bytes:
    """What is logged for an access: the hash of the signed request, and when, in seconds since 1970."""
    return canonical({"access": request, "at": at})


def sign_access(
    subject: Subject,
    sealing_jwk: Mapping[str, Any],
    *,
    key: SigningKey,
    iss: int,
    aud: int,
    anchored: int | None = None,
    before: int | None = None,
    now: int | None = None,
) -> str:
    """A request about `subject` from identity seat `iss` (by its identity key) to seat `aud`, in force for a minute."""
    plaintext = orjson.dumps({"type": subject.type, "id": subject.id, "salt": subject.salt.hex()})
    asked = AccessRequest(
        commitment=subject.commitment,
        sealed=seal(sealing_jwk, plaintext, info=access_info(subject.commitment, aud), pad_to=SUBJECT_PADDING),
        anchored=anchored,
        before=before,
    )
    return sign_request(asked.model_dump(mode="json"), KIND, key=key, iss=iss, aud=aud, now=now)


def read_access(jws: str, *, audience: int, now: int, jwk: Mapping[str, Any]) -> tuple[AccessRequest, str, int]:
    """The request in `jws`, its nonce and its expiry. Raises Refused or Invalid as `read_request`, Invalid for a faulty field."""
    payload = read_request(jws, KIND, audience=audience, now=now, jwk=jwk)
    return _request(payload), str(payload["jti"]), int(payload["exp"])


def read_past_access(jws: str, jwk: Mapping[str, Any]) -> AccessRequest:
    """The request in `jws`, of any day. Raises Refused("bad-signature") and Invalid."""
    return _request(verify_jws(jws, typ=f"lianban-{KIND}+jwt", jwk=jwk))


def open_access(asked: AccessRequest, *, seat: int, key: SealingKey) -> Subject:
    """Whom a request is about. Raises Refused: "cannot-open", "wrong-subject"."""
    plaintext = unseal(key, asked.sealed, info=access_info(asked.commitment, seat))
    try:
        value = orjson.loads(plaintext)
        subject = Subject(type=value["type"], id=value["id"], name="", salt=bytes.fromhex(value["salt"]))
        same = len(value) == 3 and subject.commitment == asked.commitment
    except (ValueError, TypeError, KeyError, AttributeError):
        same = False
    if not same:
        raise Refused("密封的核验对象与请求不符", code="wrong-subject", detail_en="the sealed subject is another one")
    return subject


class ToldClaim(WireModel):
    """What was answered for one claim, in kind."""

    claim: Text
    """The claim's key in the answer."""
    kind: Literal["answered", "unknown"]
    sealed_to: Listed[SeatNumber]
    """The seats that alone can read it; none: whoever carries the answer, so the operator and every approver of the case."""


class Look(WireModel):
    """One question about the person, as the department that it was put to tells it."""

    index: LogSize
    """Place in the department's query log."""
    batch: Hex32
    """Hash of the asker's signed batch."""
    question: Hex32
    attempt: Attempt
    mandate: Hex32
    item: Name
    place: int = Field(ge=0, le=255)
    """Which subject of the item's role, from 0."""
    purpose: Literal["decide", "push"]
    role: Name
    """What the person is in the case."""
    part: Literal["subject", "compared"]
    """Whether the question is about the person, or compares something else with them."""
    asker: SeatNumber
    case: Hex32
    binding: BindingNumber
    version: Hex32
    texts: Hex32
    basis: Text | None
    """The lawful basis on which the mandate covers the item; None where it does not."""
    at: Seconds
    outcome: Name
    """`answered`, `no-answer` when the records did not answer, otherwise why it was refused (`gateway/gate.py: Reason`)."""
    answer: Hex32 | None
    """Hash of the signed answer, when there is one."""
    recalled: bool
    """Whether the department has taken the answer back."""
    claims: Listed[ToldClaim]


class Access(WireModel):
    """One access to this list itself."""

    index: LogSize
    request: Hex32
    """Hash of the signed request."""
    asker: SeatNumber
    at: Seconds


class Statement(WireModel):
    """Everything that a department logged about a person, signed by its evidence key (`lianban-looks+jwt`)."""

    iss: SeatRef
    iat: Seconds
    access: Hex32
    """Hash of the request that this answers."""
    commitment: Hex32
    looks: Listed[Look]
    """Newest first."""
    accesses: Listed[Access]
    more: bool
    """Whether there is something older than what is told."""

    @model_validator(mode="after")
    def _each_place_once(self) -> Self:
        if not distinct([*(each.index for each in self.looks), *(each.index for each in self.accesses)]):
            raise ValueError("a place of the log comes twice")
        return self


def sign_statement(statement: Statement, key: SigningKey) -> str:
    """The statement as a compact JWS."""
    return sign_jws(statement.model_dump(mode="json"), typ=TYP, key=key)


def read_statement(jws: str, jwk: Mapping[str, Any]) -> Statement:
    """The statement in `jws`; whose it is and what it answers, the caller compares. Raises Refused and Invalid."""
    return read_model(Statement, verify_jws(jws, typ=TYP, jwk=jwk), code="bad-statement")


class LogPath(WireModel):
    """An entry's inclusion path under the log of `size`."""

    index: LogSize
    size: LogSize
    path: Listed[Hex32] = Field(max_length=MOST_NODES)


class Told(WireModel):
    """What a department answers to an access: the statement, and what proves it."""

    statement: str
    batches: Listed[str]
    """The signed batches in which the questions came. They hold question ids alone."""
    requests: Listed[str]
    """The signed access requests."""
    paths: Listed[LogPath]
    """One for each entry: under the anchored head where it reaches that far, under `head` otherwise."""
    head: SignedHead

    def by_hash(self) -> dict[str, str]:
        """Batches and requests by their hash."""
        return {jws_hash(each): each for each in (*self.batches, *self.requests)}


def subject_of(type: str, id: str, salt: str) -> Subject:
    """The subject that a commitment is to, by its base64url salt. Raises ValueError for no salt."""
    return Subject(type=type, id=id, name="", salt=unb64(salt))


def _request(payload: Mapping[str, Any]) -> AccessRequest:
    stated = {name: value for name, value in payload.items() if name not in _ENVELOPE}
    return read_model(AccessRequest, stated, code="bad-request")


def by_place(paths: Sequence[LogPath]) -> dict[int, LogPath]:
    """Paths by the index of their entry."""
    return {each.index: each for each in paths}
