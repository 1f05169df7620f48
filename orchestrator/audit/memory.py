"""What an auditor remembers of a log between two runs: the newest head seen, and the tree that its own reading of the entries
made. Small, however long the log is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import orjson

from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.errors import Invalid
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.querylog import LogTree, nodes_for_append
from orchestrator.protocol.sheet import Domain
from orchestrator.protocol.wire import is_int

FORMAT: Final = "lianban-log-memory-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A head as the gateway showed it, with its dated statement."""

    head: SignedHead
    dated: str
    at: int
    """Of the dated statement, seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One seat's log as far as it was found in order."""

    ledger: Domain
    seat: int
    block: int
    """Up to which the chain was read."""
    nodes: tuple[bytes, ...]
    """The complete subtrees over the newest head's entries, from left to right."""
    newest: Seen
    waiting: Seen | None
    """The oldest head that was not anchored yet: somebody has to anchor it in time."""

    def tree(self) -> LogTree:
        """The log at the newest head."""
        size = self.newest.head.size
        return LogTree(size, dict(zip(nodes_for_append(size), self.nodes, strict=True)))

    def document(self) -> bytes:
        """The file to keep."""
        content = {
            "format": FORMAT,
            "chain": {"id": self.ledger.chain_id, "ledger": self.ledger.contract},
            "seat": self.seat,
            "block": self.block,
            "nodes": [to_hex(node) for node in self.nodes],
            "newest": _written(self.newest),
            "waiting": _written(self.waiting) if self.waiting else None,
        }
        return orjson.dumps(content, option=orjson.OPT_INDENT_2)

    def keep(self, file: Path) -> None:
        """Writes it, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".new")
        beside.write_bytes(self.document())
        beside.replace(file)

    @classmethod
    def read(cls, file: Path, ledger: Domain, seat: int) -> Self | None:
        """What is remembered of a seat's log; None when there is no such file. Raises Invalid when it holds something else,
        or the memory of another ledger or seat."""
        if not file.exists():
            return None
        try:
            content = orjson.loads(file.read_bytes())
            theirs = (content["format"], content["chain"]["id"], content["chain"]["ledger"].lower(), content["seat"])
            if theirs != (FORMAT, ledger.chain_id, ledger.contract.lower(), seat) or not is_int(content["block"]):
                raise ValueError("another log's memory")
            memory = cls(
                ledger=ledger,
                seat=seat,
                block=content["block"],
                nodes=tuple(from_hex(node) for node in content["nodes"]),
                newest=_read(content["newest"]),
                waiting=_read(content["waiting"]) if content["waiting"] else None,
            )
            if memory.tree().root() != from_hex(memory.newest.head.root):
                raise ValueError("the nodes do not make the root")
        except (ValueError, KeyError, TypeError, AttributeError, Invalid):
            raise Invalid(
                field=str(file),
                detail="不是这条链上该席位日志的审计记录",
                detail_en="that is not what an audit remembers of this seat's log on this chain",
                remedy="移走该文件,从头审计 / move it away and audit from the beginning",
                code="bad-memory",
            ) from None
        return memory


def _written(seen: Seen) -> dict[str, Any]:
    return {"head": seen.head.model_dump(mode="json"), "dated": seen.dated, "at": seen.at}


def _read(content: dict[str, Any]) -> Seen:
    if not isinstance(content["dated"], str) or not is_int(content["at"]):
        raise ValueError("no dated statement")
    return Seen(head=SignedHead.parse(content["head"]), dated=content["dated"], at=content["at"])
