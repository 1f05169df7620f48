"""Form fields as answers."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.scenario import Scenario
from orchestrator.domain.situations import plain_situation, read_situation, representative_situations
from orchestrator.portal.answers import check_answers, query_of, read_answers
from orchestrator.scenarios import load_catalogue, scenario_files, shipped

CATALOGUE = load_catalogue()
SCENARIOS = [shipped(path.stem, CATALOGUE) for path in scenario_files()]
GALLERY = shipped("open-gallery", CATALOGUE)


def with_questions(*questions: dict[str, Any]) -> Scenario:
    """The gallery with other questions."""
    made = [type(GALLERY.questions[0]).model_validate(each) for each in questions]
    return GALLERY.model_copy(update={"questions": tuple(made)})


def text(word: str) -> dict[str, str]:
    return {"zh": word, "en": word}


NESTED = with_questions(
    {"id": "leased", "type": "boolean", "label": text("?")},
    {"id": "area", "type": "decimal", "min": 0, "label": text("?"), "when": {"leased": True}},
    {"id": "large", "type": "boolean", "label": text("?"), "when": [{"leased": True, "area": {"gt": 300}}]},
    {"id": "phrases", "type": "list", "label": text("?"), "required": False},
    {
        "id": "owners",
        "type": "list",
        "label": text("?"),
        "required": False,
        "fields": [
            {"id": "name", "type": "text", "label": text("?")},
            {"id": "born", "type": "integer", "label": text("?")},
        ],
    },
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_read_answers__every_situation_through_a_link__same_answers(scenario: Scenario) -> None:
    for situation in representative_situations(scenario):
        plain = plain_situation(situation)

        answered = read_answers(scenario, parse_qsl(query_of(plain), keep_blank_values=True))

        assert answered.complete
        assert answered.values == plain
        assert read_situation(scenario, answered.values) == situation


def test_read_answers__dependent_question__asked_once_its_condition_holds() -> None:
    def asked(**fields: str) -> list[str]:
        return [each.id for each in read_answers(NESTED, [(f"q.{k}", v) for k, v in fields.items()]).asked]

    assert asked() == ["leased", "phrases", "owners"]
    assert asked(leased="false") == ["leased", "phrases", "owners"]
    assert asked(leased="true") == ["leased", "area", "phrases", "owners"]
    assert asked(leased="true", area="300.01") == ["leased", "area", "large", "phrases", "owners"]
    assert asked(leased="true", area="300.00") == ["leased", "area", "phrases", "owners"]


def test_read_answers__answer_to_what_is_no_longer_asked__left_out() -> None:
    answered = read_answers(NESTED, [("q.leased", "false"), ("q.area", "12.00"), ("q.large", "true")])

    assert answered.values == {"leased": False}
    assert answered.complete


def test_read_answers__lists__records_in_order_and_lines() -> None:
    fields = [
        ("q.leased", "false"),
        ("q.phrases", " one \n\n two\r\n"),
        ("q.owners.10.name", "二"),
        ("q.owners.2.name", "一"),
        ("q.owners.2.born", "1980"),
        ("q.owners.3.name", "  "),
        ("q.owners.2.unknown", "x"),
    ]

    values = read_answers(NESTED, fields).values

    assert values["phrases"] == ["one", "two"]
    assert values["owners"] == [{"name": "一", "born": 1980}, {"name": "二"}]
    assert read_answers(NESTED, parse_qsl(query_of(values))).values == values


@pytest.mark.parametrize(("field", "value"), [("area", "many"), ("area", "-1"), ("area", "1.005"), ("leased", "maybe")])
def test_read_answers__wrong_value__error_by_question(field: str, value: str) -> None:
    answered = read_answers(NESTED, {"q.leased": "true", "q.area": "1", f"q.{field}": value}.items())

    assert set(answered.errors) == {field}
    assert not answered.complete


def test_read_answers__missing__named_and_optional_ones_not() -> None:
    assert read_answers(NESTED, [("q.leased", "true"), ("q.area", " ")]).missing == ["area"]


def test_check_answers__stored_situation__question_that_went_missing_left_out() -> None:
    answered = check_answers(NESTED, {"leased": True, "area": "5.00", "gone": "x"})

    assert answered.values == {"leased": True, "area": "5.00"}


NAMES = st.sampled_from(
    ["leased", "area", "owners", "phrases", "owners.0", "owners.0.name", "owners.x.name", "area.b", "", "."]
)


@given(st.lists(st.tuples(NAMES, st.text(max_size=8)), max_size=8))
def test_read_answers__any_fields__never_fails(fields: list[tuple[str, str]]) -> None:
    answered = read_answers(NESTED, [(f"q.{name}", value) for name, value in fields])

    assert {each.id for each in answered.asked} >= answered.values.keys()
