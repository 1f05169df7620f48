"""From what an approver has verified to the inputs of its rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

import pytest

from orchestrator.domain.scenario import Scenario
from orchestrator.domain.situations import read_form, read_situation
from orchestrator.rules.engine import Rules
from orchestrator.rules.inputs import CaseFacts, rule_values
from orchestrator.scenarios import shipped

DAY = date(2026, 2, 13)
IDENTITY = {"identity_matches": True, "former_name_matches": False, "alive": True, "id_card_valid": True}
Claims = Mapping[str, Sequence[Mapping[str, Any] | None]]


@cache
def scenario(name: str) -> Scenario:
    return shipped(name)


DUE: Mapping[str, Mapping[str, Any]] = {"art-business-filing-form": {}, "premises-proof": {}}
"""What is due for a gallery whatever the departments answer."""


def gallery(claims: Claims, materials: Mapping[str, Mapping[str, Any]] | None = None, **answers: Any) -> dict[str, Any]:
    found = scenario("open-gallery")
    usual = {"handler_household": "beijing", "handled_by": "self", "premises_tenure": "owned"}
    situation = read_situation(found, {"decoration_area_m2": "300.00"} | usual | answers)
    form = read_form(
        found, situation, {"legal_representative": "陈画", "sells_relics": False, "imports_exports": False}
    )
    facts = CaseFacts(day=DAY, situation=situation, form=form, claims=claims, materials=materials or {})
    return rule_values(found, facts)


def benefit(account: Mapping[str, str], claims: Mapping[str, Any] | None) -> dict[str, Any]:
    found = scenario("unemployment-benefit-claim")
    form = read_form(found, {}, {"bank_account": account, "pay_to_social_security_card": False})
    answers: Claims = {"E01.claimant": [claims], "E25.claimant": [{"contribution_months": 26}]}
    return rule_values(found, CaseFacts(day=DAY, situation={}, form=form, claims=answers, materials={}))


ACCOUNT = {"holder": "买买提・艾力", "bank": "示范银行", "number": "9900000000000010019"}


def test_rule_values__any_case__exactly_the_inputs_of_the_scenario() -> None:
    assert list(gallery({})) == [each.name for each in scenario("open-gallery").inputs]


def test_rule_values__answered__the_answers() -> None:
    values = gallery({"E01.handler": [IDENTITY], "E05.company": [{"entity_in_operation": False, "uscc": "91110108"}]})

    assert values["handler.alive"] is True
    assert values["company.entity_in_operation"] is False
    assert values["company.uscc"] == "91110108"


def test_rule_values__asked_and_nothing_came__unknown() -> None:
    values = gallery({"E01.handler": [None], "E05.company": [{}]})

    assert values["handler.alive"] == "unknown"
    assert values["company.entity_in_operation"] == "unknown"
    assert values["company.not_on_abnormal_list"] == "unknown"


def test_rule_values__answer_to_what_the_situation_does_not_ask__not_asked() -> None:
    values = gallery({"E13.premises": [{"acceptance_recorded": False}], "E03.handler": [{"permit_in_force": False}]})

    assert values["premises.acceptance_recorded"] == "not_asked"
    assert values["handler.permit_in_force"] == "not_asked"
    assert gallery({}, decoration_area_m2="300.01")["premises.acceptance_recorded"] == "unknown"


def test_rule_values__materials__brought_or_not_with_what_was_declared() -> None:
    values = gallery({}, {"power-of-attorney": {"signed": True}}, handled_by="agent")

    assert values["material.power-of-attorney"] is True
    assert values["material.power-of-attorney.signed"] is True
    assert values["material.power-of-attorney.valid_until"] == "unknown"
    assert values["material.owners-consent"] is False
    assert gallery({})["material.power-of-attorney.signed"] == "not_asked"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([True, True], "true"),
        ([True, None], "unknown"),
        ([True, "unknown", False], "false"),
    ],
)
def test_rule_values__several_subjects_of_a_role__aggregated(answers: list[Any], expected: str) -> None:
    claims = {"E01.handler": [None if value is None else {"alive": value} for value in answers]}

    assert gallery(claims)["handler.alive"] == expected


def test_rule_values__several_subjects_with_different_values__unknown() -> None:
    same = {"E05.company": [{"uscc": "A"}, {"uscc": "A"}]}
    different = {"E05.company": [{"uscc": "A"}, {"uscc": "B"}]}

    assert gallery(same)["company.uscc"] == "A"
    assert gallery(different)["company.uscc"] == "unknown"


@pytest.mark.parametrize(
    ("changes", "name", "holder", "number"),
    [
        ({}, "买买提·艾力", True, True),
        ({}, "买买提 艾力", False, True),
        ({"number": "9900000000000010018"}, "买买提·艾力", True, False),
        ({}, None, "unknown", True),
        ({}, 7, "unknown", True),
    ],
)
def test_rule_values__bank_account__own_and_possible(changes: Any, name: Any, holder: Any, number: Any) -> None:
    values = benefit(ACCOUNT | changes, None if name is None else {"full_name": name})

    assert values["derived.account_holder_is_claimant"] == holder
    assert values["derived.account_number_valid"] == number


def test_rule_values__step__last_row_reached() -> None:
    values = benefit(ACCOUNT, {})

    assert values["derived.months_granted"] == 6


def test_decide__from_the_answers_of_the_ordinary_gallery__approved() -> None:
    found = scenario("open-gallery")
    claims = {
        item.id: [{claim.key: True for claim in item.claims if not claim.sealed_to}] for item in found.evidence
    } | {"E01.handler": [IDENTITY]}

    decision = Rules(found.definition()).decide("culture-tourism", gallery(claims, DUE))

    assert (decision.outcome, [hit.id for hit in decision.hits]) == ("approve", ["GAL-99"])


def test_decide__from_no_answer_at_all__every_replaced_material_wanted_at_once() -> None:
    decision = Rules(scenario("open-gallery").definition()).decide("culture-tourism", gallery({}, DUE))

    assert decision.outcome == "return"
    assert decision.materials_wanted == ("business-licence-copy", "handler-identity-and-household")
    assert {hit.id for hit in decision.hits} == {"COM-07", "COM-08", "GAL-11a"}


def test_decide__nothing_brought__every_due_material_wanted_at_once() -> None:
    found = scenario("open-gallery")
    claims = {
        item.id: [{claim.key: True for claim in item.claims if not claim.sealed_to}] for item in found.evidence
    } | {"E01.handler": [IDENTITY]}

    decision = Rules(found.definition()).decide("culture-tourism", gallery(claims, handled_by="agent"))

    assert decision.outcome == "return"
    assert decision.materials_wanted == (*DUE, "power-of-attorney")
    assert {hit.id for hit in decision.hits} == {f"COM-09-{name}" for name in decision.materials_wanted}
