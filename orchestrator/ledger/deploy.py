"""Deploying the contracts, so that doing it again changes nothing and whoever is interrupted goes on.

The plan (`plans.py`) is stored before the first transaction. Once all code is on chain, is the artifacts' down to the last
immutable and has its confirmations, the deployment file takes the plan's place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import BlockNotFound, ContractLogicError, TransactionNotFound

from orchestrator.domain.errors import Diverged, Refused
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import CONTRACTS, load_artifact
from orchestrator.ledger.deployments import Deployment, read_deployment, write_deployment
from orchestrator.ledger.plans import Plan, Terms, read_plan, release, write_plan
from orchestrator.ledger.transactions import (
    WAIT_SECONDS,
    KeySigner,
    Signer,
    checksummed,
    fund,
    gas_limit,
    max_fee,
    next_nonce,
    no_funds,
    not_mined,
    open_chain,
    send,
)
from orchestrator.ledger.verification import FRESH, code_at, verify
from orchestrator.ledger.wiring import Wiring, fault_of
from orchestrator.protocol.keyset import SigningAccount

_TRIES: Final = 5
"""How often creations are sent anew because the account or the chain moved under us."""
_POLL_SECONDS: Final = 0.1


class Noting(Protocol):
    """A step under way."""

    def note(self, text: str, /) -> None:
        """Says in a few words what came of it."""


StepOpener = Callable[[str, str], AbstractContextManager[Noting]]
"""Opens a step that a person sees, named in Chinese and in English."""


class _Silence:
    def note(self, text: str, /) -> None:
        """Says nothing."""


def silent(zh: str, en: str) -> AbstractContextManager[Noting]:
    """Steps that nobody sees."""
    return nullcontext(_Silence())


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """One contract of a plan."""

    contract: str
    address: str
    nonce: int
    there: bool
    """Whether it is on chain already, every immutable as planned."""
    gas: int
    """The gas that its creation may use; 0 when it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What deploying would do now."""

    chain_id: int
    sender: str
    balance: int
    """The sender's, wei."""
    council: str
    council_is_contract: bool
    max_fee: int
    """The most that is paid for a unit of gas, wei."""
    deployment: Deployment | None
    """What is there and verified: nothing would be sent."""
    creations: tuple[Creation, ...]
    remarks: tuple[tuple[str, str], ...]
    """What was found of an earlier attempt, in Chinese and in English."""

    @property
    def cost(self) -> int:
        """The most that the missing creations cost, wei."""
        return self.max_fee * sum(each.gas for each in self.creations)


def deploy(
    node_url: str,
    owner: SigningAccount,
    file: Path,
    *,
    veto_blocks: int,
    council: str | None = None,
    chain_id: int | None = None,
    timeout: float = 10.0,
) -> Deployment:
    """Deploys the contracts on a devnet from an account whose key we hold, or takes up what `file` names.

    Anvil gives the account a balance when it has none. Everything else is as with `Deployer.deploy`.
    """
    with open_chain(node_url, timeout) as web3:
        terms = Terms(veto_blocks=veto_blocks, council=council, chain_id=chain_id)
        return Deployer(web3, KeySigner(owner), file, terms, funder=partial(fund, node_url)).deploy()


