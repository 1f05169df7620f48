"""A plan: what a situation means for an applicant before anything is asked.

Materials by law and what is left of them when evidence stands in, who answers what on which lawful basis, who approves, until
when, how often one must come in person. Everything is computed from the scenario, nothing is typed in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from orchestrator.domain.calendar import Calendar, Deadline, Unit
from orchestrator.domain.conditions import holds
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Draft, Scenario
from orchestrator.domain.scenario_parts import Basis, EvidenceItem, Material, Term
from orchestrator.domain.situations import form_questions, plain_situation, read_situation


def handled_by(scenario: Draft, answers: Mapping[str, Any]) -> Literal["applicant", "agent"]:
    """Who acts in a situation: the applicant, or an agent for them. The one who acts is the one who signs in."""
    agent = scenario.agent
    proofs = [material.when for material in scenario.materials if material.id == agent.power_of_attorney]
    conditions = proofs if agent.when is None else [agent.when]
    situation = read_situation(scenario, answers)
    return "agent" if agent.allowed and any(holds(each, situation) for each in conditions) else "applicant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """A promised or statutory time."""

    value: int
    """0: decided at once."""
    unit: Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Trips:
    """How often somebody has to come in person."""

    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvidence:
    """One question that will be asked for each subject of a role."""

    item: str
    type: str
    subject: str
    provider: str
    """Department role; `identity` for what comes with the mandate."""
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a situation of a scenario means. Ids in the scenario's order."""

    scenario: str
    version: str
    situation: dict[str, Any]
    """The answers as plain JSON: what is hashed into the mandate."""
    materials_before: tuple[str, ...]
    """By law and guide."""
    materials_after: tuple[str, ...]
    """What is left when all evidence is found."""
    evidence: tuple[PlannedEvidence, ...]
    """Asked to decide."""
    push_evidence: tuple[PlannedEvidence, ...]
    """Asked only after approval, under its own purpose."""
    approvers: tuple[str, ...]
    """The first leads."""
    statutory: tuple[Days, ...]
    before: Days
    after: Days
    decide_by: Deadline
    """The last day of the term as promised now."""
    trips_before: Trips
    trips_after: Trips
    subjects: tuple[str, ...]
    principal: str
    """The role of the person who signs in."""
    consents: tuple[str, ...]
    """Roles in which everybody else signs in and consents."""
    form: tuple[str, ...]
    """Questions of the form, whose answers go sealed to the approvers."""
    face_check: bool
    bank_account: bool


def plan(scenario: Scenario, answers: Mapping[str, Any], *, day: date, calendar: Calendar) -> Plan:
    """The plan for answers given on a day. Raises Invalid, naming field and remedy, when the answers are wrong."""
    situation = read_situation(scenario, answers)
    subjects = tuple(subject for subject in scenario.subjects if holds(subject.when, situation))
    principal = next(s.id for s in subjects if s.principal is not None and holds(s.principal, situation))
    asked = tuple(item for item in scenario.evidence if holds(item.when, situation))
    questions = form_questions(scenario, situation)
    after = _term(scenario.deadline.after, situation)
    return Plan(
        scenario=scenario.id,
        version=scenario.version,
        situation=plain_situation(situation),
        materials_before=tuple(material.id for material in materials_needed(scenario, situation)),
        materials_after=_left(scenario, situation, unknown_items=frozenset()),
        evidence=tuple(_planned(item) for item in asked if item.purpose == "decide"),
        push_evidence=tuple(_planned(item) for item in asked if item.purpose == "push"),
        approvers=scenario.approvers,
        statutory=tuple(_days(term) for term in scenario.deadline.statutory if holds(term.when, situation)),
        before=_term(scenario.deadline.before, situation),
        after=after,
        decide_by=calendar.deadline(day, after.value, after.unit),
        trips_before=_trips(scenario, situation, "before"),
        trips_after=_trips(scenario, situation, "after"),
        subjects=tuple(subject.id for subject in subjects),
        principal=principal,
        consents=tuple(subject.id for subject in subjects if subject.consents and subject.id != principal),
        form=tuple(question.id for question in questions),
        face_check=any(item.source == "mandate" for item in asked),
        bank_account=any(question.type == "bank_account" for question in questions),
    )


def materials_needed(scenario: Draft, situation: Mapping[str, Any]) -> tuple[Material, ...]:
    """The materials by law in a typed situation, those that come up only by a return left aside."""
    return tuple(
        material for material in scenario.materials if not material.given_by_request and holds(material.when, situation)
    )


def materials_due(scenario: Scenario, answers: Mapping[str, Any], unknown_items: Collection[str]) -> tuple[str, ...]:
    """The materials to bring when these evidence items were not found, or their department did not answer.

    A material comes back as soon as one of the items asked in its place is unknown. Raises Invalid for an item that the
    situation does not ask, and for wrong answers.
    """
    situation = read_situation(scenario, answers)
    asked = {item.id for item in scenario.evidence if item.purpose == "decide" and holds(item.when, situation)}
    for name in unknown_items:
        if name not in asked:
            raise Invalid(
                field=name,
                detail="该情形没有询问此项核验数据",
                detail_en="This evidence is not asked in the situation",
                remedy=" / ".join(sorted(asked)),
            )
    return _left(scenario, situation, unknown_items=frozenset(unknown_items))


def _left(scenario: Draft, situation: Mapping[str, Any], *, unknown_items: frozenset[str]) -> tuple[str, ...]:
    asked = {item.id for item in scenario.evidence if item.purpose == "decide" and holds(item.when, situation)}
    needed = {material.id for material in materials_needed(scenario, situation)}
    left = []
    for material in scenario.materials:
        standing_in = asked.intersection(material.replaced_by)
        if standing_in & unknown_items or (material.id in needed and not standing_in):
            left.append(material.id)
    return tuple(left)


def _planned(item: EvidenceItem) -> PlannedEvidence:
    return PlannedEvidence(item=item.id, type=item.type, subject=item.subject, provider=item.provider, basis=item.basis)


def _days(term: Term) -> Days:
    return Days(value=term.value, unit=term.unit)


def correction_due(scenario: Scenario, situation: Mapping[str, Any], *, day: date, calendar: Calendar) -> date:
    """The last day on which a department replies to a contest that was signed on `day`."""
    days = _term(scenario.deadline.correction, situation)
    return calendar.deadline(day, days.value, days.unit).day


def _term(terms: tuple[Term, ...], situation: Mapping[str, Any]) -> Days:
    return next(_days(term) for term in terms if holds(term.when, situation))


def _trips(scenario: Draft, situation: Mapping[str, Any], side: str) -> Trips:
    steps = [getattr(step, side) for step in scenario.steps if holds(step.when, situation)]
    return Trips(least=steps.count("always"), most=steps.count("always") + steps.count("sometimes"))
