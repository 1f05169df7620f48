"""ZEN behind its strict face against an independent reading of the same rows, over random tables and inputs."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.decision_table import Input, Row, compile_tables
from orchestrator.domain.errors import Invalid
from orchestrator.rules.engine import Rules
from tests.unit.rules import rules_reference

INPUTS: list[dict[str, Any]] = [
    {"name": "company.in_operation", "type": "tri", "evidence": "E05.company", "material": "licence-copy"},
    {"name": "premises.no_seizure", "type": "tri", "evidence": "E09.premises", "material": None},
    {"name": "premises.area", "type": "number", "evidence": "E09.premises", "material": "title-proof"},
    {"name": "patent.matched-by", "type": "string", "evidence": "E20.company", "material": None},
    {"name": "q.area", "type": "number"},
    {"name": "q.kind", "type": "string"},
    {"name": "form.sells", "type": "boolean"},
    {"name": "param.limit", "type": "number"},
    {"name": "case.day", "type": "date"},
    {"name": "material.report.date", "type": "date"},
    {"name": "material.report", "type": "boolean"},
    {"name": "material.licence-copy", "type": "boolean"},
    {"name": "material.title-proof", "type": "boolean"},
]
KINDS = {each["name"]: each["type"] for each in INPUTS}
WORDS = st.sampled_from(
    ["uscc", "name", "画廊", "a'b", "$x", "a > 5", "", "now", "TRUE", "名 称", "{{x}}", "`", "null", "5"]
)
NUMBERS = st.one_of(
    st.sampled_from(["300.00", "300.01", "299.99", "0", "-3", "9007199254740992", "-9007199254740992", "0.1", "0.3"]),
    st.decimals(min_value=-1000, max_value=1000, places=2).map(str),
)
DAYS = st.dates(date(2024, 12, 1), date(2026, 3, 1)).map(date.isoformat)
TRI = st.sampled_from(["true", "false"])
LITERALS = {"tri": TRI, "boolean": TRI, "number": NUMBERS, "string": WORDS, "date": DAYS}
STATES = st.sampled_from(["unknown", "not_asked"])


def as_yaml(kind: str, literal: str) -> Any:
    """A literal as a scenario file would hold it: numbers unquoted, the rest text."""
    return literal if kind != "number" else (int(literal) if "." not in literal else float(literal))


def cells(name: str) -> st.SearchStrategy[Any]:
    kind = KINDS[name]
    literal = st.one_of(LITERALS[kind].map(lambda text: as_yaml(kind, text)), STATES)
    choices = [literal, st.lists(literal, min_size=1, max_size=3)]
    others = [other for other, other_kind in KINDS.items() if other_kind == kind and other != name]
    plain = LITERALS[kind].map(lambda text: as_yaml(kind, text))
    operands = [plain]
    if others and kind in ("number", "date"):
        plus = st.integers(-400, 400)
        operands.append(st.fixed_dictionaries({"input": st.sampled_from(others), "plus": plus}))
        if kind == "date":
            years = st.integers(-2, 2)
            operands.append(st.fixed_dictionaries({"input": st.sampled_from(others), "years": years}))
    elif others and kind == "string":
        operands.append(st.fixed_dictionaries({"input": st.sampled_from(others)}))
    operators = ["gt", "gte", "lt", "lte", "ne"] if kind in ("number", "date") else ["ne"]
    choices.append(st.dictionaries(st.sampled_from(operators), st.one_of(operands), min_size=1, max_size=2))
    return st.one_of(choices)


def alternatives() -> st.SearchStrategy[dict[str, Any]]:
    names = st.lists(st.sampled_from(sorted(KINDS)), unique=True, min_size=1, max_size=3)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: cells(name) for name in chosen}))


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = []
    for number in range(draw(st.integers(1, 6))):
        outcome = draw(st.sampled_from(["approve", "return", "refuse", "manual"]))
        rows.append(
            {
                "id": f"TST-{number:02d}",
                "approver": "culture",
                "when": draw(st.lists(alternatives(), min_size=1, max_size=3)),
                "outcome": outcome,
                "confirm": draw(st.booleans()),
                "material": draw(st.sampled_from([None, "report", "title-proof"])) if outcome == "return" else None,
                "otherwise": draw(st.integers(0, 5)) == 0,
            }
        )
    default = {"outcome": "approve", "confirm": False, "material": None, "otherwise": True}
    return [*rows, {"id": "TST-99", "approver": "culture", "when": [{}], **default}]


VALUES = st.fixed_dictionaries(
    {
        name: st.one_of(
            st.booleans() if kind in ("tri", "boolean") else LITERALS[kind],
            LITERALS[kind],
            st.sampled_from([None, "unknown", "not_asked"]),
        )
        for name, kind in KINDS.items()
    }
)


def definition(rows: list[dict[str, Any]]) -> dict[str, Any]:
    inputs = [Input.model_validate(each) for each in INPUTS]
    tables = compile_tables([Row.model_validate(row) for row in rows], inputs)
    return {"decisions": tables, "inputs": [each.model_dump() for each in inputs]}


@settings(max_examples=120, deadline=None)
@given(tables(), st.lists(VALUES, min_size=1, max_size=4))
def test_decide__random_tables_and_inputs__agrees_with_the_independent_reading(
    rows: list[dict[str, Any]], cases: list[dict[str, Any]]
) -> None:
    rules = Rules(definition(rows))

    for values in cases:
        decision = rules.decide("culture", values)

        hits = {(hit.id, hit.outcome, hit.material) for hit in decision.hits}
        assert (decision.outcome, hits) == rules_reference.decide(rows, INPUTS, values)


@settings(max_examples=60, deadline=None)
@given(tables(), VALUES, st.sampled_from(sorted(KINDS)))
def test_decide__input_left_out__invalid_or_not_read_at_all(
    rows: list[dict[str, Any]], values: dict[str, Any], name: str
) -> None:
    rules = Rules(definition(rows))
    without = {key: value for key, value in values.items() if key != name}

    if name in {each.name for each in rules.inputs("culture")}:
        with pytest.raises(Invalid) as error:
            rules.decide("culture", without)
        assert error.value.field == name
    else:
        assert rules.decide("culture", without) == rules.decide("culture", values)


@settings(max_examples=100, deadline=None)
@given(st.decimals(min_value=-(10**11), max_value=10**11, places=2), st.sampled_from([-1, 0, 1]))
def test_decide__number_a_cent_beside_the_limit__exact(limit: Any, cents: int) -> None:
    when = {"q.area": {"lte": limit}}
    rows = [
        {"id": "TST-01", "approver": "culture", "when": [when], "outcome": "manual"},
        {"id": "TST-99", "approver": "culture", "when": {}, "outcome": "approve"},
    ]
    inputs = [Input(name="q.area", type="number")]
    tables = compile_tables([Row.model_validate(row) for row in rows], inputs)
    rules = Rules({"decisions": tables, "inputs": [each.model_dump() for each in inputs]})
    area = (int(limit * 100) + cents) / 100

    decision = rules.decide("culture", {"q.area": f"{area:.2f}"})

    assert decision.outcome == ("manual" if cents <= 0 else "approve")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_decide__any_text__given_back_as_it_is(text: str) -> None:
    rows = [
        Row.model_validate({"id": "TST-99", "approver": "culture", "when": {"q.kind": {"ne": ""}}, "outcome": "manual"})
    ]
    rows.append(Row(id="TST-98", approver="culture", outcome="approve"))
    inputs = [Input(name="q.kind", type="string"), Input(name="material.report.date", type="date")]
    rules = Rules({"decisions": compile_tables(rows, inputs), "inputs": [each.model_dump() for each in inputs]})

    decision = rules.decide("culture", {"q.kind": text})

    assert decision.inputs == {"q.kind": text}
