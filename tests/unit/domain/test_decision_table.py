"""Rows, cells and their one written form."""

from __future__ import annotations

import copy
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.canonical import canonical
from orchestrator.domain.cells import Compare, Input, Reference, cell_of, exact, matches, number, plain, scalar
from orchestrator.domain.decision_table import Row, check_rows, compile_tables, read_table
from orchestrator.domain.errors import Invalid
from orchestrator.domain.jdm import read_cell, write_cell

INPUTS = {
    each.name: each
    for each in (
        Input(name="company.in_operation", type="tri", evidence="E05.company", material="licence-copy"),
        Input(name="material.licence-copy", type="boolean"),
        Input(name="patent.matched_by", type="string", evidence="E20.company"),
        Input(name="q.area", type="number"),
        Input(name="param.limit", type="number"),
        Input(name="case.day", type="date"),
        Input(name="material.report.date", type="date"),
    )
}
TEXTS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='"\\'), max_size=8)
EXACT = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**11), max_value=10**11)
DAYS = st.dates().map(date.isoformat)
LITERALS = {
    "q.area": EXACT,
    "patent.matched_by": TEXTS,
    "case.day": DAYS,
    "company.in_operation": st.sampled_from(["true", "false"]),
}
OTHERS = {"q.area": "param.limit", "case.day": "material.report.date"}


@st.composite
def cells(draw: st.DrawFn) -> tuple[str, Any]:
    name = draw(st.sampled_from(sorted(LITERALS)))
    literal = LITERALS[name]
    listed = st.one_of(literal, st.sampled_from(["unknown", "not_asked"]))
    kinds: list[st.SearchStrategy[Any]] = [listed, st.lists(listed, min_size=2, max_size=4)]
    if name in OTHERS:
        other = st.just(OTHERS[name])
        refer = st.fixed_dictionaries({"input": other, "plus": st.integers(-999, 999)})
        if name == "case.day":
            refer = st.one_of(refer, st.fixed_dictionaries({"input": other, "years": st.integers(-99, 99)}))
        operators = st.sampled_from(["gt", "gte", "lt", "lte", "ne"])
        kinds.append(st.dictionaries(operators, st.one_of(literal, refer), min_size=1, max_size=3))
    elif name == "patent.matched_by":
        kinds.append(st.fixed_dictionaries({"ne": literal.filter(lambda text: text not in ("unknown", "not_asked"))}))
    return name, cell_of(draw(st.one_of(kinds)))


@given(cells())
def test_read_cell__anything_that_write_cell_wrote__the_same_cell(named: tuple[str, Any]) -> None:
    name, cell = named

    assert read_cell(write_cell(cell, INPUTS[name]), INPUTS[name], INPUTS) == cell


@given(st.text(max_size=30), st.sampled_from(sorted(INPUTS)))
def test_read_cell__any_text__read_exactly_or_refused(text: str, name: str) -> None:
    try:
        cell = read_cell(text, INPUTS[name], INPUTS)
    except (ValueError, OverflowError):
        return
    again = write_cell(cell, INPUTS[name])
    assert read_cell(again, INPUTS[name], INPUTS) == cell


@pytest.mark.parametrize(
    ("name", "cell", "text"),
    [
        ("company.in_operation", False, '"false"'),
        ("company.in_operation", [False, "unknown"], '"false", "unknown"'),
        ("q.area", 300, "300"),
        ("q.area", 300.01, "300.01"),
        ("q.area", Decimal("300.00"), "300"),
        ("q.area", {"gt": 300}, '$ != "unknown" and $ != "not_asked" and $ > 300'),
        ("q.area", {"gt": -3, "lte": 0}, '$ != "unknown" and $ != "not_asked" and $ > -3 and $ <= 0'),
        ("case.day", date(2026, 2, 13), "739660"),
        (
            "material.report.date",
            {"lt": {"input": "case.day", "plus": -365}},
            '$ != "unknown" and $ != "not_asked" and '
            'case__day != "unknown" and case__day != "not_asked" and $ < case__day + -365',
        ),
        (
            "material.report.date",
            {"lt": {"input": "case.day", "years": -1}},
            '$ != "unknown" and $ != "not_asked" and case__day != "unknown" and case__day != "not_asked" and '
            "_calendar__material__report__date < _calendar__case__day + -372",
        ),
    ],
)
def test_write_cell__each_kind__its_one_text(name: str, cell: Any, text: str) -> None:
    assert write_cell(cell_of(cell), INPUTS[name]) == text


