"""Answers (核验应答): one seat's signed reply to one question.

An answer is an SD-JWT. What the orchestrator may read is disclosed openly, what only an approver may read is sealed to
that seat; the hash of each sealed blob stands in what is signed, so a blob cannot be swapped or dropped unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

import orjson
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from orchestrator.domain.canonical import to_hex, unb64
from orchestrator.domain.errors import Refused
from orchestrator.domain.suite import hash_of
from orchestrator.protocol import sdjwt
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.question import Question, question_id
from orchestrator.protocol.sealing import ANSWER_PADDING, SealingKey, answer_info, seal, unseal
from orchestrator.protocol.wire import (
    Attempt,
    Base64Url,
    Hex32,
    Listed,
    Name,
    SeatRef,
    SeatText,
    Seconds,
    WireModel,
    faulty,
    read_model,
    seat_number,
    seat_ref,
)

TYP: Final = "lianban-answer+sd-jwt"
Result = Literal["answered", "refused"]
_BAD: Final = "bad-answer"


class LogPlace(WireModel):
    """Where the question stands in the provider's query log, and its inclusion path under the head that came along."""

    index: int = Field(ge=0, lt=1 << 48)
    path: Listed[Hex32]
    batch: Hex32
    """Hash of the signed batch that the question came in: with question and attempt, it makes the leaf."""
    head: SignedHead | None = None
    """The head that came along, as whoever asked keeps it: with it the envelope is the seat's promise that it logged this."""

    @model_serializer(mode="wrap")
    def _without_an_absent_head(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        if self.head is None:
            del content["head"]
        return content


class AnswerEnvelope(WireModel):
    """An answer as it travels."""

    question: Hex32
    attempt: Attempt
    answer: str
    """The SD-JWT's signed part."""
    disclosures: Listed[Base64Url]
    """Open to whoever carries the envelope."""
    sealed: dict[SeatText, Base64Url]
    log: LogPlace | None = None

    @classmethod
    def parse(cls, value: Any) -> Self:
        """The envelope in a JSON value. Raises Invalid."""
        return read_model(cls, value, code=_BAD)

    def payload(self) -> dict[str, Any]:
        """The envelope as JSON."""
        return self.model_dump(mode="json")

    def with_log(self, index: int, path: list[bytes], batch: str) -> Self:
        """The same envelope with its place in the log."""
        place = LogPlace(index=index, path=tuple(to_hex(node) for node in path), batch=batch)
        return self.model_copy(update={"log": place})

    def with_head(self, head: SignedHead) -> Self:
        """The same envelope with the head that came along; it has a place in the log."""
        assert self.log is not None
        return self.model_copy(update={"log": self.log.model_copy(update={"head": head})})


class _Payload(WireModel):
    """What an answer signs; `Answer` is the same with the claims."""

    iss: SeatRef
    aud: SeatRef | None = None
    question: Hex32
    attempt: Attempt
    mandate: Hex32
    item: Name
    index: int = Field(ge=0, le=255)
    subject: Hex32
    purpose: Literal["decide", "push"]
    result: Result
    reason: Name | None = None
    iat: Seconds
    exp: Seconds
    sealed: dict[SeatText, Hex32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A verified answer and as many of its claims as the reader may know."""

    iss: int
    """The seat that answered."""
    aud: int | None
    question: str
    attempt: int
    """Numbered by the provider from 1 for each question; the highest counts."""
    mandate: str
    item: str
    index: int
    subject: str
    """Commitment of the subject answered about."""
    purpose: str
    result: Result
    reason: str | None
    """Machine word, when refused."""
    iat: int
    exp: int
    sealed: dict[int, str]
    """Seat to SHA-256 of its sealed blob."""
    claims: dict[str, Any] = field(repr=False)
    """Claim name to value: true, false or "unknown" for predicates, a JSON value or null for values."""
    hash: str
    """SHA-256 of the signed part: how a verdict names the answer."""

    def fresh(self, now: int, max_age: int) -> bool:
        """Whether the answer is still valid and at most `max_age` seconds old at `now`."""
        return now < self.exp and now - self.iat <= max_age


def build_answer(
    question: Question,
    *,
    attempt: int,
    iss: int,
    subject: str,
    iat: int,
    exp: int,
    key: SigningKey,
    result: Result = "answered",
    reason: str | None = None,
    aud: int | None = None,
    open_claims: Mapping[str, Any] | None = None,
    sealed_claims: Mapping[int, Mapping[str, Any]] | None = None,
    recipients: Mapping[int, Mapping[str, Any]] | None = None,
) -> AnswerEnvelope:
    """The signed answer of seat `iss`; its place in the log is added with `with_log`.

    `open_claims` are for whoever carries the answer, `sealed_claims[seat]` for that seat, whose sealing JWK stands in
    `recipients`. One claim may go to several; its value is the same everywhere. Raises ValueError when it is not, when
    a seat's key is missing, or when a refusal has claims or no reason.
    """
    open_, sealed = dict(open_claims or {}), {seat: dict(claims) for seat, claims in (sealed_claims or {}).items()}
    if (result == "refused") != (reason is not None) or (result == "refused" and (open_ or sealed)):
        raise ValueError("a refusal has a reason and no claims; an answer has no reason")
    everything: dict[str, Any] = dict(open_)
    for claims in sealed.values():
        for name, value in claims.items():
            if name in everything and everything[name] != value:
                raise ValueError("one claim has two values")
            everything[name] = value
    disclosures = sdjwt.make_disclosures(everything)
    identity = question.id
    blobs: dict[str, str] = {}
    for seat, claims in sorted(sealed.items()):
        if seat not in (recipients or {}):
            raise ValueError("a seat's sealing key is missing")
        blobs[str(seat)] = seal(
            (recipients or {})[seat],
            orjson.dumps([disclosures[name] for name in claims]),
            info=answer_info(identity, attempt, seat),
            pad_to=ANSWER_PADDING,
        )
    payload: dict[str, Any] = {
        "iss": seat_ref(iss),
        "question": identity,
        "attempt": attempt,
        **question.payload(),
        "subject": subject,
        "result": result,
        "iat": iat,
        "exp": exp,
        "sealed": {seat: _blob_hash(blob) for seat, blob in blobs.items()},
    }
    if aud is not None:
        payload["aud"] = seat_ref(aud)
    if reason is not None:
        payload["reason"] = reason
    return AnswerEnvelope(
        question=identity,
        attempt=attempt,
        answer=sdjwt.sign_with(payload, disclosures, typ=TYP, key=key),
        disclosures=tuple(disclosures[name] for name in open_),
        sealed=blobs,
    )


def read_answer(
    envelope: AnswerEnvelope,
    jwk: Mapping[str, Any],
    *,
    private: SealingKey | None = None,
    seat: int | None = None,
) -> Answer:
    """The answer in `envelope`, signed by `jwk`, with the open claims and those sealed to `seat` when its key is given.

    Checks everything that the envelope itself can show; that the mandate covers it, that this attempt is the latest and
    that it is fresh are the caller's. Raises Refused: "bad-signature", "bad-disclosure", "bad-envelope" when envelope
    and signed part disagree, "cannot-open"; Invalid for a faulty field.
    """
    disclosures = list(envelope.disclosures)
    if private is not None and seat is not None and str(seat) in envelope.sealed:
        disclosures += _unsealed(envelope, private, seat, disclosures)
    raw, claims = sdjwt.read(envelope.answer, disclosures, typ=TYP, jwk=jwk)
    payload = read_model(_Payload, raw, code=_BAD)
    if (payload.question, payload.attempt) != (envelope.question, envelope.attempt):
        raise _bad_envelope()
    if payload.question != question_id(payload.mandate, payload.item, payload.index, payload.purpose):
        raise _bad_envelope()
    if payload.sealed != {holder: _blob_hash(blob) for holder, blob in envelope.sealed.items()}:
        raise _bad_envelope()
    if (payload.result == "refused") != (payload.reason is not None) or (payload.result == "refused" and claims):
        raise faulty("result", code=_BAD)
    if not payload.iat < payload.exp:
        raise faulty("exp", code=_BAD)
    return Answer(
        **payload.model_dump(exclude={"iss", "aud", "sealed"}),
        iss=seat_number(payload.iss),
        aud=None if payload.aud is None else seat_number(payload.aud),
        sealed={int(holder): value for holder, value in payload.sealed.items()},
        claims=claims,
        hash=jws_hash(envelope.answer),
    )


def _unsealed(envelope: AnswerEnvelope, private: SealingKey, seat: int, known: list[str]) -> list[str]:
    info = answer_info(envelope.question, envelope.attempt, seat)
    try:
        more = orjson.loads(unseal(private, envelope.sealed[str(seat)], info=info))
    except orjson.JSONDecodeError:
        raise _bad_envelope() from None
    if not isinstance(more, list) or not all(isinstance(item, str) for item in more):
        raise _bad_envelope()
    return [item for item in more if item not in known]


def _blob_hash(blob: str) -> str:
    return to_hex(hash_of(unb64(blob)))


def _bad_envelope() -> Refused:
    return Refused(
        "应答信封与签名内容不符",
        code="bad-envelope",
        detail_en="envelope and signed answer disagree",
        remedy="重新向数据提供部门取得应答",
    )
