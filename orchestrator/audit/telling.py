"""What an audit says, Chinese first and English beside: each lie with where its statements are from, and what was found in order."""

from __future__ import annotations

from typing import Final

from orchestrator.audit.evidence import Evidence, Kind, contradicts
from orchestrator.audit.statements import Source, Statement
from orchestrator.ledger.heads import Outcome
from orchestrator.verify.report import Report, moment

OUTCOMES: Final = {
    Outcome.ANCHORED: ("已锚定", "anchored"),
    Outcome.CONFLICTED: ("与已锚定的冲突", "in conflict with the anchored one"),
    Outcome.REFUSED: ("合约未接受", "refused by the ledger"),
}
SOURCES: Final = {
    Source.SHOWN: ("网关现示", "shown now"),
    Source.SEEN: ("以前所见", "seen before"),
    Source.PROMISED: ("随应答而来", "came with an answer"),
    Source.KEPT: ("经办所存", "kept by the operator"),
}


def where(said: Statement) -> tuple[str, str]:
    """Where a statement is from."""
    if said.on_chain is not None:
        zh, en = OUTCOMES[said.on_chain.outcome]
        return f"{zh},区块 {said.on_chain.block}", f"{en}, block {said.on_chain.block}"
    zh, en = SOURCES[said.source]
    when = moment(said.at) if said.at is not None else ""
    return (f"{zh},{when}", f"{en}, {when}") if when else (zh, en)


def forked(first: Statement, other: Statement) -> Evidence:
    """Two roots for one size."""
    (zh, en), (zh_other, en_other) = where(first), where(other)
    return Evidence(
        kind=Kind.FORK,
        zh=f"分叉:同为 {first.size} 条的日志,该席位签了两个不同的根({zh};{zh_other})",
        en=f"fork: the seat signed two roots for a log of {first.size} ({en}; {en_other})",
        statements=(first, other),
    )


def shrunk(most: Statement, shown: Statement) -> Evidence:
    """Fewer entries than there were."""
    zh, en = where(most)
    return Evidence(
        kind=Kind.SHRINK,
        zh=f"变短:日志曾有 {most.size} 条({zh}),现在只有 {shown.size} 条",
        en=f"shrink: the log had {most.size} entries ({en}), now it has {shown.size}",
        statements=(most, shown),
    )


def rewritten(old: Statement, new: Statement, nodes: tuple[bytes, ...], asked: str) -> Evidence:
    """Another beginning than the one that was signed; `asked` is where the proof is owed."""
    (zh, en), (zh_new, en_new) = where(old), where(new)
    proven = contradicts(old, new, nodes)
    return Evidence(
        kind=Kind.REWRITE,
        zh=f"改写:{old.size} 条的日志({zh})不是 {new.size} 条的日志({zh_new})的开头"
        + ("" if proven else ",至少网关证明不了"),
        en=f"rewrite: the log of {old.size} ({en}) is not how that of {new.size} begins ({en_new})"
        + ("" if proven else ", or the gateway cannot prove that it is"),
        statements=(old, new),
        nodes=nodes if proven else (),
        asked=None if proven else asked,
    )


def changed(head: Statement, index: int | None, asked: str) -> Evidence:
    """Entries that are not what the seat signed."""
    zh, en = where(head)
    which, which_en = (f"第 {index} 条", f"entry {index}") if index is not None else ("各条", "the entries")
    return Evidence(
        kind=Kind.REWRITE,
        zh=f"改写:{which}与 {head.size} 条的日志头({zh})不符,或网关不予给出",
        en=f"rewrite: {which_en} as the gateway gives it, if at all, is not under the head of {head.size} ({en})",
        statements=(head,),
        asked=asked,
    )


def broken(promised: Statement, other: Statement, nodes: tuple[bytes, ...], answers: int, asked: str) -> Evidence:
    """Answers whose entries are not where their head has them."""
    zh, en = where(other)
    named, named_en = answer(promised, answers)
    proven = contradicts(promised, other, nodes)
    return Evidence(
        kind=Kind.PROMISE,
        zh=f"承诺未兑现:{named}不在 {other.size} 条的日志({zh})之中" + ("" if proven else ",至少网关证明不了"),
        en=f"promise not kept: {named_en} not in the log of {other.size} ({en})"
        + ("" if proven else ", or the gateway cannot prove it"),
        statements=(promised, other),
        nodes=nodes if proven else (),
        asked=None if proven else asked,
    )