@pytest.mark.parametrize(
    "value",
    [
        None,
        object(),
        [],
        {},
        {"above": 3},
        [[1]],
        {"gt": None},
        {"lt": {"inputs": "q.x"}},
        {"lt": {"input": "q.x", "plus": 1, "years": 1}},
    ],
)
def test_cell_of__anything_else__refused(value: Any) -> None:
    with pytest.raises(ValueError):
        cell_of(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("300.00", Decimal(300)),
        (300, Decimal(300)),
        (300.01, Decimal("300.01")),
        (2**53, Decimal(2**53)),
        ("-0", Decimal(0)),
    ],
)
def test_number__exact_value__as_it_is(value: Any, expected: Decimal) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    "value", [2**53 + 1, -(2**53) - 1, "0.1234567890123456", "1e3", " 1", "1_0", "", True, None, "٣"]
)
def test_number__what_cannot_be_compared_exactly__refused(value: Any) -> None:
    with pytest.raises(ValueError):
        number(value)


def test_exact__infinity__no() -> None:
    assert not exact(Decimal("Infinity"))


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, "number", "unknown"),
        ("not_asked", "date", "not_asked"),
        (True, "tri", "true"),
        ("2026-02-13", "date", Decimal(739660)),
        (date(2026, 2, 13), "date", Decimal(739660)),
        ("画廊", "string", "画廊"),
    ],
)
def test_scalar__value_of_its_type__comparable(value: Any, kind: Any, expected: Any) -> None:
    assert scalar(value, kind) == expected


@pytest.mark.parametrize("state", ["unknown", "not_asked"])
@pytest.mark.parametrize("operator", ["gt", "gte", "lt", "lte", "ne"])
def test_matches__comparison_with_no_value__never(operator: str, state: str) -> None:
    literal = Compare.model_validate({operator: 5})
    reference = Compare.model_validate({operator: {"input": "param.limit"}})

    assert not matches(literal, "q.area", {"q.area": state})
    assert not matches(reference, "q.area", {"q.area": Decimal(5), "param.limit": state})


def test_row__yaml_booleans_and_days__normalised() -> None:
    row = Row.model_validate(
        yaml.safe_load(
            "{id: T-1, approver: a, when: {x.a: false, x.b: [true, unknown], x.c: 2026-02-13}, outcome: manual}"
        )
    )

    assert row.when == ({"x.a": "false", "x.b": ("true", "unknown"), "x.c": "2026-02-13"},)


def test_row__default_rows__by_id_or_by_empty_when() -> None:
    def otherwise(**fields: Any) -> bool:
        return Row.model_validate({"approver": "a", "outcome": "approve"} | fields).otherwise

    assert otherwise(id="T-99", when={"x.a": True})
    assert otherwise(id="T-1")
    assert otherwise(id="T-1", when={})
    assert otherwise(id="T-1", when={"x.a": True}, otherwise=True)
    assert not otherwise(id="T-1", when={"x.a": True})
    assert not otherwise(id="T-1", otherwise=False)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "gal 1"},
        {"outcome": "maybe"},
        {"outcome": "refuse", "material": "licence-copy"},
        {"material": 'a"b'},
        {"when": {"x.a": []}},
        {"reason": "why"},
    ],
)
def test_row__malformed__refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Row.model_validate({"id": "T-1", "approver": "a", "when": {"x.a": True}, "outcome": "return"} | fields)


def test_row__reads__columns_references_and_its_material() -> None:
    when = {"material.report.date": {"lt": {"input": "case.day"}}}
    row = Row.model_validate({"id": "T-1", "approver": "a", "when": when, "outcome": "return", "material": "report"})

    assert row.reads() == {"material.report.date", "case.day", "material.report"}


GOOD = {"id": "T-1", "approver": "a", "when": {"q.area": {"gt": 300}}, "outcome": "manual"}


@pytest.mark.parametrize(
    ("changes", "name", "text"),
    [
        ({"when": {"q.aera": 3}}, "q.aera", "no such input"),
        ({"when": {"q.area": "wide"}}, "q.area", "is not a number"),
        ({"when": {"q.area": {"gt": "unknown"}}}, "q.area", "never true"),
        ({"when": {"q.area": {"gt": 2**53 + 1}}}, "q.area", "exactly"),
        ({"when": {"q.area": {"gt": {"input": "param.limits"}}}}, "param.limits", "no such input"),
        ({"when": {"q.area": {"gt": {"input": "case.day"}}}}, "q.area", "another type"),
        ({"when": {"q.area": {"gt": {"input": "param.limit", "years": 1}}}}, "q.area", "another type"),
        ({"when": {"company.in_operation": "no"}}, "company.in_operation", "not a state of a predicate"),
        ({"when": {"company.in_operation": {"gt": "false"}}}, "company.in_operation", "numbers and days"),
        ({"when": {"patent.matched_by": 'a"b'}}, "patent.matched_by", "quote"),
        ({"when": {"case.day": "2026-02-30"}}, "case.day", "is not a day"),
        ({"outcome": "return", "material": "photo"}, "material.photo", "no such input"),
    ],
)
def test_check_rows__one_fault__named_with_its_input(changes: dict[str, Any], name: str, text: str) -> None:
    rows = [Row.model_validate(GOOD | changes), Row(id="T-99", approver="a", outcome="approve")]

    faults = check_rows(rows, list(INPUTS.values()))

    assert name in {fault.input for fault in faults}
    assert any(text in fault.en for fault in faults)
    assert all(fault.row == "T-1" and fault.zh for fault in faults)
    with pytest.raises(Invalid) as error:
        compile_tables(rows, list(INPUTS.values()))
    assert error.value.field.startswith("T-1.")


