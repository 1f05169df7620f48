"""Deploying on a network, as a person sees it: step by step, or in words beforehand.

What `lianban deploy` and the script for ape (`deploy/ledger.py`) share.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import typer
from web3 import Web3

from orchestrator.devnet.progress import Steps
from orchestrator.ledger.deploy import Creation, Deployer, Outlook
from orchestrator.ledger.deployments import Deployment
from orchestrator.ledger.plans import Terms
from orchestrator.ledger.transactions import Signer

SHORT_VETO: Final = 3600.0
"""Seconds below which a veto can hardly come in time."""

_WEI = 10**18
_SPANS = ((86_400, "天 days"), (3_600, "小时 hours"), (60, "分钟 minutes"), (1, "秒 seconds"))


def run_deployment(
    web3: Web3,
    signer: Signer,
    file: Path,
    terms: Terms,
    *,
    block_seconds: float,
    dry_run: bool,
    funder: Callable[[str], None] | None = None,
) -> Deployment | None:
    """Deploys and prints the addresses; with `dry_run` only says what would happen, and returns what is there.

    `block_seconds` is the time between two blocks. Raises as `Deployer.deploy` does.
    """
    steps = Steps()
    deployer = Deployer(web3, signer, file, terms, step=steps.step, funder=funder)
    if dry_run:
        outlook = deployer.outlook()
        for line in describe(outlook, terms, block_seconds):
            typer.echo(line)
        return outlook.deployment
    deployment = deployer.deploy()
    for name in ("consortium", "catalog", "ledger"):
        typer.echo(f"{name:<11}{getattr(deployment, name)}")
    return deployment


def describe(outlook: Outlook, terms: Terms, block_seconds: float) -> list[str]:
    """What deploying would do, in words, line by line."""
    council = outlook.council
    if outlook.council == outlook.sender:
        council += "  就是部署账户,一人即可决定 · the account that deploys, which decides alone"
    elif outlook.council_is_contract:
        council += "  合约(多签) · a contract"
    else:
        council += "  ! 此处没有合约,只是一个账户 · no contract is there, only an account"
    lines = [
        "演练,什么也不发送 · dry run, nothing is sent",
        f"链 chain: {outlook.chain_id}",
        f"账户 account: {outlook.sender}  余额 balance {_ether(outlook.balance)}",
        f"理事会 council: {council}",
        f"否决期 veto: {terms.veto_blocks} 个区块 blocks ≈ {span(terms.veto_blocks * block_seconds)}",
        f"确认 confirmations: {terms.confirmations} 个区块 blocks ≈ {span(terms.confirmations * block_seconds)}",
        *(f"· {zh} · {en}" for zh, en in outlook.remarks),
    ]
    if terms.veto_blocks * block_seconds < SHORT_VETO and outlook.council != outlook.sender:
        lines.append("! 否决期不足一小时,席位来不及否决 · less than an hour: no seat's people can veto in time")
    if (there := outlook.deployment) is not None:
        return [
            *lines,
            "已部署并核对无误,不会发送任何交易 · deployed and verified, no transaction would be sent:",
            *(f"  {name:<11}{getattr(there, name)}" for name in ("consortium", "catalog", "ledger")),
        ]
    sending = sum(not each.there for each in outlook.creations)
    price = f"至多 at most {outlook.max_fee} wei" if outlook.max_fee else "0(免燃料费 gas is free)"
    return [
        *lines,
        f"将发送 {sending} 笔交易 · {sending} transactions would be sent:",
        *(_creation(each) for each in outlook.creations),
        f"燃料价 gas price: {price}; 费用至多 cost at most {_ether(outlook.cost)}",
        *(["! 余额不足 · the balance is too low"] if outlook.balance < outlook.cost else []),
    ]


def span(seconds: float) -> str:
    """A time in the largest unit of which there is one, both languages."""
    size, unit = next((each for each in _SPANS if seconds >= each[0]), _SPANS[-1])
    return f"{seconds / size:.4g} {unit}"


def _creation(each: Creation) -> str:
    what = "已在链上 there already" if each.there else f"创建 create, gas ≤ {each.gas}"
    return f"  {each.contract:<11}{each.address}  nonce {each.nonce}  {what}"


def _ether(wei: int) -> str:
    return f"{wei / _WEI:.6g} ETH"
