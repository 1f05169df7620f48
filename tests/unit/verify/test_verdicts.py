"""A verdict by itself: who signed it, and which officers stand behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Scenario
from orchestrator.protocol.countersign import sign_countersign
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.officer import certify, sign_decision
from orchestrator.protocol.verdict import OfficerDecision, SecondOfficer, Verdict, sign_verdict
from orchestrator.protocol.wire import seat_ref
from orchestrator.verify.papers import SignedVerdict, read_paper
from orchestrator.verify.report import Mark, Report
from orchestrator.verify.trust import Trust
from orchestrator.verify.verdicts import check_verdict
from tests.support.consortium import Consortium
from tests.support.credentials import CASE, NOW
from tests.unit.protocol.test_verdict import FIELDS

pytestmark = pytest.mark.anyio

ONE, TWO = SigningKey.generate(), SigningKey.generate()


def signed(consortium: Consortium, lead: int, *, officers: int, key: SigningKey | None = None) -> SignedVerdict:
    """A verdict of the lead that so many officers stand behind."""
    evidence = consortium.keys[lead].evidence

    def certificate(officer: SigningKey, name: str) -> str:
        return certify(officer.jwk, seat=lead, pseudonym=name, iat=NOW - 60, exp=NOW + 60, key=evidence)

    decision = sign_decision(
        case=CASE, sequence=2, outcome="approve", rows=["GAL-06"], reason="已移出", iat=NOW, key=ONE
    )
    word = sign_countersign(
        case=CASE, sequence=2, decision=decision, outcome="countersign", reason="同意", iat=NOW, key=TWO
    )
    fields: dict[str, Any] = FIELDS | {
        "iss": seat_ref(lead),
        "case": CASE,
        "sequence": 2,
        "outcome": "approve",
        "rows": ["GAL-06"],
        "role": consortium.scenario.approvers[0],
        "version": consortium.scenario.version,
        "iat": NOW,
    }
    if officers:
        fields["officer"] = OfficerDecision(certificate=certificate(ONE, "one"), decision=decision).model_dump()
    if officers > 1:
        fields["second"] = SecondOfficer(certificate=certificate(TWO, "two"), countersign=word).model_dump()
    return SignedVerdict(jws=sign_verdict(Verdict.model_validate(fields), key or evidence))


def wants_two(consortium: Consortium) -> Scenario:
    return consortium.scenario.model_copy(update={"countersign": consortium.scenario.approvers[:1]})


def says(report: Report, mark: Mark, text: str) -> bool:
    return any(each.mark is mark and text in each.en for each in report.findings)


@pytest.mark.parametrize(
    ("officers", "text"),
    [
        (0, "the rules decided it"),
        (1, "signed by officer one"),
        (2, "by officer one and countersigned by another, two"),
    ],
)
async def test_check_verdict__signed_by_so_many_officers__told(
    consortium: Consortium, lead: int, online: Trust, officers: int, text: str
) -> None:
    paper = signed(consortium, lead, officers=officers)
    report = await check_verdict(paper, online, definitions=lambda _version: consortium.scenario)
    assert report.conclusion is Mark.PROVEN
    assert says(report, Mark.PROVEN, text)


async def test_check_verdict__second_officer_wanted_and_there_is_none__wrong(
    consortium: Consortium, lead: int, online: Trust, offline: Trust
) -> None:
    scenario = wants_two(consortium)
    for trust in (online, offline):
        alone = await check_verdict(signed(consortium, lead, officers=1), trust, definitions=lambda _version: scenario)
        assert says(alone, Mark.WRONG, "a second officer has to countersign")
        both = await check_verdict(signed(consortium, lead, officers=2), trust, definitions=lambda _version: scenario)
        assert both.conclusion is Mark.PROVEN
    unknown = await check_verdict(signed(consortium, lead, officers=1), online, definitions=lambda _version: None)
    assert says(unknown, Mark.NOT_PROVEN, "whether a second officer was wanted is not known")


async def test_check_verdict__by_another_key__wrong(consortium: Consortium, lead: int, online: Trust) -> None:
    forged = signed(consortium, lead, officers=0, key=ONE)
    report = await check_verdict(forged, online, definitions=lambda _version: None)
    assert report.conclusion is Mark.WRONG


def test_read_paper__verdict_in_a_file__read_and_nothing_else_that_is_signed(
    consortium: Consortium, lead: int, tmp_path: Path
) -> None:
    paper, file = signed(consortium, lead, officers=1), tmp_path / "verdict.jwt"
    file.write_text(paper.jws + "\n")
    assert read_paper(file) == paper
    file.write_text(consortium.mandate())
    with pytest.raises(Invalid):
        read_paper(file)
