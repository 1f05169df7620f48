"""Sending single calls to the contracts: publishing, binding, retiring. Rare, so one at a time and waited for."""

from __future__ import annotations

import asyncio
from typing import Any

from eth_account import Account

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.rpc import Reverted, Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.keyset import SigningAccount

WAIT_SECONDS = 120.0


class Sender:
    """An account that carries other seats' signed statements to the chain. It has no say itself."""

    def __init__(self, rpc: Rpc, view: LedgerView, account: SigningAccount) -> None:
        self._rpc = rpc
        self._view = view
        self._account = Account.from_key(account.secret)
        self._turn = asyncio.Lock()
        self._abis = {name: ContractAbi(load_artifact(name).abi) for name in ("Consortium", "Catalog", "CaseLedger")}

    async def send(self, contract: str, function: str, *args: Any) -> str:
        """Sends one call and waits until it is mined; returns the transaction's hash.

        Raises Refused with the contract's own error when it says no, Unavailable when the node does not mine it.
        """
        async with self._turn:
            tx = await self._submit(contract, function, *args)
        async with asyncio.timeout(WAIT_SECONDS):
            while (receipt := await self._rpc.call("eth_getTransactionReceipt", [tx])) is None:
                await asyncio.sleep(0.1)
        if int(receipt["status"], 16) != 1:
            raise Unavailable("交易未成功", detail_en="the transaction failed", code="transaction-failed")
        return tx

    async def _submit(self, contract: str, function: str, *args: Any) -> str:
        """Sends one call; one at a time, so that nonces follow one another."""
        data = self._abis[contract].call(function, *args)
        call = {"from": self._account.address, "to": self._view.address(contract), "data": data}
        try:
            nonce, price, gas = await self._rpc.batch(
                [
                    ("eth_getTransactionCount", [self._account.address, "pending"]),
                    ("eth_gasPrice", []),
                    ("eth_estimateGas", [call]),
                ]
            )
        except Reverted as error:
            name = self._abis[contract].error(error.data)
            raise Refused(f"合约拒绝:{name}", detail_en=f"the contract refused: {name}", code=name) from None
        signed = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": self._view.chain_id,
                "nonce": int(nonce, 16),
                "to": self._view.address(contract),
                "value": 0,
                "data": data,
                "gas": int(gas, 16) * 5 // 4,
                "maxFeePerGas": int(price, 16) * 4,
                "maxPriorityFeePerGas": min(10**9, int(price, 16)),
            }
        )
        return str(await self._rpc.call("eth_sendRawTransaction", ["0x" + bytes(signed.raw_transaction).hex()]))
