"""The necessity gate (必要性闸门): whether this seat must answer this question.

Pure: it judges what was looked up for a batch (`Circumstances`) and says either what to answer from (`Admitted`) or why not
(`Reason`). A department answers exactly what a mandate, a binding and a scenario version, all good on chain, need from it,
and nothing else, whoever asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import EvidenceItem
from orchestrator.protocol.mandate import Mandate, Subject, open_subject
from orchestrator.protocol.ports import BindingView, SeatView, provider_of
from orchestrator.protocol.question import Question
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.sheet import Domain, Status
from orchestrator.protocol.wire import CLOCK_SKEW, seat_number

_DAY: Final = 86_400

ADMITTED: Final = "admitted"
"""The gate's outcome in the log when a question is answered."""


class Reason(StrEnum):
    """Why a question is refused: stable words, in the answer and in the log."""

    UNKNOWN_MANDATE = "unknown-mandate"
    """Neither presented with the batch nor known from before."""
    FORGED_MANDATE = "forged-mandate"
    """Not signed by the binding's identity seat, or not a mandate."""
    WRONG_CHAIN = "wrong-chain"
    """For another chain or ledger."""
    UNKNOWN_BINDING = "unknown-binding"
    BINDING_RETIRED = "binding-retired"
    """Closed to new cases, and this case was not on the ledger before."""
    WRONG_VERSION = "wrong-version"
    """The mandate names another scenario version than its binding."""
    UNKNOWN_VERSION = "unknown-version"
    """This seat does not hold the scenario version, so it never signed a binding of it."""
    ASKER_SUSPENDED = "asker-suspended"
    IDENTITY_SUSPENDED = "identity-suspended"
    SEAT_SUSPENDED = "seat-suspended"
    """The asked seat itself: its answers would not count."""
    ASKER_NOT_NAMED = "asker-not-named"
    """Neither operator nor approver of the binding."""
    ASKER_NOT_LISTED = "asker-not-listed"
    """The applicant did not authorise this asker."""
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    """An amendment took the mandate's place."""
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    """Issued in the future, beyond what clocks may differ."""
    UNKNOWN_ITEM = "unknown-item"
    """The scenario asks no such evidence."""
    WRONG_PURPOSE = "wrong-purpose"
    """The scenario does not ask this evidence for this purpose."""
    NOT_THIS_PROVIDER = "not-this-provider"
    """Another seat plays the item's provider role in this binding."""
    NOT_AUTHORISED = "not-authorised"
    """The mandate does not cover this item at this seat."""
    NOT_APPROVED = "not-approved"
    """A push asks only on approved cases."""
    PUSH_OVER = "push-over"
    """Too long after the mandate for a push."""
    NO_SUCH_SUBJECT = "no-such-subject"
    NOT_FOR_THIS_SEAT = "not-for-this-seat"
    """A subject that the question needs was not sealed to this seat."""
    CANNOT_OPEN = "cannot-open"
    WRONG_SUBJECT = "wrong-subject"
    """What was sealed is not what the mandate commits to."""
    UNKNOWN_CLAIM = "unknown-claim"
    """The department's adapter does not (or no longer) know a claim of the item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A mandate whose signature was checked against the identity key of its binding's identity seat."""

    mandate: Mandate
    case: str
    """`0x…` id of its case."""

    @property
    def under(self) -> tuple[bytes, int]:
        """Case and identity seat: what a withdrawal must share with a mandate to end it."""
        return from_hex(self.case), seat_number(self.mandate.iss)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Everything that was looked up to judge one batch."""

    now: int
    """Seconds since 1970 (UTC)."""
    own: SeatView
    asker: SeatView
    ledger: Domain
    """Chain and `CaseLedger` that this gateway serves."""
    mandates: Mapping[str, Presented | Reason]
    """By mandate hash; a reason where there is no good one."""
    bindings: Mapping[int, BindingView]
    identities: Mapping[int, SeatView]
    """The bindings' identity seats by number."""
    scenarios: Mapping[str, Scenario]
    """By version."""
    replaced: Mapping[str, str]
    """Mandate hash -> `amendment` or `withdrawal` that replaced it, as far as this seat knows."""
    statuses: Mapping[str, Status]
    """By case id; looked up where a retired binding or a push makes it matter."""
    push_days: int
    withdrawn: frozenset[tuple[bytes, int]] = frozenset()
    """Cases whose withdrawal this seat knows, each with the identity seat that issued it (`Presented.under`): it ends every
    mandate of the case by that seat, known as replaced or not, and no other's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A question that must be answered, and what it takes. Holds personal data: never logged."""

    question: Question
    mandate: Mandate
    binding: BindingView
    scenario: Scenario
    item: EvidenceItem
    commitment: str
    subject: Subject
    others: Mapping[str, tuple[Subject, ...]]
    """Other subjects that the claims compare with, by slot."""


