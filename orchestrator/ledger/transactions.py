"""Transactions of one account, signed here or by whoever holds its key, sent through web3.

For deploying and admitting, which is rare and done by hand. Batches of cases go another way (`poster.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

import requests.exceptions
from eth_account import Account
from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.exceptions import Web3Exception
from web3.types import Nonce, RPCEndpoint, TxParams, Wei

from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.protocol.keyset import SigningAccount

WAIT_SECONDS: Final = 120.0
"""For how long a transaction may wait to be mined, or the chain for its next block."""

_MARGIN = 5, 4
"""Gas allowed for each estimated."""
_TIP = 10**9
_RICH = 10**24
"""What an account of a devnet is given, in wei: never to be thought about again."""
_SENT_BEFORE = ("already known", "already imported", "underpriced", "nonce too low")


class Signer(Protocol):
    """An account that can sign transactions."""

    @property
    def address(self) -> str:
        """EIP-55."""

    def sign(self, transaction: TxParams) -> bytes:
        """The transaction as it is sent, signed."""


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Signs with a key that we hold."""

    account: SigningAccount

    @property
    def address(self) -> str:
        """EIP-55."""
        return self.account.address

    def sign(self, transaction: TxParams) -> bytes:
        """The transaction as it is sent, signed."""
        return bytes(Account.from_key(self.account.secret).sign_transaction(transaction).raw_transaction)


@contextmanager
def open_chain(url: str, timeout: float = 10.0) -> Iterator[Web3]:
    """A web3 client whose failures to reach the node are Unavailable; `timeout` is seconds for one request."""
    web3 = Web3(HTTPProvider(url, request_kwargs={"timeout": timeout}))
    try:
        yield web3
    except requests.exceptions.RequestException as error:
        raise Unavailable(
            "链节点没有应答",
            detail_en=f"the node did not answer: {type(error).__name__}",
            code="node-down",
            remedy=look_at(url),
        ) from None


def look_at(url: str) -> str:
    """The remedy for a node that does not answer. Host and port alone are told: the rest of its address may be secret."""
    found = urlsplit(url)
    host = f"{found.hostname}:{found.port}" if found.port else str(found.hostname)
    return f"检查 LIANBAN_NODE_URL(或网络文件的 node)与节点 {host} / check LIANBAN_NODE_URL (or the network file's node) and {host}"


def send(web3: Web3, signer: Signer, nonce: int, to: str | None, data: bytes) -> bytes | None:
    """Signs and sends one transaction, a creation when `to` is None; its hash, or None when the node has one of this
    nonce already, in its pool or on chain.

    Raises web3's ContractLogicError when it would revert, Unavailable when the node does not take it.
    """
    price = max_fee(web3)
    transaction: TxParams = {
        "chainId": web3.eth.chain_id,
        "nonce": Nonce(nonce),
        "value": Wei(0),
        "data": HexBytes(data),
        "gas": gas_limit(web3, signer.address, to, data),
        "maxFeePerGas": Wei(price),
        "maxPriorityFeePerGas": Wei(min(price, _TIP)),
    }
    if to is not None:
        transaction["to"] = checksummed(to)
    try:
        return bytes(web3.eth.send_raw_transaction(signer.sign(transaction)))
    except Web3Exception as error:
        if any(known in str(error).lower() for known in _SENT_BEFORE):
            return None
        raise Unavailable(
            "链节点没有接受交易",
            detail_en=f"the node did not take the transaction: {error}",
            code="node-error",
            remedy="检查节点日志后重新运行 / read the node's log, then run this again",
        ) from None


def gas_limit(web3: Web3, sender: str, to: str | None, data: bytes) -> int:
    """The gas that a transaction may use: what the node estimates and a quarter more."""
    call: TxParams = {"from": checksummed(sender), "data": HexBytes(data)}
    if to is not None:
        call["to"] = checksummed(to)
    more, of = _MARGIN
    return web3.eth.estimate_gas(call) * more // of


def max_fee(web3: Web3) -> int:
    """The most that we pay for a unit of gas, wei: twice the present price, 0 where gas is free."""
    return web3.eth.gas_price * 2


def next_nonce(web3: Web3, address: str, *, with_pool: bool = False) -> int:
    """The nonce of the account's next transaction: of what is mined, or also of what waits in the node's pool."""
    return web3.eth.get_transaction_count(checksummed(address), "pending" if with_pool else "latest")


def wait_mined(web3: Web3, address: str, nonce: int) -> None:
    """Waits until the account's transactions below `nonce` are on chain. Raises Unavailable after `WAIT_SECONDS`."""
    deadline = time.monotonic() + WAIT_SECONDS
    while next_nonce(web3, address) < nonce:
        if time.monotonic() > deadline:
            raise not_mined()
        time.sleep(0.1)


def not_mined() -> Unavailable:
    """The error for a chain that does not take up what was sent."""
    return Unavailable(
        "交易迟迟没有出块",
        detail_en="the transactions were not mined in time",
        code="not-mined",
        remedy="检查节点是否出块，然后重新运行 / see that the node makes blocks, then run this again",
    )


def fund(node_url: str, address: str, *, timeout: float = 10.0) -> None:
    """Sees to it that an account of a devnet can pay for gas: where gas is free nothing is needed, Anvil gives a balance.

    Raises Refused on any other node while the account has nothing: somebody has to send it some.
    """
    with open_chain(node_url, timeout) as web3:
        account = checksummed(address)
        if web3.eth.get_balance(account) > 0:
            return
        given = web3.provider.make_request(RPCEndpoint("anvil_setBalance"), [account, hex(_RICH)])
        if "error" in given and web3.eth.gas_price > 0:
            raise no_funds(address)


def no_funds(address: str, needed: int | None = None) -> Refused:
    """The error for an account that cannot pay; `needed` is wei."""
    amount = "" if needed is None else f" (≥ {needed} wei)"
    return Refused(
        f"账户 {address} 的余额不够支付燃料费{amount}",
        detail_en=f"account {address} has too little to pay gas with{amount}",
        code="no-funds",
        remedy="向该账户转入余额，或把节点设为免燃料费 / send it some, or run the node with free gas",
    )


def created_address(sender: str, nonce: int) -> ChecksumAddress:
    """The address of the contract that an account creates with this nonce (Yellow Paper §7)."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    item = number if len(number) == 1 and number[0] < 0x80 else bytes([0x80 + len(number)]) + number
    body = b"\x94" + bytes.fromhex(sender[2:]) + item
    return checksummed("0x" + keccak(bytes([0xC0 + len(body)]) + body)[12:].hex())


def checksummed(address: str) -> ChecksumAddress:
    """The address as web3 wants it, EIP-55."""
    return to_checksum_address(address)
