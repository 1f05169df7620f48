"""Checking a case's receipt: that the chain has this case with these steps, signed by whom, and what is in its dossier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from orchestrator.domain.canonical import tagged, to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.merkle import Leaf, verify
from orchestrator.ledger.proofs import History, Proofs
from orchestrator.protocol.ports import ChainView
from orchestrator.verify.papers import Receipt
from orchestrator.verify.report import Report, moment
from orchestrator.verify.trust import Trust

WORDS: Final = {
    Status.NONE: ("无", "none"),
    Status.ACCEPTED: ("已受理", "accepted"),
    Status.RETURNED: ("已退回", "returned"),
    Status.APPROVED: ("已批准", "approved"),
    Status.REFUSED: ("不予批准", "refused"),
    Status.WITHDRAWN: ("已撤回", "withdrawn"),
    Status.REVOKED: ("已撤销", "revoked"),
    Status.SUSPENDED: ("效力中止", "suspended"),
}
KINDS: Final = {
    "mandate": ("授权书", "mandate"),
    "situation": ("情形", "situation"),
    "form": ("表单", "form"),
    "answer": ("核验应答", "answer"),
    "verdict": ("审批意见", "verdict"),
    "credential": ("电子证照", "credential"),
    "revocation": ("撤销令", "revocation order"),
    "recall": ("召回", "recall"),
    "upholding": ("维持决定", "upholding"),
    "material": ("材料", "material"),
}
Leaves = Sequence[tuple[Leaf, Sequence[bytes]]]


def status_words(status: Status) -> tuple[str, str]:
    """A status in both languages."""
    return WORDS[status]


async def check_receipt(receipt: Receipt, trust: Trust) -> Report:
    """What a receipt, or a whole dossier, proves."""
    report = Report("办件回执", "receipt of a case")
    report.shown.append(("办件编号", "case", receipt.case))
    for step in receipt.steps:
        zh, en = status_words(step.status)
        report.shown.append((f"第 {step.sequence} 步", f"step {step.sequence}", f"{zh} {en}  {step.transaction}"))
    if any(each.binding != receipt.steps[0].binding for each in receipt.steps):
        report.wrong("各步不在同一落地之下", "the steps are not under one binding")
    opened = [leaf for leaf, _ in receipt.leaves if leaf.kind == "mandate" and _opens(leaf.content, receipt.case)]
    if opened:
        report.proven(
            "办件编号由回执所列的一份授权书得出:办件就是以它开始的",
            "the case's id comes from a mandate in the receipt: with that one it began",
        )
    here = all(verify(receipt.steps[-1].root, leaf, path) for leaf, path in receipt.leaves)
    names = "、".join(dict.fromkeys(_kind(leaf.kind)[0] for leaf, _ in receipt.leaves))
    report.judge(
        here,
        (
            f"{len(receipt.leaves)} 项({names})都在最后一步的案卷根之下",
            f"{len(receipt.leaves)} entries are under the dossier root of the last step",
        ),
        ("有的项不在案卷根之下", "not all entries are under the dossier root"),
    )
    if tell_ledger(report, trust, receipt.chain_id, receipt.ledger):
        await _ask_chain(report, receipt, trust)
    report.not_proven(
        "回执只含摘要:文件本身要另行出示并核对摘要(lianban ledger dossier --document)",
        "a receipt holds hashes: documents are shown and compared separately (lianban ledger dossier --document)",
    )
    report.not_proven("结论是否正确合法", "that the outcome is right and lawful")
    return report


def _opens(mandate: bytes, case: str) -> bool:
    """Whether a case's id is that of the mandate with this hash."""
    return to_hex(tagged("lianban.case.v1", mandate)) == case


def tell_ledger(report: Report, trust: Trust, chain_id: int, address: str) -> bool:
    """Whether a paper is of the ledger that the reader trusts, or that cannot be told; says so when it is another's."""
    if trust.same_ledger(chain_id, address) is False:
        report.wrong(
            f"属于另一条链或另一合约(链 {chain_id},{address})",
            f"it is of another chain or contract (chain {chain_id}, {address})",
        )
        return False
    return True


