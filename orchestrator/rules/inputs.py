"""What a case says to the rules: every input by name, from the situation, the form, the answers and the materials.

An approver's gateway calls this with what it has verified and opened itself. Nothing is guessed: what was not asked in the
situation is *not asked*, what was asked and is not there is *unknown*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from orchestrator.domain.cells import NOT_ASKED, STATES, UNKNOWN, Input, number
from orchestrator.domain.conditions import holds
from orchestrator.domain.errors import Invalid
from orchestrator.domain.identifiers import bank_card_problem
from orchestrator.domain.names import plain_name
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import Derived, EvidenceItem
from orchestrator.rules.engine import aggregate


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """What one approver knows of one case. Personal, so it is never logged."""

    day: date
    """On which the mandate was signed."""
    situation: Mapping[str, Any]
    """As `read_situation` gives it."""
    form: Mapping[str, Any]
    """As `read_form` gives it; empty for an approver who does not get the form."""
    claims: Mapping[str, Sequence[Mapping[str, Any] | None]]
    """Evidence item to the claims answered about each of its subjects; None for a subject of whom nothing came."""
    materials: Mapping[str, Mapping[str, Any]]
    """Materials brought, each with what was declared with it."""
    verified: bool = True
    """False when an answer failed verification (signature, key, claim set)."""


def rule_values(scenario: Scenario, facts: CaseFacts) -> dict[str, Any]:
    """Every input of the scenario's rules for `Rules.decide`. Raises Invalid when a parameter has no value that day."""
    values = {each.name: _value(scenario, facts, each) for each in scenario.inputs if not _is_derived(each)}
    for derived in scenario.derived:
        values[f"derived.{derived.id}"] = _derive(scenario, facts, values, derived)
    return values


def _is_derived(each: Input) -> bool:
    return each.name.startswith("derived.")


def _value(scenario: Scenario, facts: CaseFacts, each: Input) -> Any:
    kind, _, rest = each.name.partition(".")
    if each.evidence is not None:
        item = scenario.item(each.evidence)
        return _claim(item, rest, facts) if holds(item.when, facts.situation) else NOT_ASKED
    match kind:
        case "case":
            return facts.day if rest == "day" else facts.verified
        case "q":
            return facts.situation.get(rest, NOT_ASKED)
        case "form":
            return facts.form.get(rest, NOT_ASKED)
        case "param":
            return scenario.parameter(rest, facts.day)
        case "material":
            return _material(rest, facts)
    raise Invalid(field=each.name, detail="规则输入项来源不明", detail_en="an input of no known source")


def _claim(item: EvidenceItem, key: str, facts: CaseFacts) -> Any:
    found = [UNKNOWN if claims is None else claims.get(key, UNKNOWN) for claims in facts.claims.get(item.id, ())]
    if not found:
        return UNKNOWN
    if len(found) == 1:
        return found[0]
    if all(value is None or isinstance(value, bool) or value in ("true", "false", *STATES) for value in found):
        return aggregate(found)
    return found[0] if all(value == found[0] for value in found) else UNKNOWN


def _material(rest: str, facts: CaseFacts) -> Any:
    material, _, name = rest.partition(".")
    if not name:
        return material in facts.materials
    return facts.materials[material].get(name, UNKNOWN) if material in facts.materials else NOT_ASKED


def _derive(scenario: Scenario, facts: CaseFacts, values: Mapping[str, Any], derived: Derived) -> Any:
    sources = [_source(facts, values, name) for name in derived.of]
    if NOT_ASKED in sources:
        return NOT_ASKED
    if None in sources or UNKNOWN in sources:
        return UNKNOWN
    table = scenario.parameter(derived.parameter, facts.day) if derived.parameter is not None else ()
    try:
        return _OPERATIONS[derived.op](sources, table)
    except (TypeError, ValueError, KeyError, AttributeError):
        return UNKNOWN  # a provider's value of another shape says nothing, and must not stop the officer from seeing the case


def _source(facts: CaseFacts, values: Mapping[str, Any], name: str) -> Any:
    """An input, a whole list or bank account of the form, or one field of all records of a list."""
    if name in values:
        return values[name]
    question, _, part = name.removeprefix("form.").partition(".")
    value = facts.form.get(question, NOT_ASKED)
    if part and isinstance(value, Mapping):
        return value.get(part, UNKNOWN)
    if part and isinstance(value, list):
        found = [record.get(part) for record in value]
        return UNKNOWN if None in found else found
    return value


def _latest(sources: Sequence[Any], _: Any) -> Any:
    days = [value for source in sources for value in (source if isinstance(source, list) else [source])]
    return max(map(_day, days), default=NOT_ASKED)


def _day(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _any_in(sources: Sequence[Any], table: Any) -> Any:
    values = sources[0] if isinstance(sources[0], list) else [sources[0]]
    return any(value in table for value in values)


def _same_name(sources: Sequence[Any], _: Any) -> Any:
    return len({plain_name(name) for name in sources}) == 1


def _step(sources: Sequence[Any], table: Any) -> Any:
    """The value of the last row of the table that begins at or below the number; unknown below the first."""
    reached = [(number(start), value) for start, value in table if number(start) <= number(sources[0])]
    return max(reached, key=lambda row: row[0])[1] if reached else UNKNOWN


def _valid_bank_account(sources: Sequence[Any], _: Any) -> Any:
    return bank_card_problem(sources[0]["number"]) is None


_OPERATIONS: Mapping[str, Callable[[Sequence[Any], Any], Any]] = {
    "latest": _latest,
    "any_in": _any_in,
    "same_name": _same_name,
    "step": _step,
    "valid_bank_account": _valid_bank_account,
}
