"""The wallet that sends everything that is measured, ours and the others' alike: one transaction, then its receipt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_utils.address import to_checksum_address

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.ledger.poster import GAS_LIMIT
from orchestrator.ledger.rpc import Rpc
from orchestrator.protocol.keyset import SigningAccount

_WAIT_SECONDS = 120.0
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """A transaction that was mined and did not revert."""

    gas: int
    """Gas used, all of it: the transaction's own 21,000, calldata, execution."""
    created: str
    """Address (EIP-55) of the contract that it created, or an empty string."""
    logs: Sequence[Mapping[str, Any]]
    """As JSON-RPC gives them."""

    def count(self, topic: str) -> int:
        """How many of the events have this first topic."""
        return sum(log["topics"][0] == topic for log in self.logs)


class Wallet:
    """An account that sends EIP-1559 transactions without access lists, one after another."""

    def __init__(self, rpc: Rpc, account: SigningAccount) -> None:
        self._rpc = rpc
        self._account = Account.from_key(account.secret)

    async def create(self, code: bytes) -> str:
        """Deploys creation code (with its constructor arguments) and returns the contract's address."""
        return (await self.send(None, code)).created

    async def send(self, to: str | None, data: bytes) -> Mined:
        """Sends one transaction with the most gas that one may have (EIP-7825), and waits until it is mined.

        Raises Refused when it reverts, Unavailable when the node does not take or mine it.
        """
        chain, nonce, newest, price = await self._rpc.batch(
            [
                ("eth_chainId", []),
                ("eth_getTransactionCount", [self._account.address, "latest"]),
                ("eth_getBlockByNumber", ["latest", False]),
                ("eth_gasPrice", []),
            ]
        )
        tip = min(10**9, int(price, 16))  # nothing on a chain where gas is free
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": int(chain, 16),
            "nonce": int(nonce, 16),
            "value": 0,
            "data": data,
            "gas": min(GAS_LIMIT, int(newest["gasLimit"], 16)),
            "maxFeePerGas": int(newest.get("baseFeePerGas", "0x0"), 16) * 4 + tip,
            "maxPriorityFeePerGas": tip,
        }
        if to is not None:
            transaction["to"] = to
        signed = self._account.sign_transaction(transaction)
        hashed = await self._rpc.call("eth_sendRawTransaction", ["0x" + bytes(signed.raw_transaction).hex()])
        return await self._mined(str(hashed))

    async def _mined(self, transaction: str) -> Mined:
        deadline = time.monotonic() + _WAIT_SECONDS
        while (receipt := await self._rpc.call("eth_getTransactionReceipt", [transaction])) is None:
            if time.monotonic() > deadline:
                raise Unavailable(
                    "交易迟迟没有出块",
                    detail_en="the transaction was not mined in time",
                    code="not-mined",
                    remedy="检查节点是否出块 / see that the node makes blocks",
                )
            await asyncio.sleep(_PAUSE_SECONDS)
        if int(receipt["status"], 16) != 1:
            raise Refused("测量的交易未成功", detail_en="a measured transaction failed", code="transaction-failed")
        created = receipt.get("contractAddress")
        return Mined(
            gas=int(receipt["gasUsed"], 16),
            created=to_checksum_address(created) if created else "",
            logs=receipt["logs"],
        )
