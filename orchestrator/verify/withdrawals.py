"""Checking a withdrawal's acknowledgements (送达回执): that the withdrawal was signed, and which departments have logged it, when."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Invalid, LianbanError, Refused, Unavailable
from orchestrator.ledger.proofs import Proofs
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.mandate import Mandate
from orchestrator.protocol.notice import Acknowledgement
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.wire import seat_number
from orchestrator.verify.looks import Path
from orchestrator.verify.report import Report, moment
from orchestrator.verify.signer import signer_of
from orchestrator.verify.trust import Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A withdrawal with what the departments have acknowledged, as a person saved it."""

    chain_id: int
    ledger: str
    mandate: str
    named: tuple[int, ...]
    """Departments that it is delivered to."""
    acknowledgements: tuple[Acknowledgement, ...]


async def check_withdrawal(paper: Withdrawal, trust: Trust, *, path: Path | None = None) -> Report:
    """What the acknowledgements of a withdrawal prove."""
    report = Report("撤回授权的送达回执", "acknowledgements of a withdrawal")
    if trust.same_ledger(paper.chain_id, paper.ledger) is False:
        report.wrong("属于另一条链或另一合约", "it is of another chain or contract")
        return report
    identity = await signer_of(paper.mandate, report, trust)
    if identity is None:
        return report
    try:
        mandate = Mandate.parse(paper.mandate, identity.key_of("identity", paper.mandate))
        if mandate.kind != "withdrawal" or seat_number(mandate.iss) != identity.number:
            raise Refused("不是撤回授权书", detail_en="that is no withdrawal", code="not-a-withdrawal")
    except (Refused, Invalid) as error:
        report.wrong(f"撤回授权书不成立:{error.detail}", f"the withdrawal does not hold: {error.detail_en}")
        return report
    name = identity.keyset.name
    report.shown.append(("办件编号", "case", mandate.case))
    report.shown.append(("撤回时间", "withdrawn at", moment(mandate.iat)))
    report.proven(
        f"撤回授权书由席位 {identity.number} {name['zh']}以当日密钥于 {moment(mandate.iat)} 签署",
        f"the withdrawal is signed by seat {identity.number}, {name['en']}, by its key of that day, at {moment(mandate.iat)}",
    )
    for said in paper.acknowledgements:
        await _check_one(said, paper, report, trust, path)
    missing = sorted(set(paper.named) - {said.seat for said in paper.acknowledgements})
    if missing:
        listed = ", ".join(map(str, missing))
        report.unchecked(f"席位 {listed} 尚未回执", f"seats {listed} have not acknowledged yet")
    report.not_proven(
        "部门此后不登记而答复的;但凡登记的答复,都排在该日志的回执之后,可与回执对质",
        "what a department answers without logging it; but an answer that it logs stands after this entry of the same log, and "
        "contradicts it",
    )
    return report


async def _check_one(said: Acknowledgement, paper: Withdrawal, report: Report, trust: Trust, path: Path | None) -> None:
    ledger = trust.ledger
    try:
        seat = await trust.seat(said.seat)
        if seat is None or ledger is None:
            raise Unavailable("手头没有席位公钥", detail_en="no seat's keys are at hand", code="no-keys")
        said.check(seat=said.seat, mandate=jws_hash(paper.mandate), ledger=ledger, signer=_signer(said, seat, trust))
    except Unavailable as error:
        report.unchecked(f"席位 {said.seat} 的回执未核对:{error.detail}", f"seat {said.seat}: {error.detail_en}")
        return
    except LianbanError as error:
        report.wrong(f"席位 {said.seat} 的回执不成立:{error.detail}", f"seat {said.seat}: {error.detail_en}")
        return
    zh, en = seat.keyset.name["zh"], seat.keyset.name["en"]
    report.proven(
        f"{zh}于 {moment(said.at)} 收到并登记为日志第 {said.index} 条,日志头由其链上密钥签名",
        f"{en} took it at {moment(said.at)}, as entry {said.index} of its log; the head is signed by its chain key",
    )
    if trust.proofs is not None:
        await _check_chain(said, seat, trust.proofs, report, path)


def _signer(said: Acknowledgement, seat: SeatView, trust: Trust) -> str:
    """The chain key of the head's day: the present one, or one that the seat had before."""
    ledger = trust.ledger
    assert ledger is not None
    signer = said.head.signer(ledger)
    past = {each.signer for each in seat.past}
    return signer if signer in past else seat.signer


async def _check_chain(
    said: Acknowledgement, seat: SeatView, proofs: Proofs, report: Report, path: Path | None
) -> None:
    zh, en = seat.keyset.name["zh"], seat.keyset.name["en"]
    try:
        head = await proofs.anchored(said.seat)
        if head is None or head.size <= said.index or path is None:
            report.unchecked(f"{zh}:该条尚未上链", f"{en}: the entry is not anchored yet")
            return
        nodes = await path(seat, said.index, head)
        report.judge(
            await proofs.in_log(head, said.index, said.leaf, nodes),
            (
                f"合约确认:{zh}的回执在已锚定的日志头({head.size} 条)之下",
                f"the ledger confirms that the entry of {en} is under its anchored head of {head.size}",
            ),
            (f"{zh}的回执不在已锚定的日志中", f"the entry of {en} is not in its anchored log: {to_hex(head.root)}"),
        )
    except Unavailable as error:
        report.unchecked(f"{zh}:未能查到是否上链:{error.detail}", f"{en}: {error.detail_en}")
    except Refused as error:
        report.wrong(f"{zh}:{error.detail}", f"{en}: {error.detail_en}")
