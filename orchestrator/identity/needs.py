"""What a mandate needs, worked out by the identity seat itself from the published definition and the applicant's answers.

The orchestrator says which situation it is; it does not get to say what may be asked of whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.conditions import holds
from orchestrator.domain.errors import Invalid
from orchestrator.domain.plan import materials_needed
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import EvidenceItem, Material, Subject
from orchestrator.domain.situations import plain_situation, read_situation
from orchestrator.protocol.ports import BindingView, provider_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A subject role that has to be filled."""

    subject: Subject
    principal: bool
    """Whether the person who signs is in it: its first subject, where it has several."""
    given: dict[str, Any]
    """Declared attributes that the situation answers already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An evidence item that may be asked, and the seat that answers it."""

    item: EvidenceItem
    seat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The subjects, evidence and materials of one situation under one binding."""

    scenario: Scenario
    roles: tuple[Role, ...]
    items: tuple[Item, ...]
    materials: tuple[Material, ...]
    """Materials of the situation before evidence replaces any."""

    def face_item(self) -> str | None:
        """The evidence item that a face check answers, if one is asked for."""
        return next((need.item.id for need in self.items if need.item.source == "mandate"), None)


def needs_of(scenario: Scenario, binding: BindingView, answers: Mapping[str, Any]) -> Needs:
    """What the mandate of this situation needs. Raises Invalid, naming the field, for answers that are not as asked."""
    situation = read_situation(scenario, answers)
    plain = plain_situation(situation)
    _check_binding(scenario, binding)
    return Needs(
        scenario=scenario,
        roles=tuple(
            Role(
                subject=subject,
                principal=subject.principal is not None and holds(subject.principal, situation),
                given={
                    each.id: plain[each.from_question]
                    for each in subject.attributes
                    if each.from_question is not None and each.from_question in plain
                },
            )
            for subject in scenario.subjects
            if holds(subject.when, situation)
        ),
        items=tuple(
            Item(item=item, seat=provider_of(item, scenario, binding))
            for item in scenario.evidence
            if holds(item.when, situation)
        ),
        materials=materials_needed(scenario, situation),
    )


def _check_binding(scenario: Scenario, binding: BindingView) -> None:
    if len(binding.providers) != len(scenario.providers) or len(binding.approvers) != len(scenario.approvers):
        raise Invalid(
            field="binding",
            detail="落地与场景定义的部门数不一致",
            detail_en="the binding names another number of departments than the definition",
            remedy="请重新落地 / bind the scenario again",
        )
