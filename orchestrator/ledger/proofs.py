"""What the chain proves to anybody with a node: a case's history and who signed it, what is in a dossier, what is in a log.

Every answer here is a view of `CaseLedger` on that node; from events and calldata come only the witnesses that the views
check. Nothing of the orchestrator is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address

from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Diverged, Refused
from orchestrator.domain.merkle import Leaf
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.poster import HeadPart
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.querylog import Head
from orchestrator.protocol.sheet import unpack_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A seat's sheet over a transition, with the chain's word on it."""

    seat: int
    valid_until: int
    """Seconds since 1970."""
    counted: bool
    """That it carries the signature of the key in force at the transition's block, and was valid then: the ledger's word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """One transition of a case, as the chain settled it."""

    step: int
    status: Status
    sequence: int
    binding: int
    root: str
    """Root of the dossier that it rests on, `0x…`."""
    block: int
    at: int
    """When the block was made, seconds since 1970."""
    transaction: str
    sheets: tuple[Signed, ...] | None
    """Of the seats that signed it; None when the batch came through another contract, so that its calldata is not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All transitions of a case, oldest first."""

    case: str
    transitions: tuple[Settled, ...]
    complete: bool
    """The ledger's word that these are all, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatAt:
    """A seat at the end of a block."""

    block: int
    standing: str
    """`none`, `active`, `suspended` or `removed`."""
    signer: str
    """Its chain key; the zero address unless it was active."""
    keyset_hash: str


STANDINGS = ("none", "active", "suspended", "removed")
"""`Standing` of the contracts, by number."""