async def _ask_chain(report: Report, receipt: Receipt, trust: Trust) -> None:
    if trust.proofs is None or trust.chain is None:
        report.unchecked(
            "未连节点:链上有无这些步骤、现在如何,未查",
            "no node: whether the chain has these steps, and what is now, is not checked",
        )
        return
    try:
        history = await signers(report, receipt.case, trust.proofs, trust.chain)
        given = [(each.step, to_hex(each.root), each.transaction) for each in receipt.steps]
        there = [(each.step, each.root, each.transaction) for each in history.transitions]
        if not report.judge(
            there[: len(given)] == given,
            ("回执的步骤、案卷根与交易同链上一致", "steps, roots and transactions are those on chain"),
            ("回执的步骤与链上不符", "the steps are not those on chain"),
        ):
            return
        if len(there) > len(given):
            last = history.transitions[-1]
            zh, en = status_words(last.status)
            report.proven(f"此后又有变动:{moment(last.at)} {zh}", f"there is a later step: {en}, at {moment(last.at)}")
        await _in_dossier(report, history, len(given) - 1, receipt.leaves, trust.proofs)
    except Unavailable as error:
        report.unchecked(f"节点没有应答:{error.detail}", f"the node does not answer: {error.detail_en}")
    except Refused as error:
        report.wrong(error.detail, error.detail_en)


async def check_leaves(report: Report, receipt: Receipt, leaves: Leaves, trust: Trust) -> None:
    """Whether leaves of a receipt are in the case's dossier: by their paths, and by the ledger where there is a node."""
    here = all(verify(receipt.steps[-1].root, leaf, path) for leaf, path in leaves)
    if not here:
        report.wrong("不在回执的案卷根之下", "it is not under the receipt's dossier root")
        return
    if trust.proofs is None:
        report.unchecked(
            "在回执的案卷根之下;该根是否在链上,未查",
            "it is under the receipt's dossier root; whether that root is on chain is not checked",
        )
        return
    try:
        history = await trust.proofs.history(receipt.case)
        place = len(receipt.steps) - 1
        if len(history.transitions) <= place or history.transitions[place].root != to_hex(receipt.steps[-1].root):
            report.wrong("回执的案卷根不在链上", "the receipt's dossier root is not on chain")
            return
        await _in_dossier(report, history, place, leaves, trust.proofs)
    except Unavailable as error:
        report.unchecked(f"节点没有应答:{error.detail}", f"the node does not answer: {error.detail_en}")
    except Refused as error:
        report.wrong(error.detail, error.detail_en)


async def _in_dossier(report: Report, history: History, place: int, leaves: Leaves, proofs: Proofs) -> None:
    held = await proofs.in_dossier(history, place, leaves) if leaves else [False]
    report.judge(
        all(held),
        (
            f"合约确认:{len(held)} 项都在案卷中",
            f"the ledger confirms that all {len(held)} are in the case's dossier",
        ),
        ("合约不认可:有的项不在案卷中", "the ledger does not confirm that all are in the dossier"),
    )


async def signers(report: Report, case: str, proofs: Proofs, chain: ChainView) -> History:
    """Tells who signed the newest step of a case, by the keys of its block. Raises Refused, Unavailable."""
    history = await proofs.history(case)
    if not history.complete:
        raise Refused(
            "节点给出的事件与合约状态不符",
            detail_en="the node's events are not the case's transitions",
            code="bad-node",
        )
    last = history.transitions[-1]
    zh, en = status_words(last.status)
    if last.sheets is None:
        report.not_proven(
            "最后一步由其他合约转交,签批单不在交易中", "the last step came through another contract, without its sheets"
        )
        return history
    seats = [(await chain.seat(each.seat)).keyset.name for each in last.sheets if each.counted]
    report.judge(
        bool(seats),
        (
            f"最后一步“{zh}”于 {moment(last.at)}(区块 {last.block})由{'、'.join(name['zh'] for name in seats)}以当时的密钥签署",
            f"the last step, {en}, at {moment(last.at)} (block {last.block}), is signed by "
            f"{', '.join(name['en'] for name in seats)}, by the keys of that block",
        ),
        ("最后一步没有作数的签批单", "no sheet over the last step counts"),
    )
    return history


def _kind(kind: str) -> tuple[str, str]:
    return KINDS[kind.partition(":")[0]]
