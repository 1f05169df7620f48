"""Checking a verdict: that an approver signed it, on which rules and answers, and which officers stand behind it."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.vocabulary import VOCABULARY
from orchestrator.protocol.countersign import Officers, check_officers
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.verdict import Verdict, read_verdict
from orchestrator.verify.papers import Receipt, SignedVerdict
from orchestrator.verify.receipts import check_leaves
from orchestrator.verify.report import Report, moment
from orchestrator.verify.signer import signer_of
from orchestrator.verify.trust import Trust

Definitions = Callable[[str], Scenario | None]
"""The scenario of a version, if it is at hand."""


async def check_verdict(
    paper: SignedVerdict, trust: Trust, *, definitions: Definitions, receipt: Receipt | None = None
) -> Report:
    """What a verdict proves."""
    report = Report("审批意见", "verdict of an approver")
    seat = await signer_of(paper.jws, report, trust)
    if seat is None:
        return report
    try:
        verdict = read_verdict(paper.jws, seat.key_of("evidence", paper.jws))
    except (Refused, Invalid) as error:
        report.wrong(f"签名或内容不符:{error.detail}", f"signature or content is wrong: {error.detail_en}")
        return report
    _tell(report, verdict, seat)
    _check_officers(report, verdict, seat, definitions(verdict.version))
    if receipt is None:
        report.not_proven(
            "是否在某案卷中:加 --receipt 可证", "that it is in a case's dossier: give --receipt to prove it"
        )
    else:
        mine = [each for each in receipt.leaves if (each[0].kind, to_hex(each[0].content)) == ("verdict", paper.hash)]
        if mine and receipt.case == verdict.case:
            await check_leaves(report, receipt, mine, trust)
        else:
            report.wrong("不在所给案卷中", "it is not in the dossier given")
    report.not_proven("结论是否正确合法", "that the outcome is right and lawful")
    return report


def _tell(report: Report, verdict: Verdict, seat: SeatView) -> None:
    name, said = seat.keyset.name, VOCABULARY["outcome", verdict.outcome]
    report.shown.append(("办件", "case", f"{verdict.case} #{verdict.sequence}"))
    report.shown.append(("结果", "outcome", f"{said.zh} {said.en}"))
    report.shown.append(("理由", "rows", ", ".join(verdict.rows)))
    report.shown.append(("规则", "rules", verdict.version))
    report.proven(
        f"由席位 {seat.number} {name['zh']}以当日密钥于 {moment(verdict.iat)} 签署,一字未改",
        f"signed by seat {seat.number}, {name['en']}, by its key of that day, at {moment(verdict.iat)}; unchanged since",
    )
    report.proven(
        f"依据 {len(verdict.answers)} 项核验应答、{len(verdict.materials)} 份材料,各以摘要指明",
        f"it rests on {len(verdict.answers)} answers and {len(verdict.materials)} materials, each named by its hash",
    )


def _check_officers(report: Report, verdict: Verdict, seat: SeatView, scenario: Scenario | None) -> None:
    two = scenario is not None and verdict.role in scenario.countersign
    try:
        officers = check_officers(verdict, seat, two=two)
    except (Refused, Invalid) as error:
        report.wrong(f"经办人签名不符:{error.detail}", f"the officers' signatures do not hold: {error.detail_en}")
        return
    if officers is None:
        report.proven("由规则得出,没有经办人参与", "the rules decided it, no officer did")
        return
    _tell_officers(report, officers)
    if scenario is None and officers.second is None:
        report.not_proven(
            "手头没有这个版本的场景:是否须第二名经办人复核,不得而知",
            "the scenario's version is not at hand: whether a second officer was wanted is not known",
        )


def _tell_officers(report: Report, officers: Officers) -> None:
    report.shown.append(("经办理由", "officer's reason", officers.decision.reason))
    first = officers.first.sub
    if officers.second is None:
        report.proven(f"由经办人 {first} 决定并签名", f"decided and signed by officer {first}")
        return
    report.proven(
        f"由经办人 {first} 决定,另一名经办人 {officers.second.sub} 复核,各以自己的密钥签名",
        f"decided by officer {first} and countersigned by another, {officers.second.sub}, each by a key of their own",
    )