class Proofs:
    """Asks one node's `CaseLedger`."""

    def __init__(self, rpc: Rpc, view: LedgerView) -> None:
        self._rpc = rpc
        self._view = view
        self._abi = ContractAbi(load_artifact("CaseLedger").abi)

    async def history(self, case: str) -> History:
        """A case's transitions with who signed them. Raises Refused for a case that the chain does not have."""
        logs = await self._rpc.call(
            "eth_getLogs",
            [
                {
                    "fromBlock": hex(self._view.deployment.block),
                    "toBlock": "latest",
                    "address": self._view.address("CaseLedger"),
                    "topics": [self._abi.topic("CaseSettled"), case],
                }
            ],
        )
        events = [log for log in map(self._abi.log, logs) if log is not None]
        if not events:
            raise Refused(
                "链上没有这个办件",
                detail_en="the chain has no such case",
                code="unknown-case",
                remedy="核对办件编号、节点与部署文件 / check the case's id, the node and the deployment file",
            )
        found = await self._rpc.batch(
            [
                ask
                for event in events
                for ask in (
                    ("eth_getBlockByNumber", [hex(event.block), False]),
                    ("eth_getTransactionByHash", [event.transaction]),
                )
            ]
        )
        transitions = []
        for event, block, transaction in zip(events, found[::2], found[1::2], strict=True):
            case_id, step, at = event.args["caseId"], event.args["step"], int(block["timestamp"], 16)
            status, sequence, binding = unpack_step(step)
            transitions.append(
                Settled(
                    step=step,
                    status=status,
                    sequence=sequence,
                    binding=binding,
                    root=to_hex(event.args["dossierRoot"]),
                    block=event.block,
                    at=at,
                    transaction=event.transaction,
                    sheets=await self._sheets(case_id, step, event.block, at, transaction),
                )
            )
        steps, roots = [one.step for one in transitions], [from_hex(one.root) for one in transitions]
        complete = await self._true("verifyHistory", from_hex(case), steps, roots)
        return History(case=case, transitions=tuple(transitions), complete=complete)

    async def in_dossier(self, history: History, at: int, leaves: Sequence[tuple[Leaf, Sequence[bytes]]]) -> list[bool]:
        """Whether leaves with their Merkle paths lie in the dossier of transition `at` (from 0)."""
        steps = [one.step for one in history.transitions]
        roots = [from_hex(one.root) for one in history.transitions]
        case = from_hex(history.case)
        calls = [
            ("verifyDossier", (case, steps, roots, at, (leaf.kind, leaf.salt, leaf.content), list(path)))
            for leaf, path in leaves
        ]
        return await self._all(calls)

    async def anchored(self, seat: int) -> Head | None:
        """A seat's anchored log head with its whole root; None while it has none. Raises Diverged when event and state
        disagree."""
        data = self._abi.call("headOf", seat)
        size, short = self._abi.result("headOf", await self._ask(data))
        if size == 0:
            return None
        logs = await self._rpc.call(
            "eth_getLogs",
            [
                {
                    "fromBlock": hex(self._view.deployment.block),
                    "toBlock": "latest",
                    "address": self._view.address("CaseLedger"),
                    "topics": [self._abi.topic("HeadAnchored"), "0x" + seat.to_bytes(32, "big").hex()],
                }
            ],
        )
        for log in reversed([log for log in map(self._abi.log, logs) if log is not None]):
            if log.args["size"] == size and log.args["root"][:26] == short:
                return Head(seat=seat, size=size, root=log.args["root"])
        raise Diverged(
            "节点的事件与状态不一致",
            detail_en="the node's events and its state disagree",
            code="bad-node",
            remedy="换一个节点 / use another node",
        )

    async def was_anchored(self, head: Head) -> bool:
        """Whether a seat's log once had exactly this head on chain, now or before."""
        logs = await self._rpc.call(
            "eth_getLogs",
            [
                {
                    "fromBlock": hex(self._view.deployment.block),
                    "toBlock": "latest",
                    "address": self._view.address("CaseLedger"),
                    "topics": [self._abi.topic("HeadAnchored"), "0x" + head.seat.to_bytes(32, "big").hex()],
                }
            ],
        )
        found = [log for log in map(self._abi.log, logs) if log is not None]
        return any((log.args["size"], log.args["root"]) == (head.size, head.root) for log in found)

    async def in_log(self, head: Head, index: int, leaf_hash: bytes, path: Sequence[bytes]) -> bool:
        """Whether a log entry is under a seat's anchored head."""
        return await self._true("verifyLogEntry", head.seat, head.size, head.root, index, leaf_hash, list(path))

    async def extends(self, old: Head, new: Head, proof: Sequence[bytes]) -> bool:
        """Whether one head extends another."""
        return await self._true("verifyExtension", old.size, old.root, new.size, new.root, list(proof))

    async def seat_at(self, seat: int, block: int | None) -> SeatAt:
        """A seat as it was at the end of a block (None: the newest)."""
        abi, to = ContractAbi(load_artifact("Consortium").abi), self._view.address("Consortium")
        at = int(await self._rpc.call("eth_blockNumber"), 16) if block is None else block
        views = ("standingAt", "signerAt", "keysetHashAt")
        found = await self._rpc.batch(
            [("eth_call", [{"to": to, "data": abi.call(view, seat, at)}, "latest"]) for view in views]
        )
        standing, signer, keyset_hash = (abi.result(view, data)[0] for view, data in zip(views, found, strict=True))
        return SeatAt(
            block=at, standing=STANDINGS[standing], signer=to_checksum_address(signer), keyset_hash=to_hex(keyset_hash)
        )

    async def _sheets(
        self, case: bytes, step: int, block: int, at: int, transaction: dict[str, Any]
    ) -> tuple[Signed, ...] | None:
        """The sheets over a transition in its batch, those that the ledger did not count among them."""
        to_ledger = str(transaction["to"]).lower() == self._view.address("CaseLedger").lower()
        batch = self._abi.arguments("settle", transaction["input"]) if to_ledger else None
        if batch is None:
            return None
        transitions, sheets, _ = batch
        places = {place for place, (one, _, given) in enumerate(transitions) if (one, given) == (case, step)}
        over = [sheet for sheet in sheets if any(sheet[2] >> place & 1 for place in places)]
        calls = [
            (
                "verifySheet",
                (seat, until, [one for place, one in enumerate(transitions) if covers >> place & 1], signature, block),
            )
            for seat, until, covers, signature in over
        ]
        by_key_of_the_day = await self._all(calls)
        return tuple(
            Signed(seat=seat, valid_until=until, counted=good and at <= until and covers >> len(transitions) == 0)
            for (seat, until, covers, _), good in zip(over, by_key_of_the_day, strict=True)
        )

    async def _true(self, view: str, *args: Any) -> bool:
        return (await self._all([(view, args)]))[0]

    async def _all(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[bool]:
        """The answers of boolean views, in one request."""
        to = self._view.address("CaseLedger")
        asks = [("eth_call", [{"to": to, "data": self._abi.call(view, *args)}, "latest"]) for view, args in calls]
        results = await self._rpc.batch(asks)
        return [bool(self._abi.result(view, result)[0]) for (view, _), result in zip(calls, results, strict=True)]

    async def _ask(self, data: str) -> str:
        to = self._view.address("CaseLedger")
        return str(await self._rpc.call("eth_call", [{"to": to, "data": data}, "latest"]))


def head_call(head: HeadPart) -> tuple[list[Any], list[Any], list[Any]]:
    """The arguments of a `settle` that only anchors a head."""
    values = (head.seat, head.old_size, head.old_root, head.new_size, head.new_root, list(head.proof), head.signature)
    return [], [], [values]
