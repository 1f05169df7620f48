"""`docs/scenario.md` is enough to write a scenario from: its example is a whole one and works."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from orchestrator.domain.plan import plan
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_file import load_scenario
from orchestrator.domain.scenario_parts import (
    Agent,
    Attribute,
    Claim,
    CredentialField,
    Deadlines,
    Derived,
    Entry,
    EvidenceItem,
    Material,
    Parameter,
    Push,
    Question,
    Result,
    Step,
    Subject,
    Term,
    Validity,
)
from orchestrator.rules.engine import Rules
from orchestrator.scenarios import load_calendar, load_catalogue

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "tests" / "vectors" / "scenarios" / "bookshop"
DOCUMENT = (ROOT / "docs" / "scenario.md").read_text("utf-8")


def example() -> Scenario:
    catalogue = load_catalogue(EXAMPLE / "department.yaml")
    return load_scenario((EXAMPLE / "bookshop-subsidy.yaml").read_text("utf-8"), catalogue=catalogue)


def test_document__its_example__is_the_file_under_test() -> None:
    for name in ("department.yaml", "bookshop-subsidy.yaml"):
        assert (EXAMPLE / name).read_text("utf-8").strip() in DOCUMENT, name


def test_document__its_example__loads_plans_and_has_rules() -> None:
    scenario = example()
    result = plan(
        scenario, {"handled_by": "agent", "open_at_night": True}, day=date(2026, 3, 2), calendar=load_calendar()
    )
    assert (len(result.materials_before), len(result.materials_after)) == (5, 3)
    assert (result.after.value, result.trips_after.most) == (5, 0)
    assert Rules(scenario.definition()).roles == ("culture-tourism",)


def test_document__every_field_of_the_model__is_explained() -> None:
    parts = (
        Subject, Attribute, Question, Entry, Material, EvidenceItem, Claim, Parameter, Derived, Deadlines, Term, Step, Agent,
        Result, CredentialField, Validity, Push,
    )  # fmt: skip
    for part in parts:
        for name, field in part.model_fields.items():
            word = field.alias or name
            assert f"`{word}`" in DOCUMENT or f"`{word}:" in DOCUMENT, f"{part.__name__}.{word}"
