"""Decisions: where a proposal stands on the chain, and carrying it out once enough members have signed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from safe_eth.eth import EthereumClient
from safe_eth.safe.exceptions import InvalidMultisigTx
from web3.exceptions import ContractLogicError
from web3.types import FilterParams

from orchestrator.council.acts import TakeOver
from orchestrator.council.node import wait_mined
from orchestrator.council.proposals import Proposal
from orchestrator.council.registry import Registry
from orchestrator.council.safe import SafeState, read_safe
from orchestrator.domain.canonical import keccak, to_hex
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.protocol.keyset import SigningAccount

_SUCCESS: Final = "0x" + keccak(b"ExecutionSuccess(bytes32,uint256)").hex()


class Progress(Enum):
    """Where a proposal stands."""

    OPEN = "open"
    """Its number is the Safe's next one: it can be executed once enough have signed."""
    QUEUED = "queued"
    """Proposals with lower numbers come first."""
    EXECUTED = "executed"
    OVERTAKEN = "overtaken"
    """Another proposal with its number was executed: it never can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A proposal's signatures as its Safe would count them now."""

    progress: Progress
    signed: tuple[str, ...]
    """Owners who have signed."""
    missing: tuple[str, ...]
    """Owners who have not."""
    strangers: tuple[str, ...]
    """Who signed and is no owner, or no longer: these signatures do not count."""
    threshold: int
    block: int | None
    """Where it was executed."""
    transaction: str | None

    @property
    def enough(self) -> bool:
        """Whether it could be executed, as far as signatures go."""
        return len(self.signed) >= self.threshold


def read_council(client: EthereumClient, registry: Registry, *, taking_over: bool = False) -> SafeState | None:
    """The Safe that is the council, or with `taking_over` the one that the ownership is offered to; None when that is an
    account. Raises Refused when nothing is offered, or a contract of another kind owns the consortium.
    """
    address = registry.require_offer() if taking_over else registry.owner
    safe = read_safe(client, address)
    if safe is None and client.is_contract(to_checksum_address(address)):
        raise Refused(
            f"{address} 是合约而不是 Safe",
            detail_en=f"{address} is a contract and no Safe",
            code="no-safe",
            remedy="用该合约自己的工具 / use that contract's own tools",
        )
    return safe


def council_of(client: EthereumClient, proposal: Proposal, registry: Registry) -> SafeState:
    """The proposal's Safe, once it is sure that the proposal is for this consortium and that its Safe can do this.

    Raises Invalid for another chain or consortium, Refused for a Safe that is not the council (any more).
    """
    if proposal.chain_id != registry.chain_id:
        raise Invalid(
            field="chain_id",
            detail=f"提案属于链 {proposal.chain_id},节点在链 {registry.chain_id}",
            detail_en=f"the proposal is for chain {proposal.chain_id}, the node is on {registry.chain_id}",
            remedy="核对 LIANBAN_NODE_URL,或换文件 / check LIANBAN_NODE_URL, or take another file",
            code="wrong-chain",
        )
    if proposal.to != registry.consortium:
        raise Invalid(
            field="to",
            detail="提案属于另一个联盟",
            detail_en=f"the proposal is for the consortium {proposal.to}, this one is {registry.consortium}",
            remedy="核对部署文件,或换文件 / check the deployment file, or take another file",
            code="other-consortium",
        )
    safe = read_safe(client, proposal.safe)
    if safe is None or safe.version != proposal.version:
        raise Invalid(
            field="safe",
            detail="该地址没有提案所说的 Safe",
            detail_en="the Safe that the proposal names is not there",
            remedy="核对节点,或重新提案 / check the node, or propose anew",
            code="no-safe",
        )
    return safe


def check_office(proposal: Proposal, registry: Registry) -> None:
    """Raises Refused when the proposal's Safe is not the council, or for taking over not the one that was offered it."""
    entitled = registry.offered_to if isinstance(proposal.act, TakeOver) else registry.owner
    if entitled != proposal.safe:
        raise Refused(
            f"Safe {proposal.safe} 不是该联盟的理事会(现为 {entitled or registry.owner})",
            detail_en=f"the Safe {proposal.safe} is not this consortium's council, which is {entitled or registry.owner}",
            code="not-the-council",
            remedy="用 lianban council seats 查看,由现理事会提案 / see lianban council seats; its council proposes",
        )


