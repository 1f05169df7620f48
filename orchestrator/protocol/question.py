"""Questions (核验请求) in signed batches, and the other signed requests that one seat sends another.

A question's id is the hash of what it asks, so asking twice is asking the same. The batch's signature, audience and
nonce make the provider's log prove by itself who asked. The signed batch holds the ids alone; what they stand for travels
beside it. So it can be shown to whom one of its questions is about, and tells nothing of the others. Readers check signature, audience and time; that a nonce comes
once is for the receiving seat to hold, in its own store.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from orchestrator.domain.canonical import from_hex, tagged, to_hex
from orchestrator.domain.errors import Refused
from orchestrator.domain.suite import hash_of
from orchestrator.protocol.jose import SigningKey, peek_jws, sign_jws, verify_jws
from orchestrator.protocol.wire import check_period, faulty, is_int, new_jti, seat_number, seat_ref

Purpose = Literal["decide", "push"]
PURPOSES: Final = frozenset({"decide", "push"})
MAX_QUESTIONS: Final = 4096
"""Most questions in a batch."""
LONGEST_REQUEST: Final = 600
"""Longest time, in seconds, that a signed request may be in force."""

_ENVELOPE: Final = frozenset({"iss", "aud", "jti", "iat", "exp"})
_QUESTION: Final = frozenset({"mandate", "item", "index", "purpose"})
_ITEM: Final = re.compile(r"[^\x00-\x20\x7f]{1,128}")
_HEX32: Final = re.compile(r"0x[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One evidence item asked about one subject under one mandate. Raises Invalid for a faulty field."""

    mandate: str
    """Hash of the mandate, `0x…`."""
    item: str
    """The evidence item's id in the scenario."""
    index: int
    """Which subject of the item's role, from 0."""
    purpose: Purpose

    def __post_init__(self) -> None:
        if not isinstance(self.mandate, str) or not _HEX32.fullmatch(self.mandate):
            raise faulty("mandate", code="bad-question")
        if not isinstance(self.item, str) or not _ITEM.fullmatch(self.item):
            raise faulty("item", code="bad-question")
        if not is_int(self.index) or not 0 <= self.index <= 255:
            raise faulty("index", code="bad-question")
        if self.purpose not in PURPOSES:
            raise faulty("purpose", code="bad-question")

    @property
    def id(self) -> str:
        """`0x…`, the same for the same question."""
        return question_id(self.mandate, self.item, self.index, self.purpose)

    def payload(self) -> dict[str, Any]:
        """The question as JSON."""
        return {"mandate": self.mandate, "item": self.item, "index": self.index, "purpose": self.purpose}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionBatch:
    """A verified batch."""

    issuer: int
    audience: int
    jti: str
    iat: int
    exp: int
    questions: tuple[Question, ...]


@lru_cache(maxsize=4096)
def question_id(mandate: str, item: str, index: int, purpose: str) -> str:
    """`0x…` tagged hash of mandate hash, item, subject index and purpose."""
    return to_hex(
        tagged(
            "lianban.question.v1",
            from_hex(mandate),
            _hash_of(item),
            index.to_bytes(32, "big"),
            _hash_of(purpose),
        )
    )


def sign_batch(
    questions: Sequence[Question], *, key: SigningKey, iss: int, aud: int, ttl: int = 60, now: int | None = None
) -> str:
    """A batch of distinct questions from seat `iss` to seat `aud`, in force for `ttl` seconds from `now` (default: the
    clock).
    """
    if not 0 < len(questions) <= MAX_QUESTIONS:
        raise ValueError(f"a batch has 1 to {MAX_QUESTIONS} questions")
    payload = {"questions": [question.id for question in questions]}
    return sign_request(payload, "questions", key=key, iss=iss, aud=aud, ttl=ttl, now=now)


