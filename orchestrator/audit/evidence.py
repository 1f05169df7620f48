"""Evidence of a lie: statements of one seat that cannot all be true, kept so that a third party can check them.

What makes it a proof is arithmetic over signatures: two roots for one size; a log that has another beginning than the one that
was signed (RFC 9162 nodes that lead to the later root show it); a log that is shorter than it was before. A gateway that owes a
proof and does not give it contradicts nothing: then the evidence says what to ask it for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import ValidationError

from orchestrator.audit.statements import Statement, Word
from orchestrator.domain.canonical import canonical, from_hex, to_hex
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.suite import hash_of
from orchestrator.protocol.querylog import prefix_root
from orchestrator.verify.report import Report, moment

FORMAT: Final = "lianban-log-evidence-1"
MOST_BYTES: Final = 4 * 1024 * 1024


class Kind(StrEnum):
    """How a seat broke what it owes."""

    REWRITE = "rewrite"
    SHRINK = "shrink"
    FORK = "fork"
    PROMISE = "promise"


KINDS: Final = {
    Kind.REWRITE: ("改写", "rewrite"),
    Kind.SHRINK: ("变短", "shrink"),
    Kind.FORK: ("分叉", "fork"),
    Kind.PROMISE: ("承诺未兑现", "promise not kept"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found, and the statements that show it."""

    kind: Kind
    zh: str
    en: str
    statements: tuple[Statement, ...]
    """The older or promised one first."""
    nodes: tuple[bytes, ...] = ()
    """That lead to the second statement's root and show another beginning than the first's."""
    within: int | None = None
    """Seconds in which the promise had to be under the anchored head, when that is what is missing."""
    asked: str | None = None
    """What the gateway was asked and did not answer as it must."""

    @property
    def proven(self) -> bool:
        """Whether the statements contradict each other by themselves."""
        return self.within is None and len(self.statements) == 2 and contradicts(*self.statements, self.nodes)

    def document(self, word: Word) -> dict[str, Any]:
        """The file to keep."""
        content: dict[str, Any] = {
            "format": FORMAT,
            "kind": str(self.kind),
            "zh": self.zh,
            "en": self.en,
            "chain": {"id": word.ledger.chain_id, "ledger": word.ledger.contract},
            "seat": word.seat.number,
            "department": word.seat.keyset.id,
            "statements": [each.document() for each in self.statements],
            "nodes": [to_hex(node) for node in self.nodes],
        }
        if self.within is not None:
            content["within"] = self.within
        if self.asked is not None:
            content["asked"] = self.asked
        return content

    def keep(self, folder: Path, word: Word) -> Path:
        """Writes it into a folder; the same lie found again, by statements of another day, stays the file that it was."""
        heads = [[each.size, to_hex(each.root)] for each in self.statements]
        lie = [str(self.kind), word.ledger.chain_id, word.ledger.contract, word.seat.number, heads]
        file = folder / f"{self.kind}-{hash_of(canonical(lie)).hex()[:12]}.json"
        folder.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_bytes(orjson.dumps(self.document(word), option=orjson.OPT_INDENT_2))
        return file


def contradicts(old: Statement, new: Statement, nodes: Sequence[bytes]) -> bool:
    """Whether one log cannot have had both heads: the same size with two roots, another beginning, or fewer entries later."""
    if old.size == new.size:
        return old.root != new.root
    if old.size < new.size:
        return prefix_root(old.size, new.size, new.root, nodes) not in (None, old.root)
    later = new.dated is not None and old.at is not None and new.at is not None and old.at <= new.at
    return later and old.had > new.size


def read_file(file: Path) -> dict[str, Any]:
    """The evidence in a file. Raises Invalid when it holds something else."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ValueError("too large")
        content: dict[str, Any] = orjson.loads(file.read_bytes())
        if content["format"] != FORMAT or content["kind"] not in set(Kind):
            raise ValueError("another format")
        for name, kind in (("seat", int), ("statements", list), ("nodes", list), ("zh", str), ("en", str)):
            if not isinstance(content[name], kind):
                raise ValueError(name)
        content["chain"]["id"], content["chain"]["ledger"].lower()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _no_evidence(file) from None
    return content


def check(content: dict[str, Any], word: Word, *, now: int | None = None) -> Report:
    """What a file of evidence proves to whoever trusts the node that `word` was read from: nothing in it is taken on faith."""
    kind = Kind(content["kind"])
    zh, en = KINDS[kind]
    report = Report(f"查询日志的证据:{zh}", f"evidence about a query log: {en}")
    ledger = (content["chain"]["id"], content["chain"]["ledger"].lower())
    if ledger != (word.ledger.chain_id, word.ledger.contract.lower()):
        report.wrong("属于另一条链或另一个合约", "it is of another chain or contract")
        return report
    try:
        statements = [word.read(each) for each in content["statements"]]
        nodes = [from_hex(node) for node in content["nodes"]]
    except (Invalid, Refused) as error:
        report.wrong(
            f"其中有不是该席位所说的:{error.detail}", f"something in it is not the seat's word: {error.detail_en}"
        )
        return report
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError):
        report.wrong("文件不合格式", "the file is malformed")
        return report
    name = word.seat.keyset.name
    for each in statements:
        when = f" {moment(each.at)}" if each.at is not None else ""
        report.shown.append(
            (f"席位 {word.seat.number} {name['zh']}", f"signed{when}", f"{each.size}  {to_hex(each.root)}")
        )
    within = content.get("within")
    if isinstance(within, int) and len(statements) == 1:
        _overdue(report, statements[0], word, within, int(time.time()) if now is None else now)
    elif len(statements) == 2 and contradicts(statements[0], statements[1], nodes):
        report.proven(
            f"属实:两项均为该席位所签(或已锚定),不可能同属一份只增不改的日志——{zh}",
            f"true: both are the seat's own word, and no log that only grows has had both: {en}",
        )
    else:
        report.unchecked(
            "这些陈述本身不矛盾:证据是网关没有给出它应给的证明,可再向它索取",
            "the statements do not contradict each other: the gateway did not show what it owes; ask it again",
        )
        if isinstance(content.get("asked"), str):
            report.shown.append(("索取", "ask", content["asked"]))
    return report


def _overdue(report: Report, promised: Statement, word: Word, within: int, now: int) -> None:
    newest = word.chain.newest
    size = newest.size if newest is not None else 0
    if promised.at is None or size >= promised.had:
        report.wrong("所承诺的日志已锚定", "what was promised is anchored by now")
    elif promised.at + within >= now:
        report.wrong("所述期限未到", "the time given is not over")
    else:
        report.proven(
            f"属实:{moment(promised.at)} 时日志已有 {promised.had} 条,至今只锚定到 {size} 条",
            f"true: at {moment(promised.at)} the log had {promised.had} entries, of which {size} are anchored by now",
        )


def _no_evidence(file: Path) -> Invalid:
    return Invalid(
        field=file.name,
        detail="不是查询日志的证据文件",
        detail_en="that is no evidence about a query log",
        remedy="由 lianban audit log 生成 / lianban audit log makes them",
        code="not-evidence",
    )