def count(client: EthereumClient, proposal: Proposal, safe: SafeState, since: int) -> Count:
    """Where the proposal stands and who has signed; `since` is a block no later than the consortium's first."""
    progress, block, transaction = Progress.OPEN, None, None
    if proposal.nonce > safe.nonce:
        progress = Progress.QUEUED
    elif proposal.nonce < safe.nonce:
        found = _execution(client, proposal, since)
        progress = Progress.OVERTAKEN if found is None else Progress.EXECUTED
        block, transaction = found or (None, None)
    return Count(
        progress=progress,
        signed=tuple(owner for owner in safe.owners if owner in proposal.signatures),
        missing=tuple(owner for owner in safe.owners if owner not in proposal.signatures),
        strangers=tuple(owner for owner in proposal.signatures if owner not in safe.owners),
        threshold=safe.threshold,
        block=block,
        transaction=transaction,
    )


def check_open(proposal: Proposal, safe: SafeState, counted: Count) -> None:
    """Raises Refused when the proposal's number is taken by another, executed proposal."""
    if counted.progress is Progress.OVERTAKEN:
        raise Refused(
            f"提案编号 {proposal.nonce} 已被另一提案用掉,Safe 现为 {safe.nonce}",
            detail_en=f"number {proposal.nonce} went to another proposal; the Safe is at {safe.nonce} by now",
            code="stale-nonce",
            remedy="重新提案并重新签署 / propose and sign anew",
        )


def check_signer(proposal: Proposal, safe: SafeState, account: SigningAccount) -> None:
    """Raises Invalid when the account is no owner of the Safe."""
    if account.address not in safe.owners:
        raise Invalid(
            field="key",
            detail=f"{account.address} 不是该 Safe 的成员",
            detail_en=f"{account.address} is no owner of this Safe",
            remedy="用成员自己的密钥目录;成员见 lianban council members / use an owner's key folder",
            code="not-an-owner",
        )


def execute(client: EthereumClient, proposal: Proposal, safe: SafeState, counted: Count, payer: SigningAccount) -> int:
    """Carries an open proposal out, `payer` paying for the transaction; the block. Simulated before it is sent.

    Raises Refused when signatures are missing, others come first, or the Safe would refuse.
    """
    check_open(proposal, safe, counted)
    if counted.progress is Progress.QUEUED:
        raise Refused(
            f"提案编号为 {proposal.nonce},Safe 现为 {safe.nonce}:编号较小的提案先执行",
            detail_en=f"this is number {proposal.nonce} and the Safe is at {safe.nonce}: lower ones come first",
            code="not-yet",
            remedy="先执行前面的提案 / execute those before it",
        )
    if not counted.enough:
        lacking = counted.threshold - len(counted.signed)
        raise Refused(
            f"还差 {lacking} 个签名;未签:{', '.join(counted.missing)}",
            detail_en=f"{lacking} more signatures are needed; not signed by {', '.join(counted.missing)}",
            code="signatures-missing",
            remedy="请其 lianban council sign / have them sign with lianban council sign",
        )
    transaction = proposal.transaction(client, frozenset(safe.owners))
    try:
        transaction.call(tx_sender_address=payer.address)
        sent, _ = transaction.execute(to_hex(payer.secret), tx_gas_price=client.w3.eth.gas_price * 2)
    except (InvalidMultisigTx, ContractLogicError) as error:
        raise Refused(
            "Safe 会拒绝执行",
            detail_en=f"the Safe would refuse: {type(error).__name__}",
            code="safe-refuses",
            remedy="先看 lianban council show / read lianban council show first",
        ) from None
    block = wait_mined(client, sent)
    after = read_safe(client, safe.address)
    if after is None or after.nonce <= proposal.nonce:
        raise Refused("提案没有执行", detail_en="the proposal was not executed", code="not-executed", remedy="重新执行")
    return block


def _execution(client: EthereumClient, proposal: Proposal, since: int) -> tuple[int, str] | None:
    """Block and transaction in which the Safe executed the proposal; None when it did not."""
    wanted: FilterParams = {
        "address": to_checksum_address(proposal.safe),
        "fromBlock": since,
        "toBlock": "latest",
        "topics": [HexBytes(_SUCCESS)],
    }
    for log in client.slow_w3.eth.get_logs(wanted):
        # Before 1.4.1 the hash was not indexed.
        named = log["topics"][1] if len(log["topics"]) > 1 else log["data"][:32]
        if bytes(named) == proposal.hash:
            return int(log["blockNumber"]), HexBytes(log["transactionHash"]).to_0x_hex()
    return None
