"""The demo's applicants as data: `scenarios/demo.yaml` with the cast's names and numbers filled in.

Whole numbers in the place of a day count from the day of the demo, as in the cast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from orchestrator.demo.applicant import Walk
from orchestrator.domain.plan import Plan, plan
from orchestrator.domain.scenario import Scenario
from orchestrator.scenarios import FOLDER, load_calendar, load_catalogue, read_data, shipped, situations
from orchestrator.seeding.cast import Cast, read_cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What should come of one decision."""

    outcome: str
    rows: tuple[str, ...] = ()
    """Rows that must be among the reasons."""
    materials: tuple[str, ...] = ()
    """Materials that the notice must ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoApplicant:
    """One applicant with what they want and what should come of it."""

    id: str
    kind: Literal["passes", "material", "stopped"]
    situation: str
    person: str
    """Citizen number of whoever signs in."""
    walk: Walk
    plan: Plan
    first: Expected
    then: Expected | None
    brings: Mapping[str, Mapping[str, Any]]
    pushes: tuple[str, ...]
    outage: str | None
    """Department whose gateway is down while this applicant applies."""
    why: Mapping[str, str]


def demo_applicants(day: date) -> list[DemoApplicant]:
    """Everybody in the demo file."""
    cast = read_cast((FOLDER / "cast.yaml").read_text("utf-8"))
    catalogue = load_catalogue()
    answers = {(each.scenario, each.id): each.answers for each in situations(day)}
    calendar = load_calendar()
    entries = read_data("demo.yaml")["applicants"]
    scenarios = {name: shipped(name, catalogue) for name in dict.fromkeys(each["scenario"] for each in entries)}
    found = []
    for entry in entries:
        scenario = scenarios[entry["scenario"]]
        given = {**answers[entry["scenario"], entry["situation"]], **entry.get("answers", {})}
        made = plan(scenario, given, day=day, calendar=calendar)
        subjects = _subjects(scenario, made, cast, entry, day)
        found.append(
            DemoApplicant(
                id=entry["id"],
                kind=entry["kind"],
                situation=entry["situation"],
                person=subjects[made.principal][0]["id"],
                walk=Walk(
                    scenario=scenario.id,
                    answers=given,
                    form=_dated(_form_entries(scenario), entry.get("form", {}), day),
                    subjects=subjects,
                    materials=_materials(scenario, {**entry.get("materials", {}), **entry.get("brings", {})}, day),
                ),
                plan=made,
                first=_expected(entry["expected"]["first"]),
                then=_expected(entry["expected"]["then"]) if "then" in entry["expected"] else None,
                brings=entry.get("brings", {}),
                pushes=tuple(entry["expected"].get("pushes", ())),
                outage=entry.get("outage"),
                why=entry["why"],
            )
        )
    return found


def _expected(entry: Mapping[str, Any]) -> Expected:
    return Expected(
        outcome=entry["outcome"], rows=tuple(entry.get("rows", ())), materials=tuple(entry.get("materials", ()))
    )


def _subjects(
    scenario: Scenario, made: Plan, cast: Cast, entry: Mapping[str, Any], day: date
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for role, listed in entry["subjects"].items():
        if role not in made.subjects:
            continue
        wanted = {each.id: each for each in scenario.subject(role).attributes}
        declared = _dated(wanted.values(), entry.get("attributes", {}).get(role, {}), day)
        subjects = [_subject(each, cast) for each in listed]
        found[role] = [
            {**subject, "attributes": {k: v for k, v in {**subject["attributes"], **declared}.items() if k in wanted}}
            for subject in subjects
        ]
    return found


def _subject(key: Any, cast: Cast) -> dict[str, Any]:
    """Type, id, name and known attributes of a subject given by its key in the cast, or as itself."""
    if isinstance(key, Mapping) and "unit" in key:
        unit = cast.premises[key["unit"]].unit
        return {"type": "unit", "id": unit, "name": unit, "attributes": {}}
    if isinstance(key, Mapping):
        return {"attributes": {}, **key}
    if key in cast.people:
        person = cast.people[key]
        return {"type": "citizen", "id": person.number, "name": person.name, "attributes": {}}
    if key in cast.companies:
        company = cast.companies[key]
        return {"type": "uscc", "id": company.uscc, "name": company.name, "attributes": {}}
    if key in cast.premises:
        premises = cast.premises[key]
        return {"type": "title", "id": premises.title, "name": premises.title, "attributes": {"unit": premises.unit}}
    if key in cast.contracts:
        number = cast.contracts[key].number
        return {"type": "contract", "id": number, "name": number, "attributes": {}}
    laboratory = cast.laboratories[key]
    return {"type": "laboratory", "id": laboratory.number, "name": laboratory.name, "attributes": {}}


def _form_entries(scenario: Scenario) -> list[Any]:
    return [question for question in scenario.questions if question.sees == "approver"]


def _materials(scenario: Scenario, given: Mapping[str, Mapping[str, Any]], day: date) -> dict[str, dict[str, Any]]:
    return {name: _dated(scenario.material(name).fields, fields, day) for name, fields in given.items()}


def _dated(entries: Iterable[Any], given: Mapping[str, Any], day: date) -> dict[str, Any]:
    """The given values with whole numbers in date fields turned into days from `day` on."""
    types = {each.id: each for each in entries}
    values: dict[str, Any] = {}
    for name, value in given.items():
        entry = types.get(name)
        if entry is not None and entry.type == "date" and isinstance(value, int):
            values[name] = (day + timedelta(days=value)).isoformat()
        elif entry is not None and entry.type == "list" and isinstance(value, list):
            values[name] = [_dated(entry.fields, item, day) if isinstance(item, dict) else item for item in value]
        else:
            values[name] = value
    return values
