"""Contests (异议): an applicant says that a department's claim is wrong; the department replies (校核答复).

A contest is signed by the identity seat under the case's mandate, so that nobody can make one up; why the claim is wrong is a
statement that only the owning department can open. It names the last day for a reply. The reply is the department's, with
its officer's own signature in it; its reason opens for the applicant and the approvers only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from orchestrator.domain.canonical import b64
from orchestrator.domain.errors import Refused
from orchestrator.protocol.jose import SigningKey, sign_jws, verify_jws
from orchestrator.protocol.mandate import ChainRef
from orchestrator.protocol.material import open_document, seal_document
from orchestrator.protocol.officer import CorrectionOutcome, read_correction_decision
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.question import question_id
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.verdict import AnswerRef, OfficerDecision
from orchestrator.protocol.wire import (
    Base64Url,
    BindingNumber,
    Hex32,
    Listed,
    Name,
    SeatRef,
    Seconds,
    Text,
    WireModel,
    distinct,
    read_model,
    seat_ref,
)

CONTEST_TYP: Final = "lianban-contest+jwt"
REPLY_TYP: Final = "lianban-reply+jwt"
STATEMENT: Final = "contest"
"""The name under which a statement is sealed."""
REASON: Final = "reply"
"""The name under which a reply's reason is sealed."""
APPLICANT: Final = "applicant"
"""The reader of a reply's reason who is no seat: whoever holds the mandate's delivery key."""
MOST_CLAIMS: Final = 64

Day = str
"""`YYYY-MM-DD`, in Asia/Shanghai."""


class Contest(WireModel):
    """That the applicant of a case holds claims of an answer to be wrong."""

    iss: SeatRef
    aud: SeatRef
    """The department that answered."""
    iat: Seconds
    jti: Name
    case: Hex32
    mandate: Hex32
    """Under which the question was asked."""
    chain: ChainRef
    binding: BindingNumber
    version: Hex32
    sub: Text
    """The pairwise pseudonym that the mandate has too."""
    item: Name
    index: int = Field(ge=0, le=255)
    claims: Listed[Name] = Field(min_length=1, max_length=MOST_CLAIMS)
    """Keys of the claims that are said to be wrong."""
    answer: AnswerRef
    statement: Hex32
    """Salted hash of why, and of what supports it."""
    day: Day
    """Day of signing: day 0 of the term for a reply."""
    reply_by: Day
    """The last day for a reply, inclusive."""

    @field_validator("day", "reply_by")
    @classmethod
    def _a_day(cls, value: str) -> str:
        if date.fromisoformat(value).isoformat() != value:
            raise ValueError("not a day")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not distinct(self.claims):
            raise ValueError("a claim is named twice")
        if self.reply_by < self.day:
            raise ValueError("the term ends before it begins")
        if self.answer.question != question_id(self.mandate, self.item, self.index, "decide"):
            raise ValueError("the answer is to another question")
        return self

    def lapsed(self, today: date) -> bool:
        """Whether the last day for a reply is over."""
        return today > date.fromisoformat(self.reply_by)


class Reply(WireModel):
    """What the department says to a contest."""

    iss: SeatRef
    contest: Hex32
    """Hash of the contest's JWS."""
    case: Hex32
    outcome: CorrectionOutcome
    reason: Hex32
    """Salted hash of why; the reason itself is sealed beside the reply."""
    officer: OfficerDecision
    iat: Seconds


class SealedText(WireModel):
    """A statement as it travels: its salted hash, and the blob for the department that it is for."""

    hash: Hex32
    sealed: dict[Name, Base64Url]


class Attachment(WireModel):
    """A file that supports a statement."""

    filename: Text
    media_type: Text
    content: str = Field(pattern=r"^[A-Za-z0-9_-]*$")
    """base64url; an empty file is a file."""


class Statement(WireModel):
    """Why a claim is wrong, for the owning department to read."""

    why: Text
    attachments: Listed[Attachment] = Field(default=(), max_length=8)


class Carried(WireModel):
    """A contest with what came of it, as it travels between operator, provider and approvers."""

    contest: str
    """Compact JWS, and the reply's."""
    reply: str | None = None
    sealed: dict[Name, Base64Url] = Field(default_factory=dict)
    """The reply's reason by reader: seats by number, and `applicant`."""


def sign_contest(contest: Contest, key: SigningKey) -> str:
    """The contest as a compact JWS, by the identity key."""
    return sign_jws(contest.model_dump(mode="json"), typ=CONTEST_TYP, key=key)


def read_contest(jws: str, jwk: Mapping[str, Any]) -> Contest:
    """The contest in `jws`, signed by the identity key `jwk` of the seat in its `iss`, which the caller compares.

    Raises Refused("bad-signature") and Invalid for a faulty field.
    """
    return read_model(Contest, verify_jws(jws, typ=CONTEST_TYP, jwk=jwk), code="bad-contest")


def sign_reply(reply: Reply, key: SigningKey) -> str:
    """The reply as a compact JWS, by the seat's evidence key."""
    return sign_jws(reply.model_dump(mode="json"), typ=REPLY_TYP, key=key)


def read_reply(jws: str, provider: SeatView) -> Reply:
    """The reply in `jws`, signed by a key of the provider, and its officer's decision, which says the same.

    Raises Refused ("bad-signature", "wrong-issuer", "wrong-officer", as `read_correction_decision`) and Invalid.
    """
    reply = read_model(Reply, verify_jws(jws, typ=REPLY_TYP, jwk=provider.key_of("evidence", jws)), code="bad-reply")
    certificate = reply.officer.certificate
    decision, _ = read_correction_decision(
        reply.officer.decision,
        certificate,
        seat=provider.number,
        jwk=provider.key_of("evidence", certificate),
    )
    if reply.iss != seat_ref(provider.number):
        raise Refused("答复由其他席位签发", detail_en="another seat replied", code="wrong-issuer")
    if (decision.contest, decision.outcome, decision.reason) != (reply.contest, reply.outcome, reply.reason):
        raise Refused("答复与经办人决定不符", detail_en="the officer decided something else", code="wrong-officer")
    return reply


def seal_statement(
    why: str, files: Sequence[tuple[str, str, bytes]], recipients: Mapping[int, Mapping[str, Any]]
) -> SealedText:
    """A statement with files (name, media type, bytes), readable by the seats of `recipients` alone."""
    attachments = [{"filename": name, "media_type": kind, "content": b64(data)} for name, kind, data in files]
    digest, sealed = seal_document(STATEMENT, {"why": why, "attachments": attachments}, recipients)
    return SealedText(hash=digest, sealed=sealed)


def open_statement(sealed: SealedText, *, seat: int, key: SealingKey) -> Statement:
    """The statement as `seat` may read it. Raises Refused as `open_document`; Invalid for a faulty field."""
    return read_model(Statement, open_document(STATEMENT, sealed.hash, sealed.sealed, seat, key), code="bad-statement")


def reason_document(reason: str) -> dict[str, Any]:
    """What the hash of a reply's reason is over, with its salt."""
    return {"reason": reason}


def open_reason(digest: str, sealed: Mapping[str, str], *, reader: int | Literal["applicant"], key: SealingKey) -> str:
    """Why the department replied as it did, as a seat or the applicant may read it. Raises Refused as `open_document`."""
    found = open_document(REASON, digest, sealed, reader, key).get("reason")
    if not isinstance(found, str):
        raise Refused("答复理由的内容有误", detail_en="the reason is not a text", code="wrong-material")
    return found
