"""Recalls: a department takes back answers that it gave and has found wrong.

A recall names answers by question, attempt and hash, signed by the seat's evidence key, so that whoever decided on one can
prove that it was taken back, by whom and when. It changes no log: the answer was given, and stays on record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from pydantic import Field, model_validator

from orchestrator.protocol.jose import SigningKey, sign_jws, verify_jws
from orchestrator.protocol.verdict import AnswerRef
from orchestrator.protocol.wire import Listed, SeatRef, Seconds, Text, WireModel, distinct, read_model

TYP: Final = "lianban-recall+jwt"
MOST_ANSWERS: Final = 256


class Recall(WireModel):
    """What a seat takes back."""

    iss: SeatRef
    answers: Listed[AnswerRef] = Field(min_length=1, max_length=MOST_ANSWERS)
    reason: Text
    """For officers and holders to read; says nothing about a person."""
    iat: Seconds

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if not distinct(answer.hash for answer in self.answers):
            raise ValueError("an answer comes twice")
        return self


def sign_recall(recall: Recall, key: SigningKey) -> str:
    """The recall as a compact JWS, by the seat's evidence key."""
    return sign_jws(recall.model_dump(mode="json"), typ=TYP, key=key)


def read_recall(jws: str, jwk: Mapping[str, object]) -> Recall:
    """The recall in `jws`, signed by the evidence key `jwk` of the seat in its `iss`, which the caller compares.

    Raises Refused("bad-signature") and Invalid for a faulty field.
    """
    return read_model(Recall, verify_jws(jws, typ=TYP, jwk=jwk), code="bad-recall")
