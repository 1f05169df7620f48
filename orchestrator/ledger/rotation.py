"""Rotating a seat's keys: announced with the key in force and the new one, in force from a block that everybody reads before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Final

from eth_utils.address import to_checksum_address

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.sender import Sender
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.holders import ChainHolder
from orchestrator.protocol.keyset import Keyset
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.sheet import rotation_digest

BLOCKS: Final = 12
"""Blocks between the announcement and the change, unless somebody says otherwise: time for every process to have read it."""

_LONGEST_BLOCK: Final = 120.0
"""Seconds without a block after which waiting for one is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """An announced change of a seat's keys."""

    change: int
    """The announcement's number on this seat."""
    from_block: int
    """The first block in which the new keys are in force."""
    signer: str
    """The chain key from then on (EIP-55)."""
    keyset_hash: bytes
    """Of the seat's document from then on."""


class Rotation:
    """Rotates keys of one seat through one node."""

    def __init__(self, rpc: Rpc, view: LedgerView, seat: SeatView) -> None:
        self._rpc = rpc
        self._view = view
        self._seat = seat
        self._abi = ContractAbi(load_artifact("Consortium").abi)

    async def announced(self) -> Announced | None:
        """The change that is announced for the seat and not in force; None when there is none."""
        change, (from_block, signer, _, keyset_hash) = await self._ask("announcedOf", self._seat.number)
        if not change:
            return None
        return Announced(
            change=int(change),
            from_block=int(from_block),
            signer=to_checksum_address(signer),
            keyset_hash=bytes(keyset_hash),
        )

    async def require_quiet(self) -> None:
        """Raises Refused (code `change-announced`) while a change of the seat's keys is announced."""
        waiting = await self.announced()
        if waiting is not None:
            raise Refused(
                f"已公告另一项变更(第 {waiting.change} 次),自区块 {waiting.from_block} 生效",
                detail_en=f"change {waiting.change} is announced already and in force from block {waiting.from_block}",
                code="change-announced",
                remedy="等它生效,或 lianban seat veto / wait until it is in force, or veto it",
            )

    def renewed(self, use: str, jwk: dict[str, Any] | None) -> Keyset:
        """The seat's document with another public key for `use`; for its chain key, which stands elsewhere, as it is."""
        if jwk is None:
            return self._seat.keyset
        keys = tuple({**jwk, "use_for": use} if each["use_for"] == use else each for each in self._seat.keyset.keys)
        return replace(self._seat.keyset, keys=keys)

    async def announce(
        self, keyset: Keyset, present: ChainHolder, new: ChainHolder, sender: Sender, *, blocks: int = BLOCKS
    ) -> tuple[Announced, str]:
        """Announces a document and chain key, in force so many blocks from now, at least 2 and at most as the contract allows;
        the announcement and its transaction.

        Raises Refused (code `change-announced`) while another change is announced, and as `Sender.send`.
        """
        await self.require_quiet()
        (most,) = await self._ask("vetoBlocks")
        (count,) = await self._ask("changeCount", self._seat.number)
        from_block = await self.block() + max(2, min(blocks, int(most)))
        digest = rotation_digest(
            self._view.domain("Consortium"), self._seat.number, new.address, keyset.hash, from_block, int(count) + 1
        )
        transaction = await sender.send(
            "Consortium",
            "rotate",
            self._seat.number,
            new.address,
            keyset.document(),
            from_block,
            present.sign_hash(digest),
            new.sign_hash(digest),
        )
        announced = Announced(change=int(count) + 1, from_block=from_block, signer=new.address, keyset_hash=keyset.hash)
        return announced, transaction

    async def wait(self, announced: Announced) -> SeatView:
        """Waits for the block of a change; the seat as it is then. Raises Refused (code `not-in-force`) when the change was vetoed,
        Unavailable when no block comes."""
        before, patience = await self.block(), _LONGEST_BLOCK
        while (block := await self.block()) < announced.from_block:
            patience = _LONGEST_BLOCK if block != before else patience - 0.5
            before = block
            if patience <= 0:
                raise Unavailable("链上没有新区块", detail_en="the chain makes no blocks", code="no-blocks")
            await asyncio.sleep(0.5)
        await self._view.refresh()
        seat = await self._view.seat(self._seat.number)
        if (seat.signer, seat.keyset.hash) != (announced.signer, announced.keyset_hash):
            raise Refused(
                "公告的变更没有生效:已被否决,或已由其他变更取代",
                detail_en=f"change {announced.change} did not come into force ({to_hex(announced.keyset_hash)}): it was vetoed",
                code="not-in-force",
                remedy="lianban seat show;若非本部门否决,请理事会 suspend / unless it was you, have the seat suspended",
            )
        return seat

    async def block(self) -> int:
        """The newest block's number."""
        return int(await self._rpc.call("eth_blockNumber"), 16)

    async def _ask(self, function: str, *arguments: Any) -> Any:
        data = self._abi.call(function, *arguments)
        answer = await self._rpc.call("eth_call", [{"to": self._view.address("Consortium"), "data": data}, "latest"])
        return self._abi.result(function, answer)