def misplaced(question: str, index: int, head: Statement, asked: str) -> Evidence:
    """An answer that is not where its carrier says."""
    zh, en = where(head)
    return Evidence(
        kind=Kind.PROMISE,
        zh=f"承诺未兑现:对 {question[:10]}… 的应答不在日志的第 {index} 条({zh});这一位置无人签署",
        en=f"promise not kept: the answer to {question[:10]}… is not entry {index} ({en}); nobody signed that place",
        statements=(head,),
        asked=asked,
    )


def overdue(said: Statement, within: int, answers: int) -> Evidence:
    """What was signed and is under no anchored head after the time given."""
    assert said.at is not None
    named, named_en = answer(said, answers) if said.promise else (f"{said.size} 条的日志", f"the log of {said.size}")
    return Evidence(
        kind=Kind.PROMISE,
        zh=f"承诺未兑现:{moment(said.at)} 签署的{named},过了 {within} 秒仍未锚定(任何人都可代为锚定:lianban ledger head)",
        en=f"promise not kept: {named_en} not anchored within {within} seconds of {moment(said.at)} (anybody may anchor it: "
        "lianban ledger head)",
        statements=(said,),
        within=within,
    )


def answer(promised: Statement, answers: int) -> tuple[str, str]:
    """The answers of a promise, in words that go before "is not…"."""
    assert promised.promise is not None
    question, index = promised.promise.question[:10], promised.promise.place.index
    more, more_en = (f"等 {answers} 个应答", f" and {answers - 1} more") if answers > 1 else ("的应答", "")
    return f"对 {question}…(第 {index} 条){more}", f"the answer to {question}… (entry {index}){more_en}, is"


def anchored(report: Report, heads: int, size: int, at: int, now: int) -> None:
    """What the chain has."""
    report.shown.append(("最新锚定", "newest anchored", f"{size}  {moment(at)}  ({max(0, now - at)} s)"))
    report.proven(
        f"链上锚定了 {heads} 个日志头,每个都经合约核对,延续前一个",
        f"{heads} heads are anchored, each checked by the ledger to extend the one before",
    )


def read(report: Report, new: int, size: int, made: int, known: int) -> None:
    """That the entries make the roots of `made` of the `known` heads: all of them, but for those that are told as lies."""
    zh, en = ("全部一致", "all") if made == known else (f"中的 {made} 个一致", f"{made} of the")
    report.proven(
        f"逐条读了 {new} 条(日志共 {size} 条),算出的根与所知的 {known} 个日志头{zh}",
        f"{new} entries were read, of {size}: they make the roots of {en} {known} heads that are known",
    )


def remembered(report: Report, size: int, at: int) -> None:
    """That it goes on from what was seen."""
    report.proven(
        f"延续 {moment(at)} 所见的 {size} 条", f"it extends the {size} entries that were seen at {moment(at)}"
    )


def promises(report: Report, kept: int, due: int, within: int) -> None:
    """What became of promises that are not broken."""
    if kept:
        report.proven(
            f"{kept} 个应答如所承诺,在已锚定的日志之中", f"{kept} answers are in the anchored log, as promised"
        )
    if due:
        report.not_proven(
            f"{due} 个应答的日志尚待锚定,期限 {within} 秒",
            f"the log of {due} answers is still to be anchored, within {within} seconds",
        )


def not_proven(report: Report) -> None:
    """What no log can prove."""
    report.not_proven(
        "提供部门与询问方串通、不入日志的查询:日志里没有,谁也看不出",
        "that nothing was asked outside the log by a provider and an asker who agree to it",
    )
    report.not_proven(
        "谁问了谁:日志只有散列;凭应答或部门所存的请求可以对上",
        "who asked about whom: entries are hashes, which an answer, or the request that the department keeps, opens",
    )
