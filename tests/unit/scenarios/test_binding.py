"""The binding that ships puts every evidence item before the department that can answer it."""

from __future__ import annotations

import pytest

from orchestrator.scenarios import load_catalogue, read_data, scenario_files, shipped

BINDING = read_data("bindings/haidian.yaml")
SCENARIOS = [path.stem for path in scenario_files()]


@pytest.mark.parametrize("name", SCENARIOS)
def test_binding__every_role_of_a_scenario__a_department_that_exists(name: str) -> None:
    catalogue = load_catalogue()
    scenario = shipped(name, catalogue)
    for role in (*scenario.providers, *scenario.approvers):
        assert BINDING["roles"][role] in catalogue.departments, role


@pytest.mark.parametrize("name", SCENARIOS)
def test_binding__every_evidence_item__asked_of_the_department_that_has_it(name: str) -> None:
    catalogue = load_catalogue()
    for item in shipped(name, catalogue).evidence:
        expected = catalogue.evidence(item.type).department
        assert (BINDING["identity"] if item.source == "mandate" else BINDING["roles"][item.provider]) == expected, (
            item.id
        )


def test_binding__identity_and_operator__differ_and_the_operator_plays_no_other_role() -> None:
    assert BINDING["identity"] != BINDING["operator"]
    assert BINDING["operator"] not in BINDING["roles"].values()


def test_shipped__seven_scenarios__all_that_the_mission_names() -> None:
    assert SCENARIOS == [
        "employment-unemployment-registration",
        "enterprise-establishment",
        "open-exhibition-hall",
        "open-gallery",
        "real-estate-registration",
        "unemployment-benefit-claim",
        "zgc-high-tech-certification",
    ]


@pytest.mark.parametrize("name", SCENARIOS)
def test_shipped__push_targets__scenarios_that_exist(name: str) -> None:
    scenario = shipped(name)
    for push in scenario.pushes:
        assert push.target is None or push.target in SCENARIOS
        if push.target is not None:
            target = shipped(push.target)
            roles = {subject.id: subject for subject in target.subjects}
            asked = {question.id: question for question in target.questions if question.sees == "orchestrator"}
            for name, source in push.prefill.items():
                if source.startswith("q."):
                    (own,) = [each for each in scenario.questions if f"q.{each.id}" == source]
                    assert asked[name].type == own.type
                    assert {option.id for option in own.options} <= {option.id for option in asked[name].options}
                else:
                    (same,) = [each for each in scenario.subjects if each.id == source]
                    assert roles[name].kind == same.kind
