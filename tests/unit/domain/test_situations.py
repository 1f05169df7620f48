from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.canonical import canonical
from orchestrator.domain.conditions import holds
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.situations import (
    all_conditions,
    form_questions,
    plain_situation,
    read_form,
    read_situation,
    representative_situations,
)
from orchestrator.scenarios import scenario_files, shipped

ANSWERS = {
    "decoration_area_m2": "300.00",
    "handler_household": "beijing",
    "handled_by": "self",
    "premises_tenure": "owned",
}


@cache
def scenario(name: str) -> Scenario:
    return shipped(name)


def fault_of(answers: dict[str, Any], name: str = "open-gallery") -> str:
    with pytest.raises(Invalid) as error:
        read_situation(scenario(name), answers)
    assert error.value.remedy
    return error.value.field


def test_read_situation__good_answers__typed_exactly() -> None:
    situation = read_situation(scenario("open-gallery"), ANSWERS)
    assert situation["decoration_area_m2"] == Decimal("300.00")
    assert plain_situation(situation) == ANSWERS


@pytest.mark.parametrize("given_", [300, "300", "300.0", Decimal("3E2"), "+300.00"])
def test_read_situation__same_number_written_otherwise__same_situation(given_: Any) -> None:
    situation = read_situation(scenario("open-gallery"), {**ANSWERS, "decoration_area_m2": given_})
    assert canonical(plain_situation(situation)) == canonical(ANSWERS)


@pytest.mark.parametrize("bad", [None, 300.0, True, "300.001", "-1", "NaN", "Infinity", "1e30", "", "三百", [], {}])
def test_read_situation__area_wrong__names_it(bad: Any) -> None:
    assert fault_of({**ANSWERS, "decoration_area_m2": bad}) == "decoration_area_m2"


@pytest.mark.parametrize(
    ("name", "answers", "field"),
    [
        ("open-gallery", {**ANSWERS, "handled_by": "nobody"}, "handled_by"),
        ("open-gallery", {**ANSWERS, "sells_relics": True}, "sells_relics"),
        ("open-gallery", {**ANSWERS, "colour": "red"}, "colour"),
        ("open-gallery", {}, "decoration_area_m2"),
        ("zgc-high-tech-certification", {"holds_national_certificate": "true"}, "holds_national_certificate"),
        ("zgc-high-tech-certification", {"holds_national_certificate": True, "accounting_year": True}, "accounting_year"),
        ("zgc-high-tech-certification", {"holds_national_certificate": True, "accounting_year": 1999}, "accounting_year"),
    ],
)  # fmt: skip
def test_read_situation__wrong_answer__names_the_field(name: str, answers: dict[str, Any], field: str) -> None:
    assert fault_of(answers, name) == field


def test_read_form__question_not_asked_in_the_situation__refused() -> None:
    it = scenario("open-exhibition-hall")
    situation = read_situation(it, {"premises_space": "above-ground", "handled_by": "self"})
    form = {"floor_area_m2": "500", "person_in_charge": "宋展览", "uses_central_air": False, "fire_route": "commitment"}
    assert read_form(it, situation, form)["floor_area_m2"] == Decimal("500.00")
    with pytest.raises(Invalid) as error:
        read_form(it, situation, {**form, "underground_level": -1})
    assert error.value.field == "underground_level"


def test_form_questions__underground__level_asked() -> None:
    it = scenario("open-exhibition-hall")
    asked = {
        space: [
            question.id
            for question in form_questions(it, read_situation(it, {"premises_space": space, "handled_by": "self"}))
        ]
        for space in ("above-ground", "ordinary-basement")
    }
    assert "underground_level" in asked["ordinary-basement"]
    assert "underground_level" not in asked["above-ground"]


def test_read_form__list_of_records__each_field_typed() -> None:
    it = scenario("enterprise-establishment")
    situation = read_situation(
        it,
        {
            "has_corporate_shareholder": False,
            "domicile_tenure": "owned",
            "handled_by": "self",
            "main_activity": "other",
        },
    )
    record = {"name": "陈画", "amount": "50", "share": "100", "pay_by": "2030-01-01"}
    form = {
        "shareholders": [record],
        "registered_capital": "50",
        "business_scope": ["软件开发"],
        "needs_prior_approval": False,
    }
    typed = read_form(it, situation, form)
    assert typed["shareholders"] == [
        {"name": "陈画", "amount": Decimal("50.00"), "share": Decimal("100.00"), "pay_by": date(2030, 1, 1)}
    ]
    assert plain_situation(typed)["shareholders"][0]["pay_by"] == "2030-01-01"
    for bad, field in (
        ([], "shareholders"),
        ([{**record, "share": "101"}], "shareholders.0.share"),
        ([{**record, "share": None}], "shareholders.0.share"),
        ([{**record, "vote": 1}], "shareholders.0"),
        ([record, "x"], "shareholders.1"),
    ):
        with pytest.raises(Invalid) as error:
            read_form(it, situation, {**form, "shareholders": bad})
        assert error.value.field == field


@pytest.mark.parametrize("bad", [{}, {"holder": "a", "bank": "b"}, {"holder": "", "bank": "b", "number": "1"}, "6222"])
def test_read_form__bank_account_incomplete__refused(bad: Any) -> None:
    it = scenario("unemployment-benefit-claim")
    with pytest.raises(Invalid) as error:
        read_form(it, {}, {"bank_account": bad, "pay_to_social_security_card": False})
    assert error.value.field == "bank_account"
    assert "6222" not in str(error.value)


@given(
    st.dictionaries(
        st.sampled_from([*ANSWERS, "x"]), st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    )
)
def test_read_situation__anything__typed_or_refused_never_a_crash(answers: dict[str, Any]) -> None:
    try:
        situation = read_situation(scenario("open-gallery"), answers)
    except Invalid as error:
        field = error.field
        assert field
    else:
        assert read_situation(scenario("open-gallery"), plain_situation(situation)) == situation


@pytest.mark.parametrize("name", [path.stem for path in scenario_files()])
def test_representative_situations__shipped__every_condition_comes_out_both_ways(name: str) -> None:
    it = scenario(name)
    situations = representative_situations(it)
    assert 1 <= len(situations) <= 2000
    for path, condition in all_conditions(it):
        if condition == ({},) or path[0] == "questions":
            continue
        assert {holds(condition, situation) for situation in situations} == {True, False}, path


def test_representative_situations__area_limit__on_both_sides_and_at_it() -> None:
    areas = {situation["decoration_area_m2"] for situation in representative_situations(scenario("open-gallery"))}
    assert areas == {Decimal("299.99"), Decimal("300.00"), Decimal("300.01")}
