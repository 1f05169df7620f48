"""The poster: one account that carries signed sheets to the chain.

It has no say: the contracts count only what the seats signed. A transaction is signed, stored and only then sent; sending
the same bytes again is harmless, and the follower, not the poster, says what happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from eth_account import Account

from orchestrator.domain.errors import Diverged, LianbanError
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.sheet import Transition

GAS_LIMIT = 16_777_216
"""The most gas that one transaction may take (EIP-7825)."""

GAS_BASE, GAS_CASE, GAS_SHEET, GAS_HEAD = 150_000, 52_000, 60_000, 90_000
"""Generous allowances per part; unused gas is not paid for."""

MAX_CALLDATA = 120_000
"""Bytes: nodes refuse transactions over 128 KB in their pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetPart:
    """A seat's sheet within a batch."""

    seat: int
    valid_until: int
    covers: frozenset[int]
    """Positions in the batch."""
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPart:
    """A seat's new log head with the proof that it extends the anchored one."""

    seat: int
    old_size: int
    old_root: bytes
    new_size: int
    new_root: bytes
    proof: tuple[bytes, ...]
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTransaction:
    """Bytes ready to be sent, any number of times."""

    nonce: int
    hash: str
    raw: bytes


class Poster:
    """Signs and sends `settle` transactions from one funded account."""

    def __init__(self, rpc: Rpc, view: LedgerView, secret: bytes) -> None:
        self._rpc = rpc
        self._view = view
        self._account = Account.from_key(secret)
        self._abi = ContractAbi(load_artifact("CaseLedger").abi)

    @property
    def address(self) -> str:
        """The posting account."""
        return str(self._account.address)

    async def nonce(self) -> int:
        """The account's nonce by the newest block."""
        return int(await self._rpc.call("eth_getTransactionCount", [self.address, "latest"]), 16)

    def settle_call(
        self, transitions: Sequence[Transition], sheets: Sequence[SheetPart], heads: Sequence[HeadPart]
    ) -> str:
        """Calldata of `settle`."""
        return self._abi.call(
            "settle",
            [(t.case_id, t.root, t.step) for t in transitions],
            [(s.seat, s.valid_until, sum(1 << i for i in s.covers), s.signature) for s in sheets],
            [(h.seat, h.old_size, h.old_root, h.new_size, h.new_root, list(h.proof), h.signature) for h in heads],
        )

    async def sign(
        self,
        nonce: int,
        transitions: Sequence[Transition],
        sheets: Sequence[SheetPart],
        heads: Sequence[HeadPart],
    ) -> SignedTransaction:
        """An EIP-1559 transaction for one batch. Raises Diverged when the node is on another chain."""
        chain, newest, price = await self._rpc.batch(
            [("eth_chainId", []), ("eth_getBlockByNumber", ["latest", False]), ("eth_gasPrice", [])]
        )
        if int(chain, 16) != self._view.chain_id:
            raise Diverged(
                "节点的链号与部署文件不符",
                detail_en="the node's chain id is not the deployment's",
                code="wrong-chain",
                remedy="核对 LIANBAN_NODE_URL 与部署文件 / check LIANBAN_NODE_URL and the deployment file",
            )
        base_fee = int(newest.get("baseFeePerGas", "0x0"), 16)
        tip = min(10**9, int(price, 16))  # nothing on a chain where gas is free
        gas = GAS_BASE + GAS_CASE * len(transitions) + GAS_SHEET * len(sheets) + GAS_HEAD * len(heads)
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self._view.chain_id,
            "nonce": nonce,
            "to": self._view.address("CaseLedger"),
            "value": 0,
            "data": self.settle_call(transitions, sheets, heads),
            "gas": min(gas, GAS_LIMIT),
            "maxFeePerGas": base_fee * 4 + tip,
            "maxPriorityFeePerGas": tip,
        }
        signed = self._account.sign_transaction(transaction)
        return SignedTransaction(
            nonce=nonce, hash="0x" + signed.hash.hex().removeprefix("0x"), raw=bytes(signed.raw_transaction)
        )

    async def send(self, raws: Sequence[bytes]) -> None:
        """Hands transactions to the node. What it already knows is fine; any other refusal is raised as Unavailable."""
        for raw in raws:
            try:
                await self._rpc.call("eth_sendRawTransaction", ["0x" + raw.hex()])
            except LianbanError as error:
                text = error.detail_en.lower()
                if not any(word in text for word in ("already known", "already imported", "nonce too low")):
                    raise

    async def outcomes(self, hashes: Sequence[str]) -> list[Literal["unknown", "done", "failed"]]:
        """What the chain says of transactions: not mined (yet), done, or mined and reverted."""
        receipts = await self._rpc.batch([("eth_getTransactionReceipt", [each]) for each in hashes])
        return [
            "unknown" if receipt is None else "done" if int(receipt["status"], 16) == 1 else "failed"
            for receipt in receipts
        ]

    async def anchored_head(self, seat: int) -> tuple[int, bytes]:
        """Size and (shortened) root of the head that the chain has for a seat."""
        data = await self._rpc.call(
            "eth_call", [{"to": self._view.address("CaseLedger"), "data": self._abi.call("headOf", seat)}, "latest"]
        )
        size, root = self._abi.result("headOf", data)
        return size, root