def test_check_rows__several_faults__all_at_once() -> None:
    rows = [Row.model_validate(GOOD | {"when": {"q.area": "wide", "q.b": 1}}), Row.model_validate(GOOD)]

    faults = check_rows(rows, [*INPUTS.values(), Input(name="q.area", type="number")])

    assert [fault.en for fault in faults] == [
        "two inputs share this name",
        "no such input",
        "'wide' is not a number",
        "two rows of an approver share this id",
    ]


def test_check_rows__approver_who_can_only_refuse__fault() -> None:
    rows = [Row.model_validate(GOOD | {"outcome": "refuse"})]

    assert [fault.input for fault in check_rows(rows, list(INPUTS.values()))] == ["a"]


@pytest.mark.parametrize(
    "inputs",
    [
        [Input(name="x.a-b", type="tri"), Input(name="x.a_b", type="tri")],
        [Input(name="x.a", type="tri", material="photo"), Input(name="material.photo", type="boolean")],
        [Input(name="x.a", type="tri", evidence="E01.x", material="photo")],
    ],
)
def test_check_rows__inputs_that_would_be_confused__fault(inputs: list[Input]) -> None:
    assert check_rows([], inputs)


def test_compile_tables__rows_of_two_approvers__a_table_each_that_reads_back() -> None:
    rows = [
        Row.model_validate(GOOD | {"when": [{"q.area": {"gt": 300}}, {"company.in_operation": [False, "unknown"]}]}),
        Row.model_validate(GOOD | {"approver": "b", "when": {"patent.matched_by": ["name", "former-name"]}}),
        Row(id="T-99", approver="a", outcome="approve"),
    ]

    tables = compile_tables(rows, list(INPUTS.values()))

    assert list(tables) == ["a", "b"]
    assert read_table("a", tables["a"], INPUTS) == [rows[0], rows[2]]
    assert read_table("b", tables["b"], INPUTS) == [rows[1]]


def test_compile_tables__same_rows_written_differently__same_bytes() -> None:
    first = Row.model_validate(GOOD | {"when": {"q.area": 300.0, "company.in_operation": "false"}})
    second = Row.model_validate(GOOD | {"when": [{"company.in_operation": False, "q.area": [300]}]})

    one, other = (compile_tables([row], list(INPUTS.values())) for row in (first, second))

    assert canonical(one) == canonical(other)


def test_read_table__two_nodes_swapped__refused() -> None:
    document = copy.deepcopy(compile_tables([Row.model_validate(GOOD)], list(INPUTS.values()))["a"])
    document["nodes"].reverse()

    with pytest.raises(Invalid):
        read_table("a", document, INPUTS)


@pytest.mark.parametrize(
    "document", [None, [], {}, {"nodes": []}, {"nodes": [1, 2, 3]}, {"nodes": [{}, {"content": 3}]}]
)
def test_read_table__anything_else__refused(document: Any) -> None:
    with pytest.raises(Invalid):
        read_table("a", document, INPUTS)


def test_reference__plus__moves_the_other_value() -> None:
    cell = Compare(lt=Reference(input="case.day", plus=-365))
    day = scalar("2026-02-13", "date")

    values = {"material.report.date": scalar("2025-02-12", "date"), "case.day": day}
    assert matches(cell, "material.report.date", values)
    assert not matches(cell, "material.report.date", values | {"material.report.date": scalar("2025-02-13", "date")})


@pytest.mark.parametrize(
    ("day", "years", "latest"),
    [
        ("2026-02-13", 5, "2031-02-13"),
        ("2027-03-01", 5, "2032-03-01"),
        ("2028-02-29", 5, "2033-02-28"),
        ("2028-02-29", 4, "2032-02-29"),
        ("2028-03-01", -1, "2027-03-01"),
        ("2027-12-31", 1, "2028-12-31"),
    ],
)
def test_reference__years__the_same_day_of_another_year_is_not_later(day: str, years: int, latest: str) -> None:
    cell = Compare(gt=Reference(input="case.day", years=years))
    last = scalar(latest, "date")
    assert isinstance(last, Decimal)

    values = {"material.report.date": last, "case.day": scalar(day, "date")}
    assert not matches(cell, "material.report.date", values)
    assert matches(cell, "material.report.date", values | {"material.report.date": last + 1})


def test_plain__moment__refused() -> None:
    with pytest.raises(ValueError, match="moment"):
        plain(datetime(2026, 2, 13))
