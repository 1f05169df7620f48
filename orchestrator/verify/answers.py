"""Checking an answer: that a department signed it, to which question, and that the question is in its log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Invalid, Refused, Unavailable
from orchestrator.ledger.proofs import Proofs
from orchestrator.protocol.answer import Answer, AnswerEnvelope, read_answer
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.querylog import Head, entry, leaf_hash
from orchestrator.verify.papers import Receipt
from orchestrator.verify.receipts import check_leaves
from orchestrator.verify.report import Report, moment
from orchestrator.verify.signer import signer_of
from orchestrator.verify.trust import Trust

Path = Callable[[SeatView, int, Head], Awaitable[list[bytes]]]
"""Asks a seat's public log for the path of an entry under a head. Raises Unavailable or Refused."""


async def check_answer(
    envelope: AnswerEnvelope, trust: Trust, *, path: Path | None = None, receipt: Receipt | None = None
) -> Report:
    """What an answer proves; `path` is how to ask the department's log, None when nobody is to be asked."""
    report = Report("核验应答", "answer of a department")
    seat = await signer_of(envelope.answer, report, trust)
    if seat is None:
        return report
    try:
        answer = read_answer(envelope, seat.key_of("evidence", envelope.answer))
    except (Refused, Invalid) as error:
        report.wrong(f"签名或内容不符:{error.detail}", f"signature or content is wrong: {error.detail_en}")
        return report
    _tell(report, answer, seat)
    await _check_log(report, envelope, seat, trust.proofs, path)
    if receipt is None:
        report.not_proven(
            "是否在某案卷中:加 --receipt 可证", "that it is in a case's dossier: give --receipt to prove it"
        )
    else:
        mine = [each for each in receipt.leaves if (each[0].kind, to_hex(each[0].content)) == ("answer", answer.hash)]
        if mine:
            await check_leaves(report, receipt, mine, trust)
        else:
            report.wrong("不在所给案卷中", "it is not in the dossier given")
    report.not_proven(
        "问的是谁:应答只含加盐的承诺,要有授权书中封存的盐才能对上",
        "whom it is about: it holds a salted commitment, which only the salt sealed in the mandate opens",
    )
    report.not_proven(
        "是否最新一次应答,该部门后来有无收回", "that it is the latest answer to that question, and not recalled since"
    )
    report.not_proven("记录本身是否属实,由该部门负责", "that the record is true: that department answers for")
    return report


def _tell(report: Report, answer: Answer, seat: SeatView) -> None:
    name = seat.keyset.name
    report.shown.append(("核验事项", "evidence", answer.item))
    report.shown.append(("核验请求", "question", answer.question))
    if answer.result == "refused":
        report.shown.append(("未予应答", "refused", answer.reason))
    for claim, value in answer.claims.items():
        report.shown.append((claim, "", value))
    report.proven(
        f"由席位 {seat.number} {name['zh']}以当日密钥于 {moment(answer.iat)} 签署,第 {answer.attempt} 次应答,一字未改",
        f"signed by seat {seat.number}, {name['en']}, by its key of that day, at {moment(answer.iat)}, attempt "
        f"{answer.attempt}; unchanged since",
    )
    report.proven(
        f"答的是授权书 {answer.mandate} 之下的这个问题",
        f"it answers this question under the mandate {answer.mandate}",
    )
    if answer.sealed:
        readers = ", ".join(map(str, answer.sealed))
        report.not_proven(f"封存给席位 {readers} 的内容不得而知", f"what is sealed to seat {readers} is not known")


async def _check_log(
    report: Report, envelope: AnswerEnvelope, seat: SeatView, proofs: Proofs | None, path: Path | None
) -> None:
    """Whether the question stands in the department's log under the head that the chain has."""
    if envelope.log is None:
        report.not_proven("该问题在查询日志中的位置未附", "its place in the query log is not given")
        return
    if proofs is None or path is None:
        report.unchecked(
            "未连节点:问题是否在已锚定的查询日志中,未查",
            "no node: whether the question is in the anchored query log is not checked",
        )
        return
    try:
        head = await proofs.anchored(seat.number)
        if head is None or head.size <= envelope.log.index:
            report.unchecked("该问题的日志尚未锚定", "the log is not anchored that far yet")
            return
        leaf = leaf_hash(entry(envelope.log.batch, envelope.question, envelope.attempt))
        nodes = await path(seat, envelope.log.index, head)
        report.judge(
            await proofs.in_log(head, envelope.log.index, leaf, nodes),
            (
                f"合约确认:该问题在 {head.size} 条的已锚定查询日志中(第 {envelope.log.index} 条)",
                f"the ledger confirms: the question is entry {envelope.log.index} of the anchored query log of {head.size}",
            ),
            ("该问题不在已锚定的查询日志中", "the question is not in the anchored query log"),
        )
    except Unavailable as error:
        report.unchecked(f"日志未能查到:{error.detail}", f"the log cannot be asked: {error.detail_en}")
    except Refused as error:
        report.wrong(error.detail, error.detail_en)
