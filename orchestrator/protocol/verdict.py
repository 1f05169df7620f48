"""Verdicts (审批意见): one approver's signed outcome of one step of a case, with its why.

A verdict names the rules, the answers and materials it rests on, the rows that decided, and the officer if one did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, Self, get_args

from pydantic import model_validator

from orchestrator.domain.case import Status
from orchestrator.protocol.jose import SigningKey, sign_jws, verify_jws
from orchestrator.protocol.wire import (
    Attempt,
    BindingNumber,
    Hex32,
    Listed,
    Name,
    SeatRef,
    Seconds,
    Sequence16,
    Text,
    WireModel,
    distinct,
    read_model,
)

TYP: Final = "lianban-verdict+jwt"
Outcome = Literal["refuse", "return", "manual", "approve"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
"""Outcomes by severity, the hardest first."""
STATUSES: Final = MappingProxyType(
    {
        "refuse": Status.REFUSED,
        "return": Status.RETURNED,
        "manual": Status.ACCEPTED,
        "approve": Status.APPROVED,
    }
)
"""Where an outcome moves a case."""


class AnswerRef(WireModel):
    """An answer that a verdict rests on."""

    question: Hex32
    attempt: Attempt
    hash: Hex32


class MaterialRef(WireModel):
    """A material that a verdict rests on."""

    id: Name
    hash: Hex32


class ContestRef(WireModel):
    """A contest that the approver knew of, and the department's reply; None when there was none in time."""

    contest: Hex32
    reply: Hex32 | None


class Change(WireModel):
    """One input with another value, and a row would not have hit: as far as it follows from what is not sealed."""

    row: Name
    input: Name
    to: Listed[Text]
    """Values with any of which the row would not have hit."""
    but: Listed[Text]
    """When `to` is empty: any known value would do but these."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.to) == bool(self.but):
            raise ValueError("either values that would do, or those that would not")
        return self


class OfficerDecision(WireModel):
    """The officer's certificate and decision, both compact JWS (`protocol/officer.py`)."""

    certificate: str
    decision: str


class SecondOfficer(WireModel):
    """The second officer's certificate and word, both compact JWS (`protocol/countersign.py`)."""

    certificate: str
    countersign: str


class Verdict(WireModel):
    """One approver's outcome for one sequence number of a case."""

    iss: SeatRef
    case: Hex32
    sequence: Sequence16
    """Number of the transition that this verdict is for."""
    binding: BindingNumber
    version: Hex32
    """Scenario version: claims and rules."""
    role: Name
    """The approver role of the definition that the seat plays."""
    mandates: Listed[Hex32]
    """Hashes of the case's mandates, in order."""
    situation: Hex32
    answers: Listed[AnswerRef]
    materials: Listed[MaterialRef]
    outcome: Outcome
    rows: Listed[Name]
    """Ids of the rule rows that hit: the reasons."""
    materials_wanted: Listed[Name]
    changes: Listed[Change] = ()
    """For each of the rows that speaks against approving: the smallest change of one input with which it would not have hit."""
    contests: Listed[ContestRef] = ()
    """What the applicant contested of the answers, and what came of it."""
    inputs: Hex32
    """SHA-256 of the canonical JSON of {input: its salted hash}. The approver keeps these and the salts."""
    engine: Text
    """Rules engine and version."""
    officer: OfficerDecision | None
    second: SecondOfficer | None = None
    """Who countersigned the officer's decision, where the scenario wants a second officer."""
    iat: Seconds

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.mandates or not distinct(self.mandates):
            raise ValueError("mandates must be named, each once")
        if not distinct(answer.question for answer in self.answers):
            raise ValueError("a question is answered twice")
        if self.second is not None and self.officer is None:
            raise ValueError("nothing to countersign")
        return self


def sign_verdict(verdict: Verdict, key: SigningKey) -> str:
    """The verdict as a compact JWS, by the seat's evidence key."""
    return sign_jws(verdict.model_dump(mode="json"), typ=TYP, key=key)


def read_verdict(jws: str, jwk: Mapping[str, object]) -> Verdict:
    """The verdict in `jws`, signed by the evidence key `jwk` of the seat in its `iss`, which the caller compares.

    Raises Refused("bad-signature") and Invalid for a faulty field. The officers' part is checked by
    `countersign.check_officers`.
    """
    return read_model(Verdict, verify_jws(jws, typ=TYP, jwk=jwk), code="bad-verdict")


def combine(outcomes: Iterable[Outcome]) -> Outcome:
    """The hardest of the outcomes: refuse, return, manual, approve. Raises ValueError when there is none."""
    given = set(outcomes)
    if not given or not given <= set(OUTCOMES):
        raise ValueError("no outcome, or one that is not known")
    return next(outcome for outcome in OUTCOMES if outcome in given)
