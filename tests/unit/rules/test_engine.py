"""The strict face of the rules engine: what a decision is made of, and every way in which the engine would fail open."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml
import zen

from orchestrator.domain.decision_table import Input, Row, compile_tables
from orchestrator.domain.errors import Invalid
from orchestrator.rules.engine import ENGINE, Hit, Rules, aggregate

ROWS = yaml.safe_load("""
- {id: TST-01, approver: culture, when: {company.in_operation: false}, outcome: refuse, confirm: true}
- {id: TST-02, approver: culture, when: {company.in_district: false}, outcome: return}
- id: TST-03
  approver: culture
  when: [{q.area: {gt: 300}, premises.accepted: [false, unknown]}, {q.area: {gt: 300}, premises.passed: false}]
  outcome: return
  material: fire-document
- {id: TST-04, approver: culture, when: {premises.no_seizure: false}, outcome: manual}
- {id: TST-05, approver: culture, when: {handler.adult: false}, outcome: refuse}
- {id: TST-06, approver: culture, when: {company.new: false}, outcome: approve}
- {id: TST-07, approver: culture, when: {material.report.date: {lt: {input: case.day, plus: -365}}}, outcome: return}
- {id: TST-08, approver: culture, when: {q.area: {lte: 300}, premises.no_permit_above: false}, outcome: manual}
- {id: TST-99, approver: culture, outcome: approve}
- {id: HEA-01, approver: health, when: {form.central_air: true}, outcome: manual}
- {id: HEA-99, approver: health, outcome: approve}
""")
INPUTS = [
    Input(name="company.in_operation", type="tri", evidence="E05.company", material="licence-copy"),
    Input(name="company.in_district", type="tri", evidence="E05.company", material="licence-copy"),
    Input(name="company.new", type="tri", evidence="E05.company", material="licence-copy"),
    Input(name="premises.accepted", type="tri", evidence="E13.premises", material="fire-document"),
    Input(name="premises.passed", type="tri", evidence="E13.premises", material="fire-document"),
    Input(name="premises.no_seizure", type="tri", evidence="E09.premises"),
    Input(name="premises.no_permit_above", type="tri", evidence="E14.premises"),
    Input(name="handler.adult", type="tri", evidence="E01.handler"),
    Input(name="q.area", type="number"),
    Input(name="case.day", type="date"),
    Input(name="material.report.date", type="date"),
    Input(name="form.central_air", type="boolean"),
    Input(name="material.licence-copy", type="boolean"),
    Input(name="material.fire-document", type="boolean"),
]
GOOD: dict[str, Any] = {
    "company.in_operation": True,
    "company.in_district": True,
    "company.new": True,
    "premises.accepted": "not_asked",
    "premises.passed": "not_asked",
    "premises.no_seizure": True,
    "premises.no_permit_above": True,
    "handler.adult": True,
    "q.area": "300.00",
    "case.day": "2026-02-13",
    "material.report.date": "2026-01-05",
    "material.licence-copy": False,
    "material.fire-document": False,
}


def definition() -> dict[str, Any]:
    return {
        "decisions": compile_tables([Row.model_validate(row) for row in ROWS], INPUTS),
        "inputs": [each.model_dump() for each in INPUTS],
    }


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules(definition())


def ids(rules: Rules, **changes: Any) -> tuple[str, list[str], tuple[str, ...]]:
    values = GOOD | {name.replace("__", "."): value for name, value in changes.items()}
    decision = rules.decide("culture", values)
    return decision.outcome, [hit.id for hit in decision.hits], decision.materials_wanted


def test_engine__version__pinned_to_what_was_measured() -> None:
    assert ENGINE == "zen-engine 2.1.3"


def test_decide__nothing_hits__default_row_approves(rules: Rules) -> None:
    assert ids(rules) == ("approve", ["TST-99"], ())


def test_decide__several_returns__all_in_one_notice_and_no_default(rules: Rules) -> None:
    got = ids(rules, company__in_district=False, q__area="300.01", premises__accepted=False, premises__passed=True)

    assert got == ("return", ["TST-02", "TST-03"], ("fire-document",))


def test_decide__two_alternatives_of_a_row_match__one_hit(rules: Rules) -> None:
    got = ids(rules, q__area="300.01", premises__accepted=False, premises__passed=False)

    assert got == ("return", ["TST-03"], ("fire-document",))


def test_decide__returned_material_is_brought__manual(rules: Rules) -> None:
    brought = {"material.fire-document": True, "q.area": 350, "premises.accepted": None, "premises.passed": True}

    decision = rules.decide("culture", GOOD | brought)

    assert decision.outcome == "manual"
    assert decision.hits == (Hit(id="TST-03", outcome="manual", confirm=False, material="fire-document"),)
    assert decision.materials_wanted == ()
    assert not decision.confirm_required


def test_decide__refusal_to_confirm__manual_until_an_officer_confirms(rules: Rules) -> None:
    decision = rules.decide("culture", GOOD | {"company.in_operation": False, "company.in_district": False})

    assert (decision.outcome, decision.proposed, decision.confirm_required) == ("manual", "refuse", True)
    assert decision.materials_wanted == ()
    assert [hit.id for hit in decision.hits] == ["TST-01", "TST-02"]


def test_decide__hard_legal_bar_beside_a_refusal_to_confirm__refused_at_once(rules: Rules) -> None:
    decision = rules.decide("culture", GOOD | {"company.in_operation": False, "handler.adult": False})

    assert (decision.outcome, decision.proposed, decision.confirm_required) == ("refuse", "refuse", False)


def test_decide__return_beside_manual__return(rules: Rules) -> None:
    assert ids(rules, company__in_district=False, premises__no_seizure=False)[0] == "return"


def test_decide__approving_note__both_rows_show(rules: Rules) -> None:
    assert ids(rules, company__new=False) == ("approve", ["TST-06", "TST-99"], ())


def test_decide__claim_that_replaces_a_material_unknown__material_wanted(rules: Rules) -> None:
    assert ids(rules, company__in_district=None) == ("return", ["COM-07"], ("licence-copy",))


def test_decide__every_claim_of_the_evidence_unknown__material_wanted_once(rules: Rules) -> None:
    got = ids(rules, company__in_operation="unknown", company__in_district="unknown", company__new="unknown")

    assert got == ("return", ["COM-07"], ("licence-copy",))


def test_decide__material_brought_for_unknown_evidence__officer_reads_it(rules: Rules) -> None:
    values = GOOD | {"company.in_district": "unknown", "material.licence-copy": True}

    assert rules.decide("culture", values).outcome == "manual"


def test_decide__other_claim_unknown__officer(rules: Rules) -> None:
    assert ids(rules, premises__no_seizure="unknown") == ("manual", ["COM-08"], ())


def test_decide__unknown_named_by_the_row_that_hit__consumed(rules: Rules) -> None:
    got = ids(rules, q__area="300.01", premises__accepted="unknown", premises__passed=True)

    assert got == ("return", ["TST-03"], ("fire-document",))


def test_decide__unknown_in_a_row_that_the_situation_closes__no_matter(rules: Rules) -> None:
    assert ids(rules, q__area="300.00", premises__no_permit_above="unknown") == ("manual", ["COM-08"], ())
    assert ids(rules, q__area="300.01", premises__no_permit_above="unknown") == ("approve", ["TST-99"], ())


def test_decide__unknown_that_replaces_a_material_and_is_read_elsewhere__material_wanted(rules: Rules) -> None:
    assert ids(rules, q__area="300.00", premises__accepted="unknown") == ("return", ["COM-07"], ("fire-document",))


def test_decide__situation_itself_unknown__officer(rules: Rules) -> None:
    assert ids(rules, q__area=None)[0] == "manual"


def test_decide__day_a_year_before__not_older(rules: Rules) -> None:
    assert ids(rules, material__report__date="2025-02-13")[0] == "approve"
    assert ids(rules, material__report__date="2025-02-12") == ("return", ["TST-07"], ())


def test_decide__other_approvers_inputs_absent__not_needed(rules: Rules) -> None:
    assert rules.decide("health", {"form.central_air": True}).outcome == "manual"
    assert [each.name for each in rules.inputs("health")] == ["form.central_air"]


def test_decide__same_values_written_differently__same_inputs(rules: Rules) -> None:
    one = rules.decide("culture", GOOD)

    assert rules.decide("culture", GOOD | {"q.area": 300, "company.new": "true"}).inputs == one.inputs
    assert rules.decide("culture", GOOD | {"form.central_air": True}).inputs == one.inputs
    assert rules.decide("culture", GOOD | {"q.area": "299.99"}).inputs != one.inputs


def test_decide_many__one_case_invalid__others_decided(rules: Rules) -> None:
    cases = [GOOD, GOOD | {"q.area": "wide"}, GOOD | {"company.in_district": False}]

    first, second, third = asyncio.run(rules.decide_many("culture", cases))

    assert first == rules.decide("culture", GOOD)
    assert isinstance(second, Invalid)
    assert second.field == "q.area"
    assert third == rules.decide("culture", cases[2])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("q.area", "three hundred"),
        ("q.area", True),
        ("q.area", "NaN"),
        ("q.area", float("nan")),
        ("q.area", "1e3"),
        ("q.area", "３００"),
        ("q.area", 2**53 + 1),
        ("q.area", "0.1234567890123456"),
        ("company.new", 1),
        ("company.new", "yes"),
        ("company.new", "False"),
        ("company.new", ""),
        ("case.day", "2026-02-30"),
        ("case.day", "20260213"),
        ("case.day", 739660),
        ("material.licence-copy", "on"),
        ("material.licence-copy", []),
    ],
)
def test_decide__mistyped_input__invalid_and_never_the_fallback(rules: Rules, name: str, value: Any) -> None:
    with pytest.raises(Invalid) as error:
        rules.decide("culture", GOOD | {name: value})

    assert error.value.field == name
    assert str(value) not in str(error.value) or value in (True, 1, "")


@pytest.mark.parametrize("name", sorted(GOOD))
def test_decide__missing_input__invalid_and_never_the_fallback(rules: Rules, name: str) -> None:
    with pytest.raises(Invalid) as error:
        rules.decide("culture", {key: value for key, value in GOOD.items() if key != name})

    assert error.value.field == name


def test_decide__input_that_the_scenario_does_not_have__invalid(rules: Rules) -> None:
    with pytest.raises(Invalid, match="no such input"):
        rules.decide("culture", GOOD | {"company.in_opertaion": False})


def test_decide__unknown_role__invalid(rules: Rules) -> None:
    with pytest.raises(Invalid, match="role"):
        rules.decide("police", GOOD)


def test_decide__no_row_answers__error_and_never_an_empty_result() -> None:
    rows = [Row(id="TST-01", approver="culture", when={"q.area": {"gt": 300}}, outcome="manual")]
    inputs = [Input(name="q.area", type="number")]
    rules = Rules({"decisions": compile_tables(rows, inputs), "inputs": [inputs[0].model_dump()]})

    with pytest.raises(Invalid, match="no row answers"):
        rules.decide("culture", {"q.area": 300})


def set_cell(document: dict[str, Any], rule: int, column: str, text: Any) -> None:
    document["decisions"]["culture"]["nodes"][1]["content"]["rules"][rule][column] = text


def content(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["decisions"]["culture"]["nodes"][1]["content"]
    return found


def cell(text: Any, column: str = "company__in_operation", rule: int = 0) -> Callable[[dict[str, Any]], None]:
    return lambda document: set_cell(document, rule, column, text)


def function_node(document: dict[str, Any]) -> None:
    document["decisions"]["culture"]["nodes"].append(
        {"id": "f", "type": "functionNode", "name": "f", "content": {"source": "export const handler = () => ({})"}}
    )


def expression_node(document: dict[str, Any]) -> None:
    node = {"id": "e", "type": "expressionNode", "name": "e", "content": {"expressions": []}}
    document["decisions"]["culture"]["nodes"][1] = node


def first_hit_policy(document: dict[str, Any]) -> None:
    content(document)["hitPolicy"] = "first"


def loop_mode(document: dict[str, Any]) -> None:
    content(document)["executionMode"] = "loop"


def column_reads_an_expression(document: dict[str, Any]) -> None:
    content(document)["inputs"][0]["field"] = "now()"


def column_of_unknown_input(document: dict[str, Any]) -> None:
    content(document)["inputs"][0]["name"] = "company.unheard_of"


def input_without_schema(document: dict[str, Any]) -> None:
    document["inputs"] = [each for each in document["inputs"] if each["name"] != "q.area"]


def referred_input_without_schema(document: dict[str, Any]) -> None:
    document["inputs"] = [each for each in document["inputs"] if each["name"] != "case.day"]


def input_without_type(document: dict[str, Any]) -> None:
    del document["inputs"][0]["type"]


def material_input_without_schema(document: dict[str, Any]) -> None:
    document["inputs"] = [each for each in document["inputs"] if each["name"] != "material.licence-copy"]


def rule_removed_from_the_middle_of_a_row(document: dict[str, Any]) -> None:
    del content(document)["rules"][2]


def output_missing(document: dict[str, Any]) -> None:
    del content(document)["rules"][0]["out_outcome"]


def edge_missing(document: dict[str, Any]) -> None:
    document["decisions"]["culture"]["edges"].pop()


def no_tables(document: dict[str, Any]) -> None:
    document["decisions"] = {}


TRAPS: list[Any] = [
    pytest.param(cell('"false" and'), id="cell that does not parse"),
    pytest.param(cell('"false", '), id="list that does not end"),
    pytest.param(cell("false"), id="boolean where the input is a word"),
    pytest.param(cell('"maybe"'), id="word that the input never is"),
    pytest.param(cell("company__new"), id="bare name"),
    pytest.param(cell("now() > 5"), id="now"),
    pytest.param(cell('$ == "false"'), id="expression"),
    pytest.param(cell('startsWith($, "f")'), id="function"),
    pytest.param(cell(None), id="null cell"),
    pytest.param(cell(5), id="cell that is no text"),
    pytest.param(cell("> 300", "q__area", 2), id="comparison without its guard"),
    pytest.param(cell('"300"', "q__area", 2), id="text where the input is a number"),
    pytest.param(cell("9007199254740993", "q__area", 2), id="number above 2^53"),
    pytest.param(cell("300.0", "q__area", 2), id="number in a second form"),
    pytest.param(cell("(() => 1)()", "out_outcome"), id="output that is no literal"),
    pytest.param(cell("company__new", "out_outcome"), id="output that reads an input"),
    pytest.param(cell('"aprove"', "out_outcome"), id="outcome that there is not"),
    pytest.param(cell('"true"', "out_confirm"), id="confirm as text"),
    pytest.param(cell('"TST-02"', "out_row"), id="row id of another row"),
    pytest.param(function_node, id="function node"),
    pytest.param(expression_node, id="expression node"),
    pytest.param(first_hit_policy, id="hit policy first"),
    pytest.param(loop_mode, id="setting outside the plain form"),
    pytest.param(column_reads_an_expression, id="column that computes"),
    pytest.param(column_of_unknown_input, id="column of an unknown input"),
    pytest.param(input_without_schema, id="input without schema"),
    pytest.param(referred_input_without_schema, id="input referred to without schema"),
    pytest.param(input_without_type, id="input without type"),
    pytest.param(material_input_without_schema, id="replaced material without its input"),
    pytest.param(rule_removed_from_the_middle_of_a_row, id="alternatives not numbered"),
    pytest.param(output_missing, id="output missing"),
    pytest.param(edge_missing, id="edge missing"),
    pytest.param(no_tables, id="no tables"),
]


@pytest.mark.parametrize("spoil", TRAPS)
def test_rules__table_on_which_the_engine_fails_open__refused_at_load(spoil: Callable[[dict[str, Any]], None]) -> None:
    document = copy.deepcopy(definition())
    Rules(document)
    spoil(document)

    with pytest.raises(Invalid):
        Rules(document)


def test_zen__unparsable_cell_and_missing_input__skips_and_falls_back() -> None:
    """What the strict face is for: should ZEN ever learn to refuse these by itself, this test says so."""
    document = definition()["decisions"]["culture"]
    document["nodes"][1]["content"]["rules"][0]["company__in_operation"] = '"false" and'
    decision = zen.ZenEngine().create_decision(document)

    decision.validate()
    rows = [each["row"] for each in decision.evaluate({"company__in_operation": "false"})["result"]]

    assert rows == ["TST-99"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, "true"], "true"),
        ([True, None], "unknown"),
        (["unknown", False, True], "false"),
        (["not_asked", True], "true"),
        (["not_asked"], "not_asked"),
        ([], "not_asked"),
    ],
)
def test_aggregate__several_subjects__false_before_unknown_before_true(values: list[Any], expected: str) -> None:
    assert aggregate(values) == expected


def test_aggregate__value_that_is_no_predicate__refused() -> None:
    with pytest.raises(ValueError):
        aggregate([True, "yes"])
