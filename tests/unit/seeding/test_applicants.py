"""The demo's applicants, decided by the published rules on what the departments' databases answer about them."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.conditions import holds
from orchestrator.domain.plan import materials_due
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.situations import read_form, read_situation
from orchestrator.gateway.records import Ask, ClaimAsk, Party, Records
from orchestrator.rules.engine import Rules
from orchestrator.rules.inputs import CaseFacts, rule_values
from orchestrator.scenarios import FOLDER, shipped, situations
from orchestrator.seeding.cast import read_cast
from tests.support.applicants import Applicant, DemoSubject, read_applicants
from tests.support.departments import SEEDING_DAY, SeededDepartments

CAST = read_cast((FOLDER / "cast.yaml").read_text("utf-8"))
DEMO = read_applicants((FOLDER / "demo.yaml").read_text("utf-8"), CAST, situations(SEEDING_DAY), SEEDING_DAY)
AWKWARD = read_applicants(
    (Path(__file__).parents[2] / "vectors/departments/awkward.yaml").read_text("utf-8"),
    CAST,
    situations(SEEDING_DAY),
    SEEDING_DAY,
)
ROW = re.compile(r"[A-Z]{3}-\d+[a-z]?")
SEVERITY = ("approve", "manual", "return", "refuse")


@cache
def scenario_of(name: str) -> tuple[Scenario, Rules]:
    scenario = shipped(name)
    return scenario, Rules(scenario.definition())


def party(scenario: Scenario, role: str, subject: DemoSubject, situation: Mapping[str, Any]) -> Party:
    attributes = dict(subject.attributes)
    for attribute in scenario.subject(role).attributes:
        if attribute.from_question is not None:
            attributes[attribute.id] = situation[attribute.from_question]
    return Party(type=subject.type, id=subject.id, name=subject.name, attributes=attributes)


Answers = dict[tuple[str, str], list[dict[str, Any]]]
"""Claims about each subject, by applicant and evidence item."""


def asks_of(departments: SeededDepartments, applicant: Applicant) -> dict[str, tuple[str, list[Ask]]]:
    """What the scenario asks about this applicant: evidence item to department and questions."""
    scenario, _ = scenario_of(applicant.scenario)
    situation = read_situation(scenario, applicant.answers)
    found: dict[str, tuple[str, list[Ask]]] = {}
    for item in scenario.evidence:
        if item.purpose != "decide" or item.source == "mandate" or not holds(item.when, situation):
            continue
        department = next(name for name, each in departments.adapters.items() if item.type in each.evidence)
        others = {
            slot: [party(scenario, role, each, situation) for each in applicant.subjects[role]]
            for slot, role in item.with_.items()
        }
        claims = tuple(
            ClaimAsk(
                key=claim.key,
                claim=claim.claim,
                params={
                    name: scenario.parameter(value["parameter"], departments.day) if isinstance(value, dict) else value
                    for name, value in claim.params.items()
                },
            )
            for claim in item.claims
        )
        subjects = [party(scenario, item.subject, each, situation) for each in applicant.subjects[item.subject]]
        asks = [Ask(evidence=item.type, claims=claims, subject=subject, others=others) for subject in subjects]
        found[item.id] = (department, asks)
    return found


@pytest.fixture(scope="module")
def answers(departments: SeededDepartments) -> Answers:
    """All departments' answers about all applicants, each department asked once."""
    places: dict[str, list[tuple[tuple[str, str], Ask]]] = {}
    for applicant in DEMO + AWKWARD:
        for item, (department, asks) in asks_of(departments, applicant).items():
            if department == applicant.outage:
                continue
            places.setdefault(department, []).extend(((applicant.id, item), ask) for ask in asks)

    async def run() -> Answers:
        found: Answers = {}
        for department, asked in places.items():
            async with Records(departments.databases[department].reader, departments.adapters[department]) as records:
                values = await records.read([ask for _, ask in asked], departments.day)
            for (place, _), value in zip(asked, values, strict=True):
                found.setdefault(place, []).append(dict(value))
        return found

    return asyncio.run(run())


def decide(
    day: date, answers: Answers, applicant: Applicant, brought: Mapping[str, Any]
) -> tuple[str, set[str], set[str]]:
    """The most severe outcome, the rows that hit and the materials that are asked for."""
    scenario, rules = scenario_of(applicant.scenario)
    situation = read_situation(scenario, applicant.answers)
    claims = {item: found for (owner, item), found in answers.items() if owner == applicant.id}
    for item in scenario.evidence:
        if item.source == "mandate":
            claims[item.id] = [{claim.key: True for claim in item.claims}]
    due: dict[str, Mapping[str, Any]] = {key: {} for key in materials_due(scenario, applicant.answers, ())}
    facts = CaseFacts(
        day=day,
        situation=situation,
        form=read_form(scenario, situation, applicant.form),
        claims=claims,
        materials={**due, **applicant.materials, **brought},
    )
    values = rule_values(scenario, facts)
    decisions = [
        rules.decide(role, {each.name: values[each.name] for each in rules.inputs(role)}) for role in rules.roles
    ]
    hits = [hit for decision in decisions for hit in decision.hits]
    worst = max((hit.outcome for hit in hits), key=SEVERITY.index)
    wanted = {material for decision in decisions for material in decision.materials_wanted}
    return worst, {hit.id for hit in hits}, wanted


@pytest.mark.parametrize("applicant", DEMO + AWKWARD, ids=[applicant.id for applicant in DEMO + AWKWARD])
def test_rules__each_applicant__comes_out_as_stated(answers: Answers, applicant: Applicant) -> None:
    outcome, rows, wanted = decide(SEEDING_DAY, answers, applicant, {})

    first = applicant.expected.first
    assert (outcome, set(first.rows) - rows) == (first.outcome, set()), rows
    assert set(first.materials) <= wanted

    then = applicant.expected.then
    if then is not None:
        assert set(applicant.brings) >= wanted
        outcome, rows, wanted = decide(SEEDING_DAY, answers, applicant, applicant.brings)
        assert (outcome, set(then.rows) - rows, wanted) == (then.outcome, set(), set())


def test_demo__every_scenario__has_the_three_kinds() -> None:
    kinds = Counter((applicant.scenario, applicant.kind) for applicant in DEMO)
    scenarios = {applicant.scenario for applicant in DEMO}

    assert len(scenarios) == 7
    assert all(kinds[scenario, kind] for scenario in scenarios for kind in ("passes", "material", "stopped"))
    assert len({applicant.id for applicant in DEMO}) == len(DEMO)


def test_cast__every_row_it_promises__is_shown_by_an_applicant() -> None:
    entries = [*CAST.people.values(), *CAST.companies.values(), *CAST.contracts.values(), *CAST.laboratories.values()]
    promised = {row for entry in entries for text in entry.expected for row in ROW.findall(text)}
    promised |= {row for awkward in CAST.awkward for text in awkward.expected for row in ROW.findall(text)}
    shown = {row for each in DEMO + AWKWARD for row in each.expected.first.rows}

    assert {row for row in promised if not any(each.startswith(row) for each in shown)} == set()


def test_cast__awkward_paths__name_fixtures_that_exist() -> None:
    keys = {*CAST.people, *CAST.companies, *CAST.premises, *CAST.contracts, *CAST.laboratories}

    assert {fixture for awkward in CAST.awkward for fixture in awkward.fixtures} <= keys
