"""Verifying that a chain has our contracts: their code, what they are wired to, and who owns the consortium."""

from __future__ import annotations

from typing import Final

from hexbytes import HexBytes
from web3 import Web3

from orchestrator.domain.errors import Diverged
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.artifacts import CONTRACTS, load_artifact
from orchestrator.ledger.transactions import checksummed
from orchestrator.ledger.wiring import Wiring, fault_of

FRESH: Final = (
    "恢复该链的数据；或部署到另一个部署文件（开发链：另一个数据目录）/ "
    "restore that chain's data, or deploy anew into another deployment file (devnet: another data folder)"
)
"""The remedy when a chain has not what a deployment file names."""


def verify(web3: Web3, wiring: Wiring, council: str) -> None:
    """Raises Diverged unless the chain has exactly our contracts there, so wired, and owned by the council (EIP-55)."""
    for name in CONTRACTS:
        address = wiring.address(name)
        fault = fault_of(load_artifact(name), code_at(web3, address), wiring.immutables(name))
        if fault is None:
            continue
        if fault.kind == "absent":
            raise Diverged(
                f"{address} 处没有 {name}，该链可能已重新开始",
                detail_en=f"there is no {name} at {address}: the chain may have been begun anew",
                code="no-code",
                remedy=FRESH,
            )
        if fault.kind == "foreign":
            raise Diverged(
                f"{address} 处的代码不是本版本的 {name}",
                detail_en=f"the code at {address} is not this release's {name}",
                code="other-code",
                remedy=f"用部署它的那个版本 / use the release that deployed it; {FRESH}",
            )
        raise Diverged(
            f"{address} 处的 {name} 接线不同：{fault.immutable} 为 {fault.found}，应为 {fault.expected}",
            detail_en=f"the {name} at {address} is wired otherwise: {fault.immutable} is {fault.found}, "
            f"expected {fault.expected}",
            code="other-wiring",
            remedy="部署后不可更改：更正部署文件或网络文件，或另行部署 / "
            "it is fixed for ever: correct the deployment file or the network file, or deploy anew elsewhere",
        )
    if (owner := owner_of(web3, wiring.consortium)) != council:
        raise Diverged(
            f"该联盟的所有者为 {owner}，应为 {council}",
            detail_en=f"the consortium's owner is {owner}, expected {council}",
            code="other-council",
            remedy="若理事会已移交，把新地址写入网络文件的 council / "
            "if the council handed over, write its new address into the network file, field council",
        )


def code_at(web3: Web3, address: str) -> bytes:
    """The runtime code at an address; empty when there is none."""
    return bytes(web3.eth.get_code(checksummed(address)))


def owner_of(web3: Web3, consortium: str) -> str:
    """The owner of a consortium, EIP-55."""
    abi = ContractAbi(load_artifact("Consortium").abi)
    answer = web3.eth.call({"to": checksummed(consortium), "data": HexBytes(abi.call("owner"))})
    return checksummed(abi.result("owner", "0x" + bytes(answer).hex())[0])