def judge(question: Question, given: Circumstances, key: SealingKey) -> Admitted | Reason:
    """What to answer from, or why not. `key` opens the subjects that are sealed to this seat."""
    presented = given.mandates.get(question.mandate, Reason.UNKNOWN_MANDATE)
    if isinstance(presented, Reason):
        return presented
    mandate = presented.mandate
    binding = given.bindings.get(mandate.binding)
    if binding is None:
        return Reason.UNKNOWN_BINDING
    scenario = given.scenarios.get(binding.version)
    reason = (
        _of_binding(presented, binding, given)
        or _of_asker(mandate, binding, given)
        or _of_mandate(question.mandate, presented, given)
    )
    if reason is not None:
        return reason
    if scenario is None:
        return Reason.UNKNOWN_VERSION
    item = next((item for item in scenario.evidence if item.id == question.item), None)
    if item is None:
        return Reason.UNKNOWN_ITEM
    reason = _of_item(question, item, scenario, binding, presented, given)
    if reason is not None:
        return reason
    return _opened(question, mandate, binding, scenario, item, given.own.number, key)


def _of_binding(presented: Presented, binding: BindingView, given: Circumstances) -> Reason | None:
    mandate = presented.mandate
    if mandate.chain.id != given.ledger.chain_id or mandate.chain.ledger.lower() != given.ledger.contract.lower():
        return Reason.WRONG_CHAIN
    if mandate.version != binding.version:
        return Reason.WRONG_VERSION
    if not binding.live and given.statuses.get(presented.case, Status.NONE) is Status.NONE:
        return Reason.BINDING_RETIRED
    return None


def _of_asker(mandate: Mandate, binding: BindingView, given: Circumstances) -> Reason | None:
    if not given.asker.active:
        return Reason.ASKER_SUSPENDED
    if not given.own.active:
        return Reason.SEAT_SUSPENDED
    if not given.identities[binding.identity].active:
        return Reason.IDENTITY_SUSPENDED
    if given.asker.number not in {binding.operator, *binding.approvers}:
        return Reason.ASKER_NOT_NAMED
    if given.asker.number not in mandate.askers:
        return Reason.ASKER_NOT_LISTED
    return None


def _of_mandate(mandate_hash: str, presented: Presented, given: Circumstances) -> Reason | None:
    mandate = presented.mandate
    if mandate.kind == "withdrawal" or presented.under in given.withdrawn:
        return Reason.WITHDRAWN
    if given.replaced.get(mandate_hash) == "withdrawal":
        return Reason.WITHDRAWN
    if mandate_hash in given.replaced:
        return Reason.SUPERSEDED
    if mandate.iat > given.now + CLOCK_SKEW:
        return Reason.NOT_YET_VALID
    if given.now >= mandate.exp:
        return Reason.EXPIRED
    return None


def _of_item(
    question: Question,
    item: EvidenceItem,
    scenario: Scenario,
    binding: BindingView,
    presented: Presented,
    given: Circumstances,
) -> Reason | None:
    if question.purpose != item.purpose:
        return Reason.WRONG_PURPOSE
    try:
        mine = item.source == "gateway" and provider_of(item, scenario, binding) == given.own.number
    except Invalid:
        mine = False
    if not mine:
        return Reason.NOT_THIS_PROVIDER
    mandate = presented.mandate
    if mandate.covers(item.id, given.own.number) is None:
        return Reason.NOT_AUTHORISED
    if question.purpose == "push":
        if given.statuses.get(presented.case) is not Status.APPROVED:
            return Reason.NOT_APPROVED
        if given.now > mandate.iat + given.push_days * _DAY:
            return Reason.PUSH_OVER
    return None


def _opened(
    question: Question,
    mandate: Mandate,
    binding: BindingView,
    scenario: Scenario,
    item: EvidenceItem,
    own: int,
    key: SealingKey,
) -> Admitted | Reason:
    try:
        subject = open_subject(mandate, item.subject, question.index, seat=own, key=key)
        others = {
            slot: tuple(
                open_subject(mandate, role, index, seat=own, key=key)
                for index in range(len(mandate.subjects.get(role, ())))
            )
            for slot, role in item.with_.items()
        }
    except Refused as error:
        return Reason(error.code)
    return Admitted(
        question=question,
        mandate=mandate,
        binding=binding,
        scenario=scenario,
        item=item,
        commitment=mandate.slot(item.subject, question.index).commitment,
        subject=subject,
        others=others,
    )
