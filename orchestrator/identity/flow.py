"""Flow: one person's way from a pushed request to a signed mandate (or to a mere sign-in).

A flow is a frozen value that only grows: who signed in, which subjects, who has co-consented, what was declined and
agreed, what the face check said. The step is computed from it, never stored, so that no step can be left out.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.identity.face import FRESH_SECONDS, MAX_TRIES
from orchestrator.identity.oidc import AuthorizationRequest
from orchestrator.protocol.contest import MOST_CLAIMS
from orchestrator.protocol.verdict import AnswerRef
from orchestrator.protocol.wire import HolderJwk, Name

Hex32 = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]


class Value(BaseModel):
    """A frozen value without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Step(StrEnum):
    """What the person does next."""

    SIGN_IN = "sign-in"
    SUBJECTS = "subjects"
    CO_CONSENT = "co-consent"
    NOTICE = "notice"
    FACE = "face"
    CONFIRM = "confirm"


class Situation(Value):
    """The applicant's answers with the salt of their hash."""

    values: dict[str, Any]
    salt: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
    """32 bytes, base64url."""


class Form(Value):
    """The hash of what only approvers may read."""

    hash: Hex32


class ContestRequest(Value):
    """Which claims of which answer the person contests."""

    item: Name
    index: Annotated[int, Field(ge=0, le=255)]
    claims: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_CLAIMS)]
    answer: AnswerRef
    statement: Hex32


class MandateRequest(Value):
    """The authorisation details of a pushed request: which mandate is wanted, or which contest under it."""

    type: Literal["lianban-mandate"]
    kind: Literal["grant", "amendment", "withdrawal", "contest"]
    binding: Annotated[int, Field(gt=0, lt=1 << 40)]
    situation: Situation
    form: Form | None = None
    delivery: dict[str, Any]
    """Public X25519 JWK: whoever holds the private key gets the credential."""
    holder: HolderJwk | None = None
    """Public P-256 JWK: whoever holds the private key can show that the credential is theirs."""
    case: Hex32 | None = None
    previous: Hex32 | None = None
    """The newest mandate of the case."""
    contest: ContestRequest | None = None

    @model_validator(mode="after")
    def _chained(self) -> Self:
        if (self.kind == "contest") != (self.contest is not None):
            raise ValueError("a contest says what is contested, and nothing else does")
        if (self.kind == "grant") != (self.case is None) or (self.case is None) != (self.previous is None):
            raise ValueError("a grant opens a case; what follows it names case and previous")
        return self


class Entered(Value):
    """One subject as the person entered it."""

    type: str
    id: str
    name: str = ""
    attributes: dict[str, Any] = {}


class CoConsent(Value):
    """Somebody else whose consent the mandate needs."""

    role: str
    index: int
    at: int | None = None
    """When they agreed; None while they have not."""
    refused: bool = False


class Face(Value):
    """What the face check said."""

    matches: bool
    liveness: bool
    assurance: str
    method: str
    checked_at: int

    @property
    def passed(self) -> bool:
        return self.matches and self.liveness


class Person(Value):
    """The account that signed in."""

    number: str
    name: str
    auth_time: int


class Flow(Value):
    """The state of one authorisation."""

    id: str
    request: AuthorizationRequest
    mandate: MandateRequest | None
    version: str = ""
    """Of the scenario that the binding puts to work, and the hash of the texts that are shown."""
    texts: str = ""
    jti: str = ""
    """The future mandate's nonce; the face check and the sealed subjects are bound to it."""

    person: Person | None = None
    subjects: dict[str, tuple[Entered, ...]] | None = None
    earlier: dict[str, tuple[Entered, ...]] | None = None
    """Subjects that the person went back to correct."""
    consents: tuple[CoConsent, ...] = ()
    round: int = 0
    """Counts how often the subjects were entered: links of an earlier round no longer work."""
    declined: tuple[str, ...] = ()
    """Evidence items that rest on consent and were declined."""
    agreed_at: int | None = None
    face: Face | None = None
    face_tries: int = 0
    face_skipped: bool = False

    def step(self, *, asks_face: bool, now: int) -> Step | None:
        """What comes next; None when a mere sign-in is done.

        `asks_face`: the plan asks for a face check and it was not declined.
        """
        if self.person is None:
            return Step.SIGN_IN
        if self.mandate is None:
            return None
        if self.mandate.kind in ("withdrawal", "contest"):
            return Step.CONFIRM
        if self.subjects is None:
            return Step.SUBJECTS
        if any(consent.at is None for consent in self.consents):
            return Step.CO_CONSENT
        if self.agreed_at is None:
            return Step.NOTICE
        if asks_face and not self.face_skipped and not self._face_stands(now):
            return Step.FACE
        return Step.CONFIRM

    def _face_stands(self, now: int) -> bool:
        """A fresh result that passed, or that failed for the last time."""
        if self.face is None or self.face.checked_at < now - FRESH_SECONDS:
            return False
        return self.face.passed or self.face_tries >= MAX_TRIES

    def having(self, **changes: Any) -> Self:
        """The flow with these changes."""
        return self.model_copy(update=changes)

    def with_subjects(self, subjects: dict[str, tuple[Entered, ...]], consents: tuple[CoConsent, ...]) -> Self:
        """The flow with subjects entered anew: what was agreed about earlier ones no longer counts."""
        return self.having(
            subjects=subjects,
            consents=consents,
            round=self.round + 1,
            earlier=None,
            declined=(),
            agreed_at=None,
            face=None,
            face_skipped=False,
        )

    def to_correct(self) -> Self:
        """The flow back at its subjects, which are shown again."""
        return self.having(subjects=None, earlier=self.subjects, consents=(), agreed_at=None, declined=())

    def with_consent(self, number: int, **changes: Any) -> Self:
        """The flow with the co-consent at place `number` changed."""
        consents = list(self.consents)
        consents[number] = consents[number].model_copy(update=changes)
        return self.having(consents=tuple(consents))
