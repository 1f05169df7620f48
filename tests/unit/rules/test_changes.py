"""What would have changed a decision: the suggested change undoes the row, nothing nearer does, and no sealed value shows."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.domain.cells import Input
from orchestrator.domain.decision_table import Row, compile_tables
from orchestrator.domain.scenario import Scenario
from orchestrator.rules.changes import Change, open_changes, smallest_changes
from orchestrator.rules.engine import Rules
from orchestrator.rules.traits import CENT, FACT, FORM, SITUATION, Trait, traits
from orchestrator.scenarios import load_catalogue, scenario_files, shipped

SCENARIOS = [path.stem for path in scenario_files()]
DAY = date(2026, 2, 13)


@cache
def loaded(name: str) -> tuple[Scenario, Rules, dict[str, Trait]]:
    scenario = shipped(name, load_catalogue())
    return scenario, Rules(scenario.definition()), traits(scenario)


def literals(scenario: Scenario, name: str) -> list[Any]:
    """Texts that the rows compare an input with, and its choices."""
    found: list[Any] = list(traits(scenario)[name].options)
    for rule in scenario.rules:
        for alternative in rule.when:
            cell = alternative.get(name)
            found += [each for each in (cell if isinstance(cell, tuple) else [cell]) if isinstance(each, str)]
    return [*dict.fromkeys(found)] or ["别的"]


def value_of(scenario: Scenario, each: Input) -> st.SearchStrategy[Any]:
    """A value of an input, biased towards what rows look at."""
    states = st.sampled_from(["unknown", "not_asked"])
    match each.type:
        case "tri":
            return st.one_of(st.booleans(), st.booleans(), st.booleans(), states)
        case "boolean":
            return st.booleans()
        case "number":
            known = st.one_of(st.sampled_from([-4, -3, -2, 299, 300, 301, "300.01", "299.99"]), st.integers(-9, 999))
        case "date":
            known = st.integers(-2200, 2200).map(lambda days: DAY + timedelta(days=days))
        case _:
            known = st.sampled_from([*literals(scenario, each.name), "别的"])
    return known if each.name.startswith(("q.", "case.", "param.")) else st.one_of(known, known, states)


@st.composite
def cases(draw: st.DrawFn, name: str) -> tuple[str, dict[str, Any]]:
    """An approver's role, and mostly favourable inputs with some that are otherwise."""
    scenario, rules, _ = loaded(name)
    role = draw(st.sampled_from(scenario.approvers))
    needed = rules.inputs(role)
    usual: dict[str, Any] = {"tri": True, "boolean": False, "number": 100, "date": DAY, "string": "别的"}
    values = {each.name: usual[each.type] for each in needed}
    for each in draw(st.lists(st.sampled_from(needed), min_size=1, max_size=len(needed), unique_by=lambda e: e.name)):
        values[each.name] = draw(value_of(scenario, each))
    return role, values


def given_as(change: Change, value: str, rules: Rules, role: str) -> Any:
    return value == "true" if rules.types(role)[change.input] in ("tri", "boolean") else value


def some(change: Change, rules: Rules, role: str) -> list[str]:
    """Values that a change names, or one that it does not exclude."""
    assert bool(change.to) != bool(change.but)
    known = {"tri": "true", "boolean": "true", "number": "3", "date": "2026-02-01", "string": "一个没有人列出的值"}
    return list(change.to) or [known[rules.types(role)[change.input]]]


@pytest.mark.parametrize("name", SCENARIOS)
def test_smallest_changes__random_inputs_of_the_scenario__the_row_no_longer_hits(name: str) -> None:
    _, rules, known = loaded(name)

    @settings(max_examples=60, deadline=None)
    @given(cases(name))
    def holds(case: tuple[str, dict[str, Any]]) -> None:
        role, values = case
        decision = rules.decide(role, values)
        found = smallest_changes(rules, role, values, known)
        assert set(found) == {hit.id for hit in decision.hits if hit.outcome == decision.proposed}
        for row, change in found.items():
            if change is None:
                continue
            assert change.row == row
            for value in some(change, rules, role):
                after = rules.decide(role, {**values, change.input: given_as(change, value, rules, role)})
                assert row not in {hit.id for hit in after.hits}

    holds()


@pytest.mark.parametrize("name", SCENARIOS)
def test_open_changes__random_inputs_of_the_scenario__undo_the_row_and_do_not_depend_on_sealed_values(
    name: str,
) -> None:
    scenario, rules, known = loaded(name)

    @settings(max_examples=60, deadline=None)
    @given(cases(name), st.data())
    def holds(case: tuple[str, dict[str, Any]], data: st.DataObject) -> None:
        role, values = case
        hit = [each.id for each in rules.decide(role, values).hits]
        found = open_changes(rules, role, hit, values, known)
        for change in found:
            for value in some(change, rules, role):
                after = rules.decide(role, {**values, change.input: given_as(change, value, rules, role)})
                assert change.row not in {each.id for each in after.hits}
        # Another person whose sealed values are others, and of whom the same rows hit, reads the same.
        others = dict(values)
        for each in rules.inputs(role):
            if not known[each.name].open:
                others[each.name] = data.draw(value_of(scenario, each))
        assert open_changes(rules, role, hit, others, known) == found

    holds()