class Deployer:
    """Deploys `Consortium`, `Catalog` and `CaseLedger` through one node from one account, and keeps where they are in
    `file`, beside which an unfinished plan lies."""

    def __init__(
        self,
        web3: Web3,
        signer: Signer,
        file: Path,
        terms: Terms,
        *,
        step: StepOpener = silent,
        funder: Callable[[str], None] | None = None,
    ) -> None:
        """`step` shows what is being done; `funder` gives an account of a devnet that cannot pay a balance."""
        self._web3 = web3
        self._signer = signer
        self._file = file
        self._plan_file = file.with_name(file.stem + "-plan.json")
        self._terms = terms
        self._council = checksummed(terms.council or signer.address)
        self._step = step
        self._funder = funder

    def outlook(self) -> Outlook:
        """What `deploy` would do now; sends and writes nothing. Raises what `deploy` would raise before it sends."""
        chain_id = self._require_chain()
        found = self._found(chain_id)
        plan, remarks = (None, ()) if found else self._plan(chain_id)
        return Outlook(
            chain_id=chain_id,
            sender=self._signer.address,
            balance=self._web3.eth.get_balance(checksummed(self._signer.address)),
            council=self._council,
            council_is_contract=bool(code_at(self._web3, self._council)),
            max_fee=max_fee(self._web3),
            deployment=found,
            creations=() if plan is None else self._creations(plan),
            remarks=remarks,
        )

    def deploy(self) -> Deployment:
        """Deploys what is missing and returns where it all is.

        Raises Refused when the node's chain is not the expected one, the account cannot pay or a creation fails;
        Diverged when the chain has other contracts than the file says, or the file's plan is another one that was
        begun; Unavailable when the node does not answer or mine. All can be called again once the cause is gone.
        """
        with self._step("核对链与已有部署", "checking the chain and what is there") as step:
            chain_id = self._require_chain()
            found = self._found(chain_id)
            step.note(f"chain {chain_id}" + ("，已部署并核对无误 deployed and verified" if found else ""))
        if found is None:
            plan, remarks = self._plan(chain_id)
            for zh, en in remarks:
                with self._step(zh, en):
                    pass
            self._require_funds(plan)
            write_plan(self._plan_file, plan)
            plan = self._create(plan)
            found = self._verified(plan)
            write_deployment(self._file, found)
        self._plan_file.unlink(missing_ok=True)
        return found

    def _require_chain(self) -> int:
        actual = self._web3.eth.chain_id
        expected = self._terms.chain_id
        if expected is not None and actual != expected:
            raise Refused(
                f"链号应为 {expected}，节点为 {actual}，什么也没有发送",
                detail_en=f"expected chain {expected}, the node is on {actual}; nothing was sent",
                code="wrong-chain",
                remedy="核对节点地址与链号（网络文件或 LIANBAN_NODE_URL、LIANBAN_CHAIN_ID）/ "
                "check the node's address and the chain id (network file, or LIANBAN_NODE_URL and LIANBAN_CHAIN_ID)",
            )
        return actual

    def _found(self, chain_id: int) -> Deployment | None:
        """What the deployment file names, verified. Raises Diverged when the chain has something else."""
        there = read_deployment(self._file)
        if there is None:
            return None
        if chain_id != there.chain_id:
            raise Diverged(
                f"部署文件 {self._file.name} 属于链 {there.chain_id}，节点在链 {chain_id}",
                detail_en=f"{self._file.name} is of chain {there.chain_id}, the node is on {chain_id}",
                code="wrong-chain",
                remedy=FRESH,
            )
        wiring = Wiring(
            chain_id=chain_id,
            consortium=there.consortium,
            catalog=there.catalog,
            ledger=there.ledger,
            veto_blocks=self._terms.veto_blocks,
        )
        verify(self._web3, wiring, self._council)
        return there

    def _verified(self, plan: Plan) -> Deployment:
        with self._step("核对链上代码、接线与所有者", "verifying code, wiring and owner on chain"):
            wiring = plan.wiring()
            verify(self._web3, wiring, self._council)
        return Deployment(
            chain_id=plan.chain_id,
            consortium=wiring.consortium,
            catalog=wiring.catalog,
            ledger=wiring.ledger,
            block=plan.block,
        )

    def _plan(self, chain_id: int) -> tuple[Plan, tuple[tuple[str, str], ...]]:
        """The stored plan if it is this one, moved where the account has overtaken it; else a new one. With remarks.

        Raises Diverged when the stored plan is another one and something of it may have been sent.
        """
        nonce = next_nonce(self._web3, self._signer.address, with_pool=True)
        new = Plan(
            chain_id=chain_id,
            sender=self._signer.address,
            council=self._council,
            veto_blocks=self._terms.veto_blocks,
            release=release(),
            block=max(0, self._web3.eth.block_number + 1 - self._terms.confirmations),
            nonces=tuple(range(nonce, nonce + len(CONTRACTS))),
        )
        stored = read_plan(self._plan_file)
        if stored is None:
            return new, ()
        differences = stored.differs_from(new)
        if not differences:
            there = sum(self._is_there(stored, index) for index in range(len(CONTRACTS)))
            resumed = (
                f"接着上次的部署 ({there}/{len(CONTRACTS)})",
                f"going on with an unfinished deployment ({there} there)",
            )
            moved = self._overtaken(stored)
            return (stored, (resumed,)) if moved is None else (moved, (resumed, _moved_remark(moved)))
        begun = stored.chain_id != chain_id or (
            next_nonce(self._web3, stored.sender, with_pool=True) > stored.nonces[0]
        )
        if not begun:
            return new, (("放弃另一份尚未发送的计划", "dropping another plan, nothing of which was sent"),)
        where = ", ".join(f"{name} {address}" for name, address in zip(CONTRACTS, stored.addresses(), strict=True))
        raise Diverged(
            f"这里有另一份已开始而未完成的部署：{'；'.join(differences)}（{where}）",
            detail_en=f"another deployment was begun here and not finished (stored ≠ wanted): {'; '.join(differences)}",
            code="other-plan",
            remedy=f"改回原来的值以完成它；或删除 {self._plan_file} 放弃它，其合约无人使用也无害 / put the former values "
            "back to finish it, or remove that file to give it up: its contracts have no seats and do no harm",
        )

    def _overtaken(self, plan: Plan) -> Plan | None:
        """The plan with new nonces from the first contract whose nonce went to something else, or None."""
        mined = next_nonce(self._web3, plan.sender)
        for index, nonce in enumerate(plan.nonces):
            if nonce < mined and not self._is_there(plan, index):
                return plan.moved(index, next_nonce(self._web3, plan.sender, with_pool=True))
        return None

    def _creations(self, plan: Plan) -> tuple[Creation, ...]:
        found = []
        for index, (name, address) in enumerate(zip(CONTRACTS, plan.addresses(), strict=True)):
            there = self._is_there(plan, index)
            with _reverting(name):
                gas = 0 if there else gas_limit(self._web3, plan.sender, None, plan.creation_code(name))
            found.append(Creation(contract=name, address=address, nonce=plan.nonces[index], there=there, gas=gas))
        return tuple(found)

    def _require_funds(self, plan: Plan) -> None:
        cost = max_fee(self._web3) * sum(each.gas for each in self._creations(plan))
        account = checksummed(plan.sender)
        if self._web3.eth.get_balance(account) < cost and self._funder is not None:
            self._funder(account)
        if self._web3.eth.get_balance(account) < cost:
            raise no_funds(account, cost)

    def _create(self, plan: Plan) -> Plan:
        """Sends what is missing until all of the plan, moved where need be, is there and confirmed. The plan so moved."""
        for _ in range(_TRIES):
            sent = self._send_missing(plan)
            if self._all_mined(plan, sent) and self._confirmed(plan):
                return plan
            if (moved := self._overtaken(plan)) is not None:
                plan = moved
                write_plan(self._plan_file, plan)
                with self._step(*_moved_remark(plan)):
                    pass
        raise not_mined()

    def _send_missing(self, plan: Plan) -> dict[str, bytes]:
        """Sends the creations whose nonce is still to come; contract to transaction hash where the node gave one."""
        mined = next_nonce(self._web3, plan.sender)
        sent = {}
        for name, address, nonce in zip(CONTRACTS, plan.addresses(), plan.nonces, strict=True):
            if nonce < mined:
                continue
            with self._step(f"发送 {name}", f"sending {name}") as step, _reverting(name):
                if (known := send(self._web3, self._signer, nonce, None, plan.creation_code(name))) is not None:
                    sent[name] = known
                step.note(address)
        return sent

    def _all_mined(self, plan: Plan, sent: dict[str, bytes]) -> bool:
        """Waits until the plan's nonces are used; whether each has brought its contract. Raises Refused when a creation
        that we sent has failed on chain, Unavailable when nothing is mined for long."""
        with self._step("等待出块", "waiting for them to be mined") as step:
            deadline = time.monotonic() + WAIT_SECONDS
            while next_nonce(self._web3, plan.sender) <= plan.nonces[-1]:
                if time.monotonic() > deadline:
                    raise not_mined()
                time.sleep(_POLL_SECONDS)
            step.note(f"block {self._web3.eth.block_number}")
        missing = [name for index, name in enumerate(CONTRACTS) if not self._is_there(plan, index)]
        for name in missing:
            if name in sent and self._failed(sent[name]):
                raise _creation_failed(name, f"transaction 0x{sent[name].hex()}")
        return not missing

    def _failed(self, transaction: bytes) -> bool:
        """Whether a transaction of ours is on chain without effect."""
        try:
            return self._web3.eth.get_transaction_receipt(HexBytes(transaction))["status"] == 0
        except TransactionNotFound:
            return False

    def _confirmed(self, plan: Plan) -> bool:
        """Waits for the confirmations; False when the chain was reorganised meanwhile, so that one has to look again."""
        if self._terms.confirmations == 0:
            return True
        needed = self._terms.confirmations
        with self._step(f"等待 {needed} 个区块确认", f"waiting for {needed} confirmations") as step:
            seen = self._web3.eth.get_block("latest")
            head, deadline = seen["number"], time.monotonic() + WAIT_SECONDS
            while head < seen["number"] + needed:
                if time.monotonic() > deadline:
                    raise not_mined()
                time.sleep(_POLL_SECONDS)
                if (now := self._web3.eth.block_number) != head:
                    head, deadline = now, time.monotonic() + WAIT_SECONDS
                if self._hash(seen["number"]) != seen["hash"]:
                    step.note("重组，重新核对 the chain was reorganised, looking again")
                    return False
            step.note(f"block {head}")
        return all(self._is_there(plan, index) for index in range(len(CONTRACTS)))

    def _hash(self, block: int) -> bytes | None:
        """The hash of a block; None when the chain is shorter."""
        try:
            return bytes(self._web3.eth.get_block(block)["hash"])
        except BlockNotFound:
            return None

    def _is_there(self, plan: Plan, index: int) -> bool:
        wiring, name = plan.wiring(), CONTRACTS[index]
        code = code_at(self._web3, plan.addresses()[index])
        return fault_of(load_artifact(name), code, wiring.immutables(name)) is None


@contextmanager
def _reverting(contract: str) -> Iterator[None]:
    """A creation that the node says would revert is Refused, with the contract's own error."""
    try:
        yield
    except ContractLogicError as error:
        name = ContractAbi(load_artifact(contract).abi).error(str(error.data or "0x"))
        raise _creation_failed(contract, name) from None


def _creation_failed(contract: str, why: str) -> Refused:
    return Refused(
        f"无法创建 {contract}：{why}",
        detail_en=f"{contract} cannot be created: {why}",
        code="creation-failed",
        remedy="核对节点的 EVM 版本（Prague）与燃料上限 / check the node's EVM version (Prague) and gas limits",
    )


def _moved_remark(plan: Plan) -> tuple[str, str]:
    return (
        f"计划的交易序号已被该账户的其他交易占用，改用 {plan.nonces[0]}–{plan.nonces[-1]}",
        f"the account used a planned nonce for something else; now {plan.nonces[0]}-{plan.nonces[-1]}",
    )
