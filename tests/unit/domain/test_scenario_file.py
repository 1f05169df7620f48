"""Every kind of fault in a scenario file is found, named in both languages and put on its line."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario_file import Fault, ScenarioFaults, load_scenario
from orchestrator.scenarios import FOLDER, load_catalogue

GALLERY = (FOLDER / "open-gallery.yaml").read_text("utf-8")


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


def changed(old: str, new: str, text: str = GALLERY) -> str:
    assert text.count(old) >= 1, old
    return text.replace(old, new, 1)


def faults(text: str) -> tuple[Fault, ...]:
    with pytest.raises(ScenarioFaults) as error:
        load_scenario(text, catalogue=catalogue())
    return error.value.faults


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_load_scenario__gallery__common_rows_and_materials_included() -> None:
    scenario = load_scenario(GALLERY, catalogue=catalogue())
    rows = [rule.id for rule in scenario.rules]
    common = [f"COM-0{n}-handler" for n in (1, 2, 3, 4)] + ["COM-05", "COM-06-culture-tourism"]
    assert rows[:6] == common
    assert scenario.material("identity-change-proof").given_by_request
    assert {field.id for field in scenario.material("power-of-attorney").fields} >= {"states_matter", "valid_until"}


@pytest.mark.parametrize(
    ("old", "new", "at", "en"),
    [
        ("    recheck: true\n", "    rechek: true\n", "    rechek", "no such field"),
        ("claims: [not_on_culture_list]", "claims: [not_on_cultur_list]", "not_on_cultur_list", "no claim"),
        ("id: E30.company", "id: E99.company", "E99.company", "no evidence"),
        ("id: E30.company", "id: E30.firm", "E30.firm", "no subject role firm"),
        ("id: E30.company", "id: E30.premises", "E30.premises", "not about a title"),
        ("with: {person: handler}", "with: {person: nobody}", "with: {person: nobody}", "no subject role nobody"),
        ("with: {person: handler}", "with: {person: premises}", "with: {person: premises}", "cannot be a title"),
        ("    with: {person: handler}\n", "", "claims: [legal_representative_is]", "needs with: person"),
        ("replaced_by: [E03.handler]", "replaced_by: [E08.handler]", "replaced_by: [E08", "no evidence item"),
        ("material: sublet-consent", "material: sublet-paper", "material: sublet-paper", "no such input"),
        ("when: {handled_by: agent}", "when: {handled_bi: agent}", "handled_bi", "no question handled_bi"),
        ("when: {handled_by: agent}", "when: {handled_by: agency}", "handled_by: agency", "no answer to this question"),
        ("{gt: &area_limit 300}", "{gt: &area_limit big}", "gt: &area_limit big", "no answer to this question"),
        ("when: {company.entity_in: false}", "when: {company.entity_at: false}", "company.entity_at", "no such input"),
        ("when: {company.entity_in: false}", "when: {company.entity_in: maybe}", "company.entity_in: maybe", "'maybe'"),
        ("when: {company.entity_in: false}", "when: {company.entity_in: {gt: 3}}", "company.entity_in: {gt", "compare"),
        ("id: GAL-02\n", "id: GAL-01\n", "id: GAL-01\n      when: {company.entity_in:", "GAL-01 is given twice"),
        ("outcome: refuse", "outcome: reject", "outcome: reject", "possible values"),
        ("max_age: 24h", "max_age: daily", "max_age: daily", ""),
        ("{claim: entity_in, params: {prefix: \"110108\"}}", "entity_in", "- entity_in\n", "prefix is missing"),
        ("params: {n: 15}", "params: {n: {parameter: days}}", "n: {parameter: days}", "no parameter days"),
        ("sealed_to: [culture-tourism]}", "sealed_to: [culture]}", "sealed_to: [culture]}", "no approver culture"),
        ("- {claim: uscc, sealed_to: [culture-tourism]}", "- {claim: uscc, as: uscc}", "as: uscc", "Nothing uses"),
        ("- {claim: domicile, sealed_to: [culture-tourism]}", "- domicile", "- domicile", "predicate or a code"),
        ("source: company.uscc", "source: company.uscd", "source: company.uscd", "no input company.uscd"),
        ("holder: company", "holder: firm", "holder: firm", "no subject role"),
        ("power_of_attorney: power-of-attorney", "power_of_attorney: paper", "power_of_attorney: paper", "no material"),
        ("providers: [market-supervision, ", "providers: [tax, market-supervision, ", "tax, market", "Nothing is asked"),
        ("approvers: [culture-tourism]", "approvers: [culture-tourism]\ncountersign: [tax]", "tax]", "no approver tax"),
        ("approvers: [culture-tourism]", "approvers: [culture-tourism]\ncountersign: [culture-tourism, culture-tourism]", "culture-tourism, cul", "given twice"),
        ("max_age: 7d", "max_age: 7d\n    on_recall: revoke", "on_recall: revoke", "possible values"),
        ("max_age: 7d", "max_age: 7d\n    purpose: push\n    on_recall: 'suspend'", "on_recall: 'suspend'", "suspends none"),
        ("en: Open a gallery}", "fr: Ouvrir}", "name: {zh", "en: This field is missing"),
        ("id: sells_relics", "id: imports_exports", "id: imports_exports, type: boolean, sees: approver, label: {zh: 是否从事", "given twice"),
        ("    max_age: 7d\n", "    max_age: 7d\n    max_age: 8d\n", "max_age: 8d", "given twice"),
        ("    - {value: 4, unit: working_day}\n", "", "  after:", "no term"),
        ("when: {premises_tenure: leased}\n    label", "label", "id: landlord", ""),
        ("principal: true", "consents: true", "subjects:", "Exactly one role"),
        ("id_type: citizen, principal: true", "id_type: uscc, principal: true", "id: handler, kind", "one person"),
        ("type: boolean, sees: approver, label: {zh: 是否经营文物", "type: enum, sees: approver, label: {zh: 是否经营文物", "id: sells_relics", "needs options"),
    ],
)  # fmt: skip
def test_load_scenario__one_fault__named_on_its_line(old: str, new: str, at: str, en: str) -> None:
    text = changed(old, new)
    if at == "id: landlord":
        # A subject that is always there is no fault by itself.
        load_scenario(text, catalogue=catalogue())
        return
    found = faults(text)
    on_line = [fault for fault in found if fault.line == line_of(text, at)]
    assert on_line, [(fault.line, fault.field, fault.en) for fault in found]
    assert any(en in fault.en for fault in on_line), [fault.en for fault in on_line]
    assert all(fault.zh and fault.field for fault in found)


def test_load_scenario__several_faults_of_all_kinds__all_at_once() -> None:
    text = changed("    recheck: true\n", "    rechek: true\n")
    text = changed("material: sublet-consent", "material: sublet-paper", text)
    text = changed("when: {handled_by: agent}", "when: {handled_bi: agent}", text)
    text = changed("en: Open a gallery}", "fr: Ouvrir}", text)
    found = faults(text)
    for part in ("rechek", "sublet-paper", "handled_bi", "fr: Ouvrir"):
        assert line_of(text, part) in {fault.line for fault in found}, part
    assert list(found) == sorted(found, key=lambda fault: (fault.line, fault.column))


def test_load_scenario__row_that_no_situation_reaches__fault() -> None:
    # The permit is asked of others than Beijing's people only, so a row for a Beijing handler never sees it.
    text = changed("q.handler_household: [other-province, hk-macao-taiwan, foreign]", "q.handler_household: beijing")
    found = faults(text)
    assert any("GAL-15a" in fault.en and "no situation" in fault.en for fault in found)
    assert {fault.line for fault in found} >= {line_of(text, "- id: GAL-15a") + 1}


def test_load_scenario__material_replaced_by_evidence_not_always_asked__fault() -> None:
    text = changed("name: {zh: 北京市居住证, en: Beijing residence permit}\n    when: {handler_household: {ne: beijing}}",
                   "name: {zh: 北京市居住证, en: Beijing residence permit}")  # fmt: skip
    assert any("none of the evidence that replaces it" in fault.en for fault in faults(text))


def test_load_scenario__approver_without_approving_row__fault() -> None:
    text = GALLERY.replace("outcome: approve", "outcome: manual")
    assert any(fault.field == "rules.culture-tourism" for fault in faults(text))


def test_load_scenario__claim_sealed_to_another_approver__its_rows_may_not_read_it() -> None:
    hall = (FOLDER / "open-exhibition-hall.yaml").read_text("utf-8")
    text = changed(
        "when: {laboratory.laboratory_accredited: [false, unknown]}", "when: {premises.works_level: -1}", hall
    )
    assert any("not sealed to health" in fault.en for fault in faults(text))


def test_load_scenario__identity_without_base_claims__fault() -> None:
    text = changed("      - id_card_valid\n", "")
    assert any("id_card_valid" in fault.en for fault in faults(text))


def test_load_scenario__condition_on_a_later_question__fault() -> None:
    text = changed(
        "  - id: handler_household\n    type: enum\n",
        "  - id: handler_household\n    when: {handled_by: self}\n    type: enum\n",
    )
    assert any("earlier ones only" in fault.en for fault in faults(text))


def test_load_scenario__condition_on_a_sealed_question__fault() -> None:
    text = changed("when: {handled_by: agent}", "when: {sells_relics: true}")
    assert any("sealed to the approvers" in fault.en for fault in faults(text))


def test_load_scenario__conditional_question_used_where_it_is_not_asked__fault_not_false() -> None:
    text = changed(
        "  - id: handled_by\n    type: enum\n",
        "  - id: handled_by\n    when: {handler_household: beijing}\n    type: enum\n",
    )
    found = faults(text)
    assert any("needs handled_by" in fault.en for fault in found), [fault.en for fault in found]


@pytest.mark.parametrize(
    ("old", "new", "field", "en"),
    [
        ("type: bank_account, sees: approver,", "type: bank_account,", "sees", "for the approver alone"),
        ("approvers: [social-insurance]", "approvers: [social-insurance, tax]", "type", "several approvers cannot ask"),
    ],
)
def test_load_scenario__bank_account_that_others_would_read__fault(old: str, new: str, field: str, en: str) -> None:
    benefit = (FOLDER / "unemployment-benefit-claim.yaml").read_text("utf-8")
    text = changed(old, new, benefit)
    found = [fault for fault in faults(text) if fault.field.endswith(f"0.{field}")]
    assert [en in fault.en for fault in found] == [True]
    assert found[0].line == line_of(text, "id: bank_account,")


@pytest.mark.parametrize(
    "text", ["", "- a", "a: [", "a: b: c", "\t", "a: &x [*x]", "? [1]\n: 2", "--- a\n--- b", "\x00"]
)
def test_load_scenario__no_scenario_at_all__faults_not_a_crash(text: str) -> None:
    assert faults(text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start=st.integers(0, len(GALLERY) - 1), length=st.integers(1, 60), put=st.text(max_size=3))
def test_load_scenario__file_damaged_anywhere__loads_or_explains(start: int, length: int, put: str) -> None:
    text = GALLERY[:start] + put + GALLERY[start + length :]
    found: tuple[Fault, ...] = ()
    try:
        load_scenario(text, catalogue=catalogue())
    except ScenarioFaults as error:
        found = error.faults
    assert all(1 <= fault.line <= text.count("\n") + 2 and fault.en for fault in found)


def test_scenario_faults__as_an_error__names_first_line_and_count() -> None:
    with pytest.raises(Invalid) as error:
        load_scenario(changed("    recheck: true\n", "    rechek: true\n"), catalogue=catalogue())
    assert error.value.code == "scenario-faults"
    assert "1 faults" in error.value.detail_en