def test_traits__gallery__sealed_claims_form_and_documents_are_not_open() -> None:
    known = loaded("open-gallery")[2]

    assert known["q.decoration_area_m2"].open
    assert known["case.day"].open
    assert known["company.scope_covers"].open
    assert not known["case.evidence_verified"].open
    assert not known["form.sells_relics"].open
    assert not known["material.power-of-attorney.valid_until"].open


TRAITS = {
    "q.area": Trait(open=True, step=CENT, options=(), whose=SITUATION),
    "form.level": Trait(open=False, step=Decimal(1), options=(), whose=FORM),
    "works.level": Trait(open=False, step=Decimal(1), options=(), whose=FACT),
    "q.kind": Trait(open=True, step=CENT, options=("shop", "hall", "flat"), whose=SITUATION),
    "title.nature": Trait(open=True, step=CENT, options=(), whose=FACT),
    "company.runs": Trait(open=True, step=CENT, options=(), whose=FACT),
    "company.barred": Trait(open=False, step=CENT, options=(), whose=FACT),
    "report.day": Trait(open=True, step=CENT, options=(), whose=FACT),
    "case.day": Trait(open=True, step=CENT, options=(), whose=3),
}
TYPES: dict[str, Any] = {
    "q.area": "number",
    "form.level": "number",
    "works.level": "number",
    "q.kind": "string",
    "title.nature": "string",
    "company.runs": "tri",
    "company.barred": "tri",
    "report.day": "date",
    "case.day": "date",
}
VALUES: dict[str, Any] = {
    "q.area": 100,
    "form.level": -1,
    "works.level": -1,
    "q.kind": "hall",
    "title.nature": "商业",
    "company.runs": True,
    "company.barred": False,
    "report.day": date(2026, 2, 1),
    "case.day": DAY,
}


def table(*rows: dict[str, Any]) -> Rules:
    inputs = [Input(name=name, type=kind) for name, kind in TYPES.items()]
    full = [Row.model_validate({"approver": "culture", **row}) for row in rows]
    full.append(Row(id="TST-99", approver="culture", outcome="approve"))
    return Rules(
        {"decisions": compile_tables(full, inputs), "inputs": [each.model_dump(mode="json") for each in inputs]}
    )


def both(when: Any, **changes: Any) -> tuple[Change | None, Change | None]:
    """The smallest change for one row that hits: for whoever reads everything, and from what is open."""
    rules = table({"id": "TST-01", "when": when, "outcome": "return"})
    values = VALUES | {name.replace("__", "."): value for name, value in changes.items()}
    full = smallest_changes(rules, "culture", values, TRAITS)["TST-01"]
    opened = open_changes(rules, "culture", ["TST-01"], values, TRAITS)
    return full, opened[0] if opened else None


def to(name: str, *values: str, but: tuple[str, ...] = ()) -> Change:
    return Change(row="TST-01", input=name, to=values, but=but)


@pytest.mark.parametrize(
    ("when", "given_", "expected"),
    [
        ({"q.area": {"gt": 300}}, {"q__area": 412.5}, to("q.area", "300")),
        ({"q.area": {"gte": 300}}, {"q__area": 412.5}, to("q.area", "299.99")),
        ({"q.area": {"lte": 300}}, {"q__area": 12}, to("q.area", "300.01")),
        ({"form.level": {"lte": -3}}, {"form__level": -5}, to("form.level", "-2")),
        ({"q.area": {"gt": 100, "lt": 300}}, {"q__area": 280}, to("q.area", "300")),
        ({"q.area": {"gt": 100, "lt": 300}}, {"q__area": 120}, to("q.area", "100")),
        ({"company.runs": False}, {"company__runs": False}, to("company.runs", "true")),
        ({"company.runs": [False, "unknown"]}, {"company__runs": None}, to("company.runs", "true")),
        ({"q.kind": ["hall", "flat"]}, {}, to("q.kind", "shop")),
        ({"q.kind": "hall"}, {}, to("q.kind", "shop", "flat")),
        ({"title.nature": ["商业", "办公"]}, {}, to("title.nature", but=("办公", "商业"))),
        ({"title.nature": {"ne": "住宅"}}, {}, to("title.nature", "住宅")),
        ({"report.day": {"lt": "2026-02-10"}}, {}, to("report.day", "2026-02-10")),
        (
            {"report.day": {"lt": {"input": "case.day", "years": -1}}},
            {"report__day": date(2024, 5, 1)},
            to("report.day", "2025-02-13"),
        ),
        (
            {"report.day": {"lt": {"input": "case.day", "plus": -30}}},
            {"report__day": date(2025, 5, 1)},
            to("report.day", "2026-01-14"),
        ),
        # A department's fact comes before the applicant's plans.
        (
            {"q.area": {"gt": 300}, "company.runs": False},
            {"q__area": 301, "company__runs": False},
            to("company.runs", "true"),
        ),
    ],
)
def test_changes__open_inputs__nearest_value_on_the_other_side(
    when: Any, given_: dict[str, Any], expected: Change
) -> None:
    full, opened = both(when, **given_)

    assert full == expected
    if TRAITS[expected.input].open:
        assert opened == expected


