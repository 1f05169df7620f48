"""What the chain has of a seat's query log: every head that was brought to the ledger under the seat's signature.

Most are anchored. One that conflicts with the anchored head, or that the ledger refused after it had found the signature good,
is a statement of the seat all the same: the calldata that brought it holds the signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from eth_utils.address import to_checksum_address

from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.errors import Diverged, Refused
from orchestrator.ledger.abi import ContractAbi, Log
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.sheet import Domain

SIGNED_ALL_THE_SAME = range(4, 7)
"""`HeadRefusal` of the contracts: Stale, NotFromAnchored, Inconsistent. Before these the signature was found good."""


class Outcome(StrEnum):
    """What the ledger did with a head."""

    ANCHORED = "anchored"
    CONFLICTED = "conflicted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHead:
    """A head as it was brought to the ledger."""

    outcome: Outcome
    size: int
    root: str
    """`0x…`."""
    signature: str | None
    """By the seat's key of that block; None when another contract brought it, so that its calldata is not here."""
    block: int
    transaction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInForce:
    """A chain key of a seat."""

    signer: str
    """EIP-55 address."""
    from_block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOnChain:
    """A seat's query log as far as the chain knows it."""

    seat: int
    block: int
    """Up to which it was read."""
    heads: tuple[ChainHead, ...]
    """In the order of the chain."""
    keys: tuple[KeyInForce, ...]
    """Every chain key that the seat has had, oldest first."""
    anchored_at: int | None
    """When the newest anchored head came, seconds since 1970; None while there is none."""

    @property
    def anchored(self) -> tuple[ChainHead, ...]:
        """The anchored ones, ascending: each extends the one before, which the ledger has checked (I7)."""
        return tuple(head for head in self.heads if head.outcome is Outcome.ANCHORED)

    @property
    def newest(self) -> ChainHead | None:
        """The newest anchored head."""
        return self.anchored[-1] if self.anchored else None

    def signed_by(self, head: SignedHead, ledger: Domain) -> KeyInForce | None:
        """The seat's key that signed a head; None when none of them did."""
        try:
            signer = head.signer(ledger)
        except Refused:
            return None
        return next((key for key in self.keys if head.seat == self.seat and key.signer == signer), None)


class LedgerHeads:
    """Asks one node's `CaseLedger` and `Consortium`."""

    def __init__(self, rpc: Rpc, view: LedgerView) -> None:
        self._rpc = rpc
        self._view = view
        self._abi = ContractAbi(load_artifact("CaseLedger").abi)

    async def read(self, seat: int) -> LogOnChain:
        """All of it. Raises Diverged when the node's events and its state disagree."""
        block = await self._rpc.call("eth_blockNumber")  # all at one block: the chain goes on meanwhile
        events = await self._events(seat, block)
        keys = await self._keys(seat, block)
        calldata = await self._calldata(log for log in events if log.name != "HeadAnchored")
        heads: list[ChainHead] = []
        for log in events:
            heads += self._brought(log, calldata.get(log.transaction, ()), keys)
        anchored = [head for head in heads if head.outcome is Outcome.ANCHORED]
        await self._agree(seat, anchored, block)
        at = None
        if anchored:
            newest = await self._rpc.call("eth_getBlockByNumber", [hex(anchored[-1].block), False])
            at = int(newest["timestamp"], 16)
        return LogOnChain(seat=seat, block=int(block, 16), heads=tuple(heads), keys=keys, anchored_at=at)

    async def _events(self, seat: int, block: str) -> list[Log]:
        topics = [self._abi.topic(event) for event in ("HeadAnchored", "HeadConflicted", "HeadRefused")]
        logs = await self._rpc.call(
            "eth_getLogs",
            [
                {
                    "fromBlock": hex(self._view.deployment.block),
                    "toBlock": block,
                    "address": self._view.address("CaseLedger"),
                    "topics": [topics, "0x" + seat.to_bytes(32, "big").hex()],
                }
            ],
        )
        decoded = [log for log in map(self._abi.log, logs) if log is not None]
        return [log for log in decoded if log.name != "HeadRefused" or log.args["reason"] in SIGNED_ALL_THE_SAME]

    async def _keys(self, seat: int, block: str) -> tuple[KeyInForce, ...]:
        abi, to = ContractAbi(load_artifact("Consortium").abi), self._view.address("Consortium")
        data = await self._rpc.call("eth_call", [{"to": to, "data": abi.call("keysOf", seat)}, block])
        records = abi.result("keysOf", data)[0]
        return tuple(
            KeyInForce(signer=to_checksum_address(signer), from_block=since)
            for since, signer, _, _ in records
            if since <= int(block, 16)  # one that is announced does not sign yet
        )

    async def _calldata(self, logs: Iterable[Log]) -> dict[str, Sequence[Any]]:
        """The heads in the calldata of transactions, by transaction."""
        hashes = sorted({log.transaction for log in logs})
        found = await self._rpc.batch([("eth_getTransactionByHash", [each]) for each in hashes])
        return {each: self._heads_in(transaction) for each, transaction in zip(hashes, found, strict=True)}

    def _heads_in(self, transaction: dict[str, Any]) -> Sequence[Any]:
        if str(transaction["to"]).lower() != self._view.address("CaseLedger").lower():
            return ()
        batch = self._abi.arguments("settle", transaction["input"])
        return batch[2] if batch is not None else ()

    def _brought(self, log: Log, calldata: Sequence[Any], keys: Sequence[KeyInForce]) -> list[ChainHead]:
        """The head that an event tells of. A refusal does not tell the root: it is looked up in the calldata, where a head of
        that size counts only with a signature by the seat's key of that block."""
        seat, size = log.args["seat"], log.args["size"]
        outcome = {"HeadAnchored": Outcome.ANCHORED, "HeadConflicted": Outcome.CONFLICTED}.get(
            log.name, Outcome.REFUSED
        )
        signer = next((key.signer for key in reversed(keys) if key.from_block <= log.block), None)
        signed = {}
        for number, _, _, new_size, new_root, _, signature in calldata:
            if (number, new_size) == (seat, size) and len(signature) == 65:
                head = SignedHead(seat=seat, size=size, root=to_hex(new_root), signature=to_hex(signature))
                try:
                    by = head.signer(self._view.domain("CaseLedger"))
                except Refused:
                    continue
                if by == signer:
                    signed[head.root] = head.signature
        if outcome is not Outcome.REFUSED:
            root = to_hex(log.args["root"])
            return [self._head(log, outcome, root, signed.get(root))]
        return [self._head(log, outcome, root, signature) for root, signature in signed.items()]

    @staticmethod
    def _head(log: Log, outcome: Outcome, root: str, signature: str | None) -> ChainHead:
        return ChainHead(
            outcome=outcome,
            size=log.args["size"],
            root=root,
            signature=signature,
            block=log.block,
            transaction=log.transaction,
        )

    async def _agree(self, seat: int, anchored: Sequence[ChainHead], block: str) -> None:
        data = self._abi.call("headOf", seat)
        to = self._view.address("CaseLedger")
        size, short = self._abi.result("headOf", await self._rpc.call("eth_call", [{"to": to, "data": data}, block]))
        newest = (anchored[-1].size, from_hex(anchored[-1].root)[:26]) if anchored else (0, bytes(26))
        if (size, bytes(short)) != newest:
            raise Diverged(
                "节点的事件与状态不一致",
                detail_en="the node's events and its state disagree",
                code="bad-node",
                remedy="换一个节点 / use another node",
            )