def read_batch(
    jws: str, asked: Sequence[Mapping[str, Any]], *, audience: int, now: int, jwk: Mapping[str, Any]
) -> QuestionBatch:
    """The batch in `jws`, signed by `jwk` for `audience`, in force at `now`; `asked` are its questions as JSON, in order.

    Raises Refused or Invalid as `read_request`.
    """
    payload = read_request(jws, "questions", audience=audience, now=now, jwk=jwk)
    ids = _ids(payload)
    if not all(isinstance(row, Mapping) and row.keys() == _QUESTION for row in asked):
        raise faulty("questions", code="bad-question")
    questions = tuple(Question(**row) for row in asked)
    if [question.id for question in questions] != ids:
        raise faulty("questions", code="bad-question", detail_en="these are not the questions that were signed")
    return QuestionBatch(
        issuer=seat_number(payload["iss"]),
        audience=audience,
        jti=payload["jti"],
        iat=payload["iat"],
        exp=payload["exp"],
        questions=questions,
    )


def read_asked(jws: str, jwk: Mapping[str, Any]) -> tuple[int, int, list[str]]:
    """Who asked whom which question ids, by a batch of any day that `jwk` signed: for who checks a log afterwards.

    Raises Refused("bad-signature") and Invalid.
    """
    payload = verify_jws(jws, typ="lianban-questions+jwt", jwk=jwk)
    return seat_number(payload.get("iss")), seat_number(payload.get("aud")), _ids(payload)


def sign_request(
    payload: Mapping[str, Any],
    kind: str,
    *,
    key: SigningKey,
    iss: int,
    aud: int,
    ttl: int = 60,
    now: int | None = None,
) -> str:
    """A signed request of `kind` (`typ` `lianban-<kind>+jwt`) from seat `iss` to seat `aud`.

    `now` defaults to the clock. Raises ValueError when `payload` has one of the names iss, aud, jti, iat, exp.
    """
    if not _ENVELOPE.isdisjoint(payload) or not 0 < ttl <= LONGEST_REQUEST:
        raise ValueError("the envelope's names are taken, or it lasts too long")
    issued = int(time.time()) if now is None else now
    envelope = {"iss": seat_ref(iss), "aud": seat_ref(aud), "jti": new_jti(), "iat": issued, "exp": issued + ttl}
    return sign_jws({**envelope, **payload}, typ=f"lianban-{kind}+jwt", key=key)


def read_request(jws: str, kind: str, *, audience: int, now: int, jwk: Mapping[str, Any]) -> dict[str, Any]:
    """The whole payload, iss, aud, jti, iat and exp included, of a request of `kind` to seat `audience`.

    `jwk` is the request key of the seat that `issuer_of` names. Raises Refused: "bad-signature", "wrong-audience",
    "bad-period", "expired", "not-yet-valid"; Invalid for a faulty issuer or nonce.
    """
    payload = verify_jws(jws, typ=f"lianban-{kind}+jwt", jwk=jwk)
    if payload.get("aud") != seat_ref(audience):
        raise Refused("请求不是发给本席位的", code="wrong-audience", detail_en="the request is for another seat")
    check_period(payload, now=now, longest=LONGEST_REQUEST)
    seat_number(payload.get("iss"))
    jti = payload.get("jti")
    if not isinstance(jti, str) or not 16 <= len(jti) <= 128:
        raise faulty("jti", code="bad-request")
    return payload


def issuer_of(jws: str) -> int:
    """The seat that a JWS **says** it is from, unverified: to look up the key that must verify it.

    Raises Refused or Invalid.
    """
    return seat_number(peek_jws(jws)[1].get("iss"))


def _ids(payload: Mapping[str, Any]) -> list[str]:
    """The question ids of a batch. Raises Invalid."""
    ids = payload.get("questions")
    if payload.keys() != _ENVELOPE | {"questions"} or not isinstance(ids, list) or not 0 < len(ids) <= MAX_QUESTIONS:
        raise faulty("questions", code="bad-question")
    if not all(isinstance(each, str) and _HEX32.fullmatch(each) for each in ids):
        raise faulty("questions", code="bad-question")
    if len(set(ids)) != len(ids):
        raise faulty("questions", code="bad-question", detail_en="a question comes twice")
    return ids


@lru_cache(maxsize=4096)
def _hash_of(text: str) -> bytes:
    return hash_of(text.encode())
