"""The tables of `docs/privacy.md`, from the scenario files that ship. `python -m tests.support.privacy` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from orchestrator.demo.applicants import DemoApplicant, demo_applicants
from orchestrator.devnet.cluster import today
from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.readers import ClaimName, Reading, readings
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.texts import Text
from orchestrator.scenarios import load_catalogue, read_data, scenario_files, shipped

DOCUMENT = Path(__file__).parents[2] / "docs" / "privacy.md"
BEGIN, END = "<!-- tables: python -m tests.support.privacy -->", "<!-- end of the tables -->"
EACH = "test_answer__each_evidence_that_ships__opens_to_its_readers_alone"
ASKED = "test_canary__answers__open_to_their_readers_alone_and_say_what_the_scenario_lets_them"
MANDATE = "test_canary__everything_that_is_not_the_owner_or_reader__holds_no_marker"


def tables() -> str:
    """One table for each scenario."""
    catalogue, applicants = load_catalogue(), demo_applicants(today())
    return "\n\n".join(_table(shipped(file.stem, catalogue), catalogue, applicants) for file in scenario_files())


def written(document: str) -> str:
    """The document with its tables as they must be."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}\n\n{tables()}\n\n{END}", document)


def _table(scenario: Scenario, catalogue: Catalogue, applicants: Iterable[DemoApplicant]) -> str:
    asked = {
        evidence.item
        for each in applicants
        if each.kind == "passes" and each.walk.scenario == scenario.id
        for evidence in each.plan.evidence
    }
    lines = [
        f"### {scenario.name.zh} · {scenario.name.en}",
        "",
        "| 核验数据 · evidence | 谁回答 · who answers | 协调方(和审批部门)读到 · the orchestrator (and approvers) | "
        "只有审批部门读到的值 · values for approvers alone | 测试 · test |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(each, scenario, catalogue, asked) for each in readings(scenario, catalogue)]
    form = [question.label for question in scenario.questions if question.sees == "approver"]
    if form:
        lines += ["", f"申请表中密封给全部审批部门的 · of the form, sealed to every approver: {_list(form)}"]
    situation = [question.label for question in scenario.questions if question.sees == "orchestrator"]
    lines += ["", f"申请人告诉协调方的情形 · what the applicant tells the orchestrator: {_list(situation)}"]
    return "\n".join(lines)


def _row(reading: Reading, scenario: Scenario, catalogue: Catalogue, asked: set[str]) -> str:
    evidence = f"{_both(reading.evidence)}<br>{_both(reading.subject)}<br>`{reading.item}`"
    if reading.purpose == "push":
        evidence += "<br>批准后 · after approval"
    provider = _department(reading.provider, catalogue)
    sealed = [f"**{_department(role, catalogue)}**: {_claims(claims)}" for role, claims in reading.sealed.items()]
    if reading.in_mandate:
        provider, test = f"{provider}<br>写在授权书中 · in the mandate itself", f"`{MANDATE}`"
    else:
        test = f"`{EACH}[{scenario.id} {reading.item}]`"
        test += f", `{ASKED}`" if reading.item in asked else ""
    return f"| {evidence} | {provider} | {_claims(reading.open) or '—'} | {'<br>'.join(sealed) or '—'} | {test} |"


def _department(role: str, catalogue: Catalogue) -> str:
    places = read_data("bindings/haidian.yaml")
    return _both(catalogue.department(places["identity"] if role == "identity" else places["roles"][role]).name)


def _claims(claims: Iterable[ClaimName]) -> str:
    return "; ".join(_both(claim.name) for claim in claims)


def _list(labels: Iterable[Text]) -> str:
    return "; ".join(map(_both, labels))


def _both(text: Text) -> str:
    return f"{text.zh} {text.en}".replace("|", "\\|")


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8")), "utf-8")
