"""Plans as people read them: materials before and after side by side, who is asked what, and the typical situation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from orchestrator.api.reasons import catalogue
from orchestrator.api.scenarios import recipients
from orchestrator.api.state import State
from orchestrator.domain.errors import Invalid
from orchestrator.domain.plan import Plan, plan
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import Material, Question
from orchestrator.domain.situations import plain_situation, representative_situations
from orchestrator.identity.needs import needs_of
from orchestrator.identity.notice import NoticeLine, notice
from orchestrator.portal.words import BEIJING, Words
from orchestrator.protocol.ports import BindingView
from orchestrator.scenarios import Situation, situations

_typical: dict[str, dict[str, Any]] = {}
"""Version to the answers that its card shows: working out the situations of a scenario takes a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialLine:
    """One material that the law asks for, and what became of it."""

    material: Material
    supplied_by: tuple[Words, ...]
    """The departments that answer in its place; empty when it still has to be brought."""
    on_form: bool
    """A question of the form answers it: nothing is uploaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """A plan with everything that its page says."""

    scenario: Scenario
    plan: Plan
    materials: tuple[MaterialLine, ...]
    """Before, in the scenario's order."""
    asked: tuple[NoticeLine, ...]
    """Who is asked what on which lawful basis, to decide or later."""
    approvers: tuple[Words, ...]
    form: tuple[Question, ...]
    recipients: Mapping[str, Any]
    """Seat to sealing key: whom form and materials are sealed to."""

    @property
    def uploads(self) -> tuple[Material, ...]:
        """The materials that have to be brought as files."""
        return tuple(line.material for line in self.materials if not line.supplied_by and not line.on_form)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A scenario on the first page, with the figures of its typical situation."""

    scenario: Scenario
    plan: Plan | None
    """None when no situation of it can be worked out."""


def today() -> date:
    """Today in Beijing."""
    return datetime.now(BEIJING).date()


async def view_plan(state: State, scenario: Scenario, binding: BindingView, answers: Mapping[str, Any]) -> PlanView:
    """The plan for a situation under a binding. Raises Invalid, naming the field, for answers that are not as asked."""
    made = plan(scenario, answers, day=today(), calendar=state.context.calendar)
    names = await seat_names(state)
    needs = needs_of(scenario, binding, answers)
    lines = notice(needs, names, catalogue())
    asked_of = {line.item: line.asked_of for line in lines if not line.later}
    return PlanView(
        scenario=scenario,
        plan=made,
        materials=tuple(_line(scenario.material(name), made, asked_of) for name in made.materials_before),
        asked=lines,
        approvers=tuple(names[number] for number in binding.approvers),
        form=tuple(scenario.question(name) for name in made.form),
        recipients=await recipients(state, binding),
    )


def _line(material: Material, made: Plan, asked_of: Mapping[str, Words]) -> MaterialLine:
    supplied = [asked_of[item] for item in material.replaced_by if item in asked_of]
    unique = {name["zh"]: name for name in supplied}
    return MaterialLine(
        material=material, supplied_by=tuple(unique.values()), on_form=material.answered_by in made.form
    )


async def cards(state: State) -> list[Card]:
    """Every scenario that can be applied for."""
    found = []
    for scenario, _ in await state.offered():
        try:
            made = plan(scenario, typical_answers(scenario, today()), day=today(), calendar=state.context.calendar)
        except Invalid:
            made = None
        found.append(Card(scenario=scenario, plan=made))
    return found


def typical_answers(scenario: Scenario, day: date) -> dict[str, Any]:
    """The first of a scenario's named situations; for a scenario without names the first situation that can differ.

    Raises Invalid when there is none.
    """
    named = next((each.answers for each in _named(day) if each.scenario == scenario.id), None)
    if named is not None:
        return named
    if scenario.version not in _typical:
        _typical[scenario.version] = plain_situation(representative_situations(scenario)[0])
    return _typical[scenario.version]


async def seat_names(state: State) -> dict[int, Words]:
    """Seat to the department's name."""
    return {seat.number: seat.keyset.name for seat in await state.context.view.seats()}


@lru_cache(maxsize=2)
def _named(day: date) -> tuple[Situation, ...]:
    return situations(day)
