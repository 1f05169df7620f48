from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.conditions import ALWAYS, holds, literals, names, parse_condition
from orchestrator.domain.errors import Invalid

NUMBERS = st.decimals(min_value=-(10**9), max_value=10**9, places=2)


@pytest.mark.parametrize(
    ("condition", "inputs", "expected"),
    [
        ({"a": "x"}, {"a": "x"}, True),
        ({"a": "x"}, {"a": "y"}, False),
        ({"a": ["x", "y"]}, {"a": "y"}, True),
        ({"a": True}, {"a": False}, False),
        ({"a": {"ne": "x"}}, {"a": "y"}, True),
        ({"a": {"gt": 300}}, {"a": Decimal("300.00")}, False),
        ({"a": {"gt": 300}}, {"a": Decimal("300.01")}, True),
        ({"a": {"lte": "300.00"}}, {"a": 300}, True),
        ({"a": {"gte": 1, "lt": 3}}, {"a": 3}, False),
        ({"a": 300}, {"a": Decimal("300.00")}, True),
        ({"d": {"gte": "2026-02-13"}}, {"d": date(2026, 2, 13)}, True),
        ({"a": "x", "b": True}, {"a": "x", "b": False}, False),
        ([{"a": "x"}, {"b": True}], {"a": "y", "b": True}, True),
        ({}, {}, True),
    ],
)
def test_holds__one_cell_of_each_kind__as_written(condition: Any, inputs: dict[str, Any], expected: bool) -> None:
    assert holds(parse_condition(condition), inputs) is expected


def test_holds__always__true_without_inputs() -> None:
    assert holds(ALWAYS, {})


def test_holds__input_missing__names_it() -> None:
    with pytest.raises(Invalid) as error:
        holds(parse_condition({"household": "beijing"}), {})
    assert (error.value.field, error.value.code) == ("household", "input-missing")


def test_holds__alternative_already_given_up__later_input_may_be_missing() -> None:
    assert not holds(parse_condition({"a": "x", "b": True}), {"a": "y"})


@pytest.mark.parametrize(
    ("cell", "value"),
    [(True, "true"), ("true", True), (1, True), (300, "300"), ({"gt": 1}, "2"), ({"gt": "x"}, 1), ({"gt": 1}, True)],
)
def test_holds__value_of_another_kind__refused_not_false(cell: Any, value: Any) -> None:
    with pytest.raises(Invalid) as error:
        holds(parse_condition({"a": cell}), {"a": value})
    assert error.value.code == "kind-mismatch"


@pytest.mark.parametrize(
    "bad", [[], "x", 1, None, {"a": []}, {"a": {}}, {"a": {"above": 1}}, {"a": [["x"]]}, [{"a": 1}, "x"]]
)
def test_parse_condition__not_of_the_language__refused(bad: Any) -> None:
    with pytest.raises(ValueError):
        parse_condition(bad)


@given(value=NUMBERS, limit=NUMBERS)
def test_holds__any_numbers__exactly_one_of_below_equal_above(value: Decimal, limit: Decimal) -> None:
    outcomes = [
        holds(parse_condition({"a": cell}), {"a": value})
        for cell in ({"lt": limit}, {"gte": limit, "lte": limit}, {"gt": limit})
    ]
    assert outcomes == [value < limit, value == limit, value > limit]
    assert holds(parse_condition({"a": {"ne": limit}}), {"a": value}) is (value != limit)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "y"])), min_size=1, max_size=4))
def test_parse_condition__normal_form__parses_to_itself(alternatives: list[dict[str, str]]) -> None:
    condition = parse_condition(alternatives)
    assert parse_condition(list(condition)) == condition
    assert names(condition) == {name for alternative in alternatives for name in alternative}


def test_literals__all_cells_of_a_name__every_point_where_truth_can_change() -> None:
    condition = parse_condition([{"a": {"gt": 300}}, {"a": ["1", "2"], "b": True}, {"a": 5}])
    assert list(literals(condition, "a")) == [300, "1", "2", 5]
