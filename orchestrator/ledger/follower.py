"""The follower: what the chain's own events say, block by block.

It remembers the hashes of the blocks that it has read. When a block that it had read is gone, it goes back to the last
block that both chains share and reads on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Unavailable
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.sheet import unpack_step

BLOCKS_A_READ = 500

CASE_REFUSALS = (
    "none",
    "zero-root",
    "unknown-status",
    "unknown-binding",
    "other-binding",
    "retired-binding",
    "wrong-sequence",
    "forbidden-move",
    "not-signed",
)
"""`CaseRefusal` of the contracts, by number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A `CaseSettled` event."""

    case_id: str
    status: int
    sequence: int
    binding: int
    root: str
    block: int
    transaction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedCase:
    """A `CaseRefused` event."""

    case_id: str
    sequence: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """A `HeadAnchored` event."""

    seat: int
    size: int
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one read found."""

    rewind_to: int | None
    """The last block that is still on the chain, when blocks that had been read are gone."""
    blocks: tuple[dict[str, Any], ...]
    """{number, hash, parent} of the last blocks read."""
    settled: tuple[Settled, ...]
    refused: tuple[RefusedCase, ...]
    anchored: tuple[Anchored, ...]
    receipts: tuple[dict[str, Any], ...]
    """{tx_hash, block, gas_used} of the transactions with events."""
    up_to: int


class Follower:
    """Reads `CaseLedger` events of new blocks."""

    def __init__(self, rpc: Rpc, view: LedgerView) -> None:
        self._rpc = rpc
        self._view = view
        self._abi = ContractAbi(load_artifact("CaseLedger").abi)

    async def read(self, known: Sequence[dict[str, Any]]) -> Reading | None:
        """What happened since `known` (newest first, as the store keeps them); None when there is no new block."""
        newest = int(await self._rpc.call("eth_blockNumber", []), 16)
        rewind_to: int | None = None
        position = self._view.deployment.block - 1
        if known:
            position = int(known[0]["number"])
            shared = await self._last_shared(known)
            if shared != position:
                rewind_to = position = shared
        if newest <= position and rewind_to is None:
            return None
        up_to = min(newest, position + BLOCKS_A_READ)
        logs: list[dict[str, Any]] = []
        if up_to > position:
            logs = await self._rpc.call(
                "eth_getLogs",
                [
                    {
                        "fromBlock": hex(position + 1),
                        "toBlock": hex(up_to),
                        "address": self._view.address("CaseLedger"),
                    }
                ],
            )
        numbers = range(max(position + 1, up_to - 63), up_to + 1)
        hashes = sorted({raw["transactionHash"] for raw in logs})
        answers = await self._rpc.batch(
            [("eth_getBlockByNumber", [hex(number), False]) for number in numbers]
            + [("eth_getTransactionReceipt", [tx]) for tx in hashes]
        )
        if None in answers:
            raise Unavailable(
                "链在读取时发生重组", detail_en="the chain was reorganised while it was read", code="chain-moved"
            )
        blocks = [
            {"number": int(block["number"], 16), "hash": block["hash"], "parent": block["parentHash"]}
            for block in answers[: len(numbers)]
        ]
        receipts = [
            {
                "tx_hash": receipt["transactionHash"],
                "block": int(receipt["blockNumber"], 16),
                "gas_used": int(receipt["gasUsed"], 16),
            }
            for receipt in answers[len(numbers) :]
        ]
        return self._reading(rewind_to, blocks, logs, receipts, up_to)

    async def _last_shared(self, known: Sequence[dict[str, Any]]) -> int:
        newest = known[0]
        block = await self._rpc.call("eth_getBlockByNumber", [hex(int(newest["number"])), False])
        if block is not None and block["hash"] == newest["hash"]:
            return int(newest["number"])
        answers = await self._rpc.batch([("eth_getBlockByNumber", [hex(int(b["number"])), False]) for b in known])
        for mine, theirs in zip(known, answers, strict=True):
            if theirs is not None and theirs["hash"] == mine["hash"]:
                return int(mine["number"])
        return self._view.deployment.block - 1

    def _reading(
        self,
        rewind_to: int | None,
        blocks: list[dict[str, Any]],
        logs: list[dict[str, Any]],
        receipts: list[dict[str, Any]],
        up_to: int,
    ) -> Reading:
        settled: list[Settled] = []
        refused: list[RefusedCase] = []
        anchored: list[Anchored] = []
        for raw in logs:
            log = self._abi.log(raw)
            if log is None:
                continue
            if log.name == "CaseSettled":
                status, sequence, binding = unpack_step(log.args["step"])
                settled.append(
                    Settled(
                        case_id=to_hex(log.args["caseId"]),
                        status=int(status),
                        sequence=sequence,
                        binding=binding,
                        root=to_hex(log.args["dossierRoot"]),
                        block=log.block,
                        transaction=log.transaction,
                    )
                )
            elif log.name == "CaseRefused":
                sequence = log.args["step"] >> 40 & 0xFFFF
                reason = CASE_REFUSALS[log.args["reason"]]
                refused.append(RefusedCase(case_id=to_hex(log.args["caseId"]), sequence=sequence, reason=reason))
            elif log.name == "HeadAnchored":
                anchored.append(Anchored(seat=log.args["seat"], size=log.args["size"], root=to_hex(log.args["root"])))
        return Reading(
            rewind_to=rewind_to,
            blocks=tuple(blocks),
            settled=tuple(settled),
            refused=tuple(refused),
            anchored=tuple(anchored),
            receipts=tuple(receipts),
            up_to=up_to,
        )
