"""Plans: which account creates the contracts with which nonces, hence at which addresses. Stored before anything is sent.

Whoever is interrupted goes on with the stored plan: what it names and is not on chain is sent, and nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import encode

from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Invalid
from orchestrator.ledger.artifacts import CONTRACTS, load_artifact
from orchestrator.ledger.deployments import read_json, write_json
from orchestrator.ledger.transactions import created_address
from orchestrator.ledger.wiring import Wiring


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is to be deployed, and when it counts as there."""

    veto_blocks: int
    """Blocks for which a council's change of a seat's key waits and can be vetoed. Fixed for ever."""
    council: str | None = None
    """EIP-55 address of the consortium's owner. None: the account that deploys."""
    chain_id: int | None = None
    """The chain id that the node must have. None: any."""
    confirmations: int = 0
    """Blocks on top of the last creation before the addresses are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The creation of the three contracts."""

    chain_id: int
    sender: str
    council: str
    veto_blocks: int
    release: str
    """Hash of the contracts' creation code, hexadecimal."""
    block: int
    """No event of the contracts is older than this block, even after a reorganisation as deep as the confirmations."""
    nonces: tuple[int, ...]
    """The sender's nonces for the contracts of `CONTRACTS`, in that order, ascending."""

    def addresses(self) -> tuple[str, ...]:
        """Where the contracts of `CONTRACTS` will be, EIP-55."""
        return tuple(created_address(self.sender, nonce) for nonce in self.nonces)

    def wiring(self) -> Wiring:
        """What the contracts will be wired to."""
        consortium, catalog, ledger = self.addresses()
        return Wiring(
            chain_id=self.chain_id,
            consortium=consortium,
            catalog=catalog,
            ledger=ledger,
            veto_blocks=self.veto_blocks,
        )

    def creation_code(self, contract: str) -> bytes:
        """The data of the transaction that creates a contract: its code and its constructor's arguments."""
        artifact = load_artifact(contract)
        consortium, catalog, _ = self.addresses()
        arguments: Mapping[str, tuple[Any, ...]] = {
            "Consortium": (self.council, self.veto_blocks),
            "Catalog": (consortium,),
            "CaseLedger": (consortium, catalog),
        }
        constructor = next(entry for entry in artifact.abi if entry["type"] == "constructor")
        return artifact.bytecode + encode([one["type"] for one in constructor["inputs"]], arguments[contract])

    def differs_from(self, other: Plan) -> list[str]:
        """In words and with both values, what of this plan another one has otherwise, nonces and block left aside."""
        names = {
            "chain_id": "链号 chain id",
            "sender": "部署账户 account",
            "council": "理事会 council",
            "veto_blocks": "否决期 veto_blocks",
            "release": "合约版本 release",
        }
        return [
            f"{words} {getattr(self, name)} ≠ {getattr(other, name)}"
            for name, words in names.items()
            if getattr(self, name) != getattr(other, name)
        ]

    def moved(self, index: int, nonce: int) -> Plan:
        """The plan with the contracts from `index` on created with `nonce` and those after it."""
        rest = range(nonce, nonce + len(CONTRACTS) - index)
        return replace(self, nonces=(*self.nonces[:index], *rest))


@cache
def release() -> str:
    """Which contracts this release has: a short hash of their creation code."""
    return keccak(b"".join(keccak(load_artifact(name).bytecode) for name in CONTRACTS))[:8].hex()


def write_plan(file: Path, plan: Plan) -> None:
    """Writes the file whole or not at all."""
    write_json(file, asdict(plan))


def read_plan(file: Path) -> Plan | None:
    """The plan in the file, or None when there is no file. Raises Invalid when it holds something else."""
    content = read_json(file)
    if content is None:
        return None
    kinds = {"chain_id": int, "veto_blocks": int, "block": int, "sender": str, "council": str, "release": str}
    nonces = content.get("nonces")
    if (
        content.keys() != {field.name for field in fields(Plan)}
        or not all(type(content[name]) is kind for name, kind in kinds.items())
        or not isinstance(nonces, list)
        or len(nonces) != len(CONTRACTS)
        or not all(type(nonce) is int and nonce >= 0 for nonce in nonces)
    ):
        raise Invalid(
            field="plan",
            detail=f"部署计划 {file.name} 不是本版本所写",
            detail_en=f"the plan {file.name} was not written by this release",
            remedy="删除该文件后重新部署 / remove that file and deploy again",
            code="wrong-plan-file",
        )
    return Plan(**(content | {"nonces": tuple(nonces)}))