def test_changes__two_alternatives_hit__one_change_that_undoes_both_or_none() -> None:
    when = [{"q.area": {"gt": 300}, "company.runs": False}, {"q.area": {"gt": 200}, "title.nature": "商业"}]

    full, _ = both(when, q__area=500, company__runs=False)
    assert full == to("q.area", "200")
    full, opened = both([{"company.runs": False}, {"title.nature": "商业"}], company__runs=False)
    assert full is opened is None


def test_changes__value_breaks_one_alternative_and_makes_another__not_suggested() -> None:
    full, _ = both([{"company.runs": False}, {"company.runs": True, "q.kind": "hall"}], company__runs=False)

    assert full is None


def test_open_changes__limit_is_a_sealed_value__says_nothing_of_it() -> None:
    when = {"works.level": {"ne": {"input": "form.level"}}, "q.kind": ["hall", "flat"]}

    full, opened = both(when, works__level=-2)

    assert full == to("works.level", "-1")
    assert opened == to("q.kind", "shop")


def test_open_changes__either_of_two_sealed_facts__does_not_say_which() -> None:
    full, opened = both([{"company.barred": True}, {"form.level": {"lt": -3}}], company__barred=True)

    assert full == to("company.barred", "false")
    assert opened is None


def test_open_changes__one_sealed_fact__says_what_the_published_row_says() -> None:
    _, opened = both({"form.level": {"lt": -3}}, form__level=-77)

    assert opened == to("form.level", "-3")


def test_open_changes__sealed_value_between_two_limits__both_sides() -> None:
    _, opened = both({"form.level": {"gt": -5, "lt": -1}}, form__level=-2)

    assert opened == to("form.level", "-5", "-1")


def test_smallest_changes__approved_for_want_of_a_reason__what_would_have_been_one() -> None:
    rules = table(
        {"id": "TST-01", "when": {"company.runs": False}, "outcome": "refuse"},
        {"id": "TST-02", "when": {"q.area": {"gt": 300}, "company.barred": True}, "outcome": "refuse"},
        {"id": "TST-03", "when": {"report.day": {"lt": {"input": "case.day", "plus": -30}}}, "outcome": "return"},
    )

    found = smallest_changes(rules, "culture", VALUES, TRAITS)

    assert found == {"TST-99": Change(row="TST-99", input="report.day", to=("2026-01-13",))}


def test_smallest_changes__one_input_unknown__that_it_becomes_known() -> None:
    rules = table({"id": "TST-01", "when": {"company.runs": False}, "outcome": "refuse"})

    found = smallest_changes(rules, "culture", VALUES | {"company.runs": None}, TRAITS)

    assert found == {"COM-08": Change(row="COM-08", input="company.runs", to=(), but=("unknown",))}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["gt", "gte", "lt", "lte"]),
    st.dates(date(2019, 1, 1), date(2029, 1, 1)),
    st.dates(date(2019, 1, 1), date(2029, 1, 1)),
    st.integers(-3, 3),
)
def test_smallest_changes__days_over_years__no_nearer_day_would_do(
    operator: str, mine: date, other: date, years: int
) -> None:
    rules = table(
        {"id": "TST-01", "when": {"report.day": {operator: {"input": "case.day", "years": years}}}, "outcome": "return"}
    )
    values = VALUES | {"report.day": mine, "case.day": other}
    found = smallest_changes(rules, "culture", values, TRAITS)
    assume("TST-01" in found)
    change = found["TST-01"]
    assert change is not None
    assert change.input == "report.day"

    (day,) = change.to
    apart = date.fromisoformat(day) - mine
    back = timedelta(days=-1 if apart.days > 0 else 1)
    nearer = rules.decide("culture", values | {"report.day": date.fromisoformat(day) + back})
    assert "TST-01" in {hit.id for hit in nearer.hits}
