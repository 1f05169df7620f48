"""The published figures, computed from the scenario files."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from orchestrator.domain.canonical import canonical
from orchestrator.domain.plan import Plan, handled_by, materials_due, plan
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.situations import plain_situation, representative_situations
from orchestrator.scenarios import Situation, load_calendar, load_catalogue, scenario_files, shipped, situations

VECTORS = Path(__file__).parents[2] / "vectors" / "scenarios" / "plans.csv"
DAY = date(2026, 2, 13)
ROWS = list(csv.DictReader(VECTORS.read_text("utf-8").splitlines()))
NAMED = {(each.scenario, each.id): each for each in situations(DAY)}
SCENARIOS = [path.stem for path in scenario_files()]


@cache
def scenario(name: str) -> Scenario:
    return shipped(name, load_catalogue())


@cache
def planned(name: str, situation: str) -> Plan:
    return plan(scenario(name), NAMED[name, situation].answers, day=DAY, calendar=load_calendar())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['scenario']}/{row['situation']}")
def test_plan__named_situation__figures_of_the_table(row: dict[str, str]) -> None:
    result = planned(row["scenario"], row["situation"])
    assert len(result.materials_before) == int(row["before"])
    assert len(result.materials_after) == int(row["after"])
    assert (result.before.value, result.before.unit) == (int(row["time_before"]), row["time_unit"])
    assert (result.after.value, result.after.unit) == (int(row["time_after"]), row["time_unit"])
    assert result.trips_after.most == int(row["trips_after"])


def test_situations__all_named__are_those_of_the_table() -> None:
    assert set(NAMED) == {(row["scenario"], row["situation"]) for row in ROWS}
    assert {name for name, _ in NAMED} == set(SCENARIOS)


def test_plan__five_february_scenarios__mean_reduction_is_forty_per_cent() -> None:
    february = [each for each in NAMED.values() if each.february]
    reductions = [
        Decimal(len(p.materials_before) - len(p.materials_after)) / len(p.materials_before)
        for p in (planned(each.scenario, each.id) for each in february)
    ]
    assert len(reductions) == 5
    assert round(sum(reductions) / len(reductions), 12) == Decimal("0.4")


def test_plan__february_sensitivity__as_published() -> None:
    def mean(replaced: dict[str, str]) -> Decimal:
        chosen = {each.scenario: each.id for each in NAMED.values() if each.february} | replaced
        plans = [planned(name, situation) for name, situation in chosen.items()]
        shares = [1 - Decimal(len(p.materials_after)) / len(p.materials_before) for p in plans]
        return round(100 * sum(shares) / len(shares), 2)

    assert mean({"open-exhibition-hall": "agent"}) == Decimal("39.05")
    assert mean({"zgc-high-tech-certification": "holds-national-certificate"}) == Decimal("45.33")


def test_plan__zgc_either_situation__three_materials_fewer() -> None:
    for situation in ("no-national-certificate", "holds-national-certificate"):
        result = planned("zgc-high-tech-certification", situation)
        assert len(result.materials_before) - len(result.materials_after) == 3


def test_plan__trips_before__two_or_three_where_published() -> None:
    for name in ("open-gallery", "open-exhibition-hall", "zgc-high-tech-certification", "unemployment-benefit-claim"):
        situation = next(each.id for each in NAMED.values() if each.scenario == name)
        trips = planned(name, situation).trips_before
        assert (trips.least, trips.most) == (2, 3)


def test_plan__benefit_claim__face_check_and_bank_account_are_all() -> None:
    result = planned("unemployment-benefit-claim", "any")
    assert (result.face_check, result.bank_account) == (True, True)
    assert result.materials_after == ("bank-account",)
    assert result.form == ("bank_account", "pay_to_social_security_card")


def test_materials_due__public_security_down_for_gallery__three_instead_of_two() -> None:
    situation: Situation = NAMED["open-gallery", "area<=300+beijing-handler"]
    due = materials_due(scenario("open-gallery"), situation.answers, {"E01.handler", "E02.handler"})
    assert due == ("art-business-filing-form", "handler-identity-and-household", "premises-proof")


@pytest.mark.parametrize("name", SCENARIOS)
def test_materials_due__everything_unknown__at_least_all_of_before(name: str) -> None:
    it = scenario(name)
    for each in (each for each in NAMED.values() if each.scenario == name):
        result = planned(name, each.id)
        due = materials_due(it, each.answers, {item.item for item in result.evidence})
        assert set(due) >= set(result.materials_before)


@pytest.mark.parametrize("name", SCENARIOS)
def test_plan__every_situation__never_more_materials_or_days_than_before(name: str) -> None:
    it, calendar = scenario(name), load_calendar()
    for situation in representative_situations(it):
        answers = {key: str(value) if isinstance(value, Decimal) else value for key, value in situation.items()}
        result = plan(it, answers, day=DAY, calendar=calendar)
        assert set(result.materials_after) <= set(result.materials_before)
        assert result.after.unit == result.before.unit
        assert result.after.value <= result.before.value
        assert result.trips_after.most <= result.trips_before.most
        assert result.principal in result.subjects
        assert {evidence.subject for evidence in result.evidence} <= set(result.subjects)


@pytest.mark.parametrize("name", SCENARIOS)
def test_from_documents__published_documents__same_scenario(name: str) -> None:
    it = scenario(name)
    again = Scenario.from_documents(it.definition(), it.texts())
    assert again == it
    assert (again.version, again.texts_hash) == (it.version, it.texts_hash)


@pytest.mark.parametrize("name", SCENARIOS)
def test_definition__shipped__holds_no_text_for_people(name: str) -> None:
    it = scenario(name)
    document = canonical(it.definition()).decode()
    for path, text in it.texts()["texts"].items():
        assert f'"{text["zh"]}"' not in document, path


@pytest.mark.parametrize("name", SCENARIOS)
def test_handled_by__every_situation__agent_where_the_applicant_says_so(name: str) -> None:
    scenario = shipped(name)
    seen = set()
    for situation in representative_situations(scenario):
        acts = handled_by(scenario, plain_situation(situation))
        assert acts == ("agent" if situation.get("handled_by") == "agent" else "applicant")
        seen.add(acts)
    assert seen == ({"applicant", "agent"} if scenario.agent.allowed else {"applicant"})
