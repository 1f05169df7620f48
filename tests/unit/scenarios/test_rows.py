"""Every rule row of every scenario that ships, with true, false and unknown for what it reads.

`tests/vectors/scenarios/rows/<scenario>.yaml` holds the cases: each varies one input of one row, everything else being as in
the ordinary case of a situation, and says what comes out: `outcome rows… > materials wanted`; `manual(refuse)` is a refusal
that an officer must confirm first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from orchestrator.domain.cells import NOT_ASKED, Input
from orchestrator.domain.conditions import holds
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.situations import plain_situation, read_situation
from orchestrator.rules.engine import Decision, Rules
from orchestrator.scenarios import load_catalogue, scenario_files, shipped

VECTORS = Path(__file__).parents[2] / "vectors" / "scenarios" / "rows"
DAY = date(2026, 2, 13)
PREDICATES = ("true", "false", "unknown")
EXPECTED = re.compile(
    r"(approve|return|refuse|manual)(?:\((approve|return|refuse)\))?((?: [A-Z]\S*)*)(?: > (\S+(?: \S+)*))?"
)


class Vector(NamedTuple):
    """One input of one row set to one value, and what is expected then."""

    scenario: str
    row: str
    situation: str
    given: dict[str, Any]
    input: str
    value: Any
    expected: str


@cache
def scenario(name: str) -> Scenario:
    return shipped(name, load_catalogue())


@cache
def rules(name: str) -> Rules:
    return Rules(scenario(name).definition())


@cache
def file(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((VECTORS / f"{name}.yaml").read_text("utf-8"))
    return found


def vectors() -> Iterator[Vector]:
    for path in sorted(VECTORS.glob("*.yaml")):
        for case in file(path.stem)["cases"]:
            case = dict(case)
            row, situation, given = case.pop("row"), case.pop("in"), case.pop("given", {})
            for name, values in case.items():
                for value, expected in values.items():
                    yield Vector(path.stem, row, situation, given, name, value, expected)


def ordinary(name: str, situation: str) -> dict[str, Any]:
    """Every input as it is in a situation when all is well: what is asked is answered true, what is due is brought."""
    found, data = scenario(name), file(name)
    answers = read_situation(found, data["situations"][situation])
    shown = plain_situation(answers)
    usual = data.get("values", {})
    return {each.name: _ordinary(each, found, answers, shown, usual) for each in found.inputs}


def _ordinary(
    each: Input, found: Scenario, answers: dict[str, Any], shown: dict[str, Any], usual: dict[str, Any]
) -> Any:
    kind, _, rest = each.name.partition(".")
    if each.name == "case.day":
        return DAY
    if kind == "q":
        return shown.get(rest, NOT_ASKED)
    if kind == "param":
        return found.parameter(rest, DAY)
    if each.evidence is not None and not holds(found.item(each.evidence).when, answers):
        return NOT_ASKED
    if kind == "material":
        material = found.material(rest.split(".")[0])
        due = not material.given_by_request and not material.replaced_by and holds(material.when, answers)
        if "." not in rest:
            return usual.get(each.name, due)
        return usual.get(each.name, True) if due else NOT_ASKED
    return usual.get(each.name, True if each.type in ("tri", "boolean") else NOT_ASKED)


def written(decision: Decision) -> str:
    """A decision in the words of the vectors."""
    outcome = decision.outcome + (f"({decision.proposed})" if decision.proposed != decision.outcome else "")
    rows = " ".join(dict.fromkeys(hit.id for hit in decision.hits))
    return " ".join(filter(None, (outcome, rows, " ".join(("", *decision.materials_wanted)).replace(" ", "> ", 1))))


def label(vector: Vector) -> str:
    return f"{vector.scenario}-{vector.row}-{vector.input}={vector.value}"


@pytest.mark.parametrize("vector", [pytest.param(each, id=label(each)) for each in vectors()])
def test_decide__one_input_of_a_row_varied__outcome_rows_and_materials_as_the_sheet_says(vector: Vector) -> None:
    assert EXPECTED.fullmatch(vector.expected), "outcome[(proposed)] rows… [> materials…]"
    inputs = ordinary(vector.scenario, vector.situation) | vector.given
    assert {vector.input, *vector.given} <= inputs.keys()
    approver = next(rule.approver for rule in scenario(vector.scenario).rules if rule.id == vector.row)

    decision = rules(vector.scenario).decide(approver, inputs | {vector.input: vector.value})

    assert written(decision) == vector.expected


@pytest.mark.parametrize("name", [path.stem for path in scenario_files()])
def test_vectors__every_row_of_the_file__hit_and_varied_over_true_false_and_unknown(name: str) -> None:
    cases = [vector for vector in vectors() if vector.scenario == name]
    types = {each.name: each.type for each in scenario(name).inputs}
    missing = []
    for rule in scenario(name).rules:
        own = [vector for vector in cases if vector.row == rule.id]
        if not any(rule.id in vector.expected.split() for vector in own):
            missing.append(f"{rule.id}: never hit")
        for read in sorted(rule.reads()):
            kind, situational = types[read], read.startswith(("q.", "case.", "param."))
            wanted = set(PREDICATES) if kind == "tri" else {"true", "false"} if kind == "boolean" else set()
            tried = {str(vector.value).lower() for vector in own if vector.input == read}
            if not situational and not read.startswith("material.") and not wanted <= tried:
                missing.append(f"{rule.id}: {read} is not tried as {sorted(wanted - tried)}")

    assert missing == []


@pytest.mark.parametrize("name", [path.stem for path in scenario_files()])
def test_vectors__unknown_without_a_row__both_ways_are_shown(name: str) -> None:
    expected = {row for vector in vectors() if vector.scenario == name for row in vector.expected.split()}

    assert {"COM-07", "COM-08"} <= expected


def test_vectors__row_that_no_file_has__none() -> None:
    unknown = {vector.row for vector in vectors()} - {
        rule.id for path in scenario_files() for rule in scenario(path.stem).rules
    }

    assert unknown == set()
