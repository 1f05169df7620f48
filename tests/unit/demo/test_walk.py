"""What counts as a fault of the demo beyond the outcomes."""

from __future__ import annotations

from datetime import date

from orchestrator.demo.applicants import demo_applicants
from orchestrator.demo.walk import Walked, kinds_missing, surplus

APPLICANTS = {each.id: each for each in demo_applicants(date(2026, 3, 2))}


def test_surplus__passes_with_exactly_the_plans_materials__nothing() -> None:
    applicant = APPLICANTS["gallery-passes"]

    assert surplus(applicant, applicant.plan.materials_after) == []


def test_surplus__passes_with_one_more_or_one_less__named() -> None:
    applicant = APPLICANTS["gallery-passes"]
    (first, *rest) = applicant.plan.materials_after

    assert [line.split()[-1] for line in surplus(applicant, rest)] == [first]
    (line,) = surplus(applicant, [first, *rest, "owners-consent"])
    assert line.endswith("owners-consent")


def test_surplus__who_brings_a_material__is_not_counted() -> None:
    assert surplus(APPLICANTS["gallery-identity-brought"], ()) == []


def test_kinds_missing__everybody_in_the_demo__none() -> None:
    assert kinds_missing([Walked(applicant=each) for each in APPLICANTS.values()]) == []


def test_kinds_missing__a_scenario_without_a_kind__named() -> None:
    some = [Walked(applicant=each) for each in APPLICANTS.values() if each.kind != "stopped"]

    found = kinds_missing(some)

    assert len(found) == len({each.walk.scenario for each in APPLICANTS.values()})
    assert all(line.endswith("stopped") for line in found)
