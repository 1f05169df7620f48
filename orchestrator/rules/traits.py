"""What there is to know about a rule's input besides its type: who may read it, how fine it is, which choices it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from orchestrator.domain.cells import Input
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import Entry, Question

CENT: Final = Decimal("0.01")
"""The finest step of a number: areas, amounts and ratios are given to two places."""
FACT, FORM, SITUATION, GIVEN = range(4)
"""Whose an input is: a department's or a document's fact, the form, the situation, what nobody in the case can change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """One input of a scenario's rules."""

    open: bool
    """Whether the orchestrator knows its value, and with it the applicant: nothing sealed, in a form or a document."""
    step: Decimal
    """The smallest difference between two values of a number."""
    options: tuple[str, ...]
    """Every value that a choice can have; empty when they are not counted in the definition."""
    whose: int
    """`FACT`, `FORM`, `SITUATION` or `GIVEN`."""


def traits(scenario: Scenario) -> dict[str, Trait]:
    """Every input of the scenario's rules by name."""
    found: dict[str, Trait] = {}
    derived = {f"derived.{each.id}": each.of for each in scenario.derived}
    for each in scenario.inputs:
        if each.name not in derived:
            found[each.name] = _trait(scenario, each)
    for name, sources in derived.items():
        opened = all(source in found and found[source].open for source in sources)
        found[name] = Trait(open=opened, step=CENT, options=(), whose=FACT)
    return found


def _trait(scenario: Scenario, each: Input) -> Trait:
    kind, _, rest = each.name.partition(".")
    if each.evidence is not None:
        claims = {claim.key: claim for claim in scenario.item(each.evidence).claims}
        return Trait(open=not claims[rest].sealed_to, step=CENT, options=(), whose=FACT)
    match kind:
        case "q" | "form":
            asked: Mapping[str, Question] = {question.id: question for question in scenario.questions}
            opened = kind == "q" and rest in asked and asked[rest].sees == "orchestrator"
            return _typed(asked.get(rest), opened=opened, whose=SITUATION if kind == "q" else FORM)
        case "material":
            material, _, field = rest.partition(".")
            declared = scenario.material(material)
            if field:
                entries = {entry.id: entry for entry in declared.fields}
                return _typed(entries.get(field), opened=False, whose=FACT)
            return Trait(open=declared.answered_by is None, step=CENT, options=(), whose=FACT)
        case "param":
            return Trait(open=True, step=CENT, options=(), whose=GIVEN)
    # Whether an answer held is what the approver found when it opened it; the day stands in the mandate.
    return Trait(open=each.name == "case.day", step=CENT, options=(), whose=GIVEN)


def _typed(entry: Entry | Question | None, *, opened: bool, whose: int) -> Trait:
    return Trait(
        open=opened,
        step=Decimal(1) if entry is not None and entry.type == "integer" else CENT,
        options=tuple(option.id for option in entry.options) if entry is not None else (),
        whose=whose,
    )
