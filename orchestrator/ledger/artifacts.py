"""Artifacts: the compiled contracts that ship with the package, so that running needs no compiler.

`orchestrator/ledger/artifacts/<name>.json` holds `{"abi", "bytecode", "deployedBytecode"}` as solc wrote them, without
metadata, and under `immutables` where in the runtime code the constructor writes what. `python -m orchestrator.ledger.compiler --check` fails when they do not match the sources.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.domain.errors import Invalid

ARTIFACTS = Path(__file__).parent / "artifacts"
"""Folder of the shipped artifacts."""

CONTRACTS = ("Consortium", "Catalog", "CaseLedger")
"""In the order of deployment: each takes the addresses of those before it as constructor arguments, the first the
council's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One compiled contract."""

    name: str
    abi: tuple[dict[str, Any], ...]
    """Functions, events and errors as in the Solidity JSON ABI, inherited ones included."""
    bytecode: bytes
    """Creation code; the ABI-encoded constructor arguments follow it in a deployment."""
    deployed_bytecode: bytes
    """Runtime code with zeros where the constructor writes immutables."""
    immutables: Mapping[str, tuple[int, ...]]
    """`Contract.variable`, by the contract that declares it, to the places of its value in the runtime code: offsets of
    32 bytes."""

    def entry(self, kind: str, name: str) -> dict[str, Any]:
        """The ABI entry of a `function`, `event` or `error`. Raises KeyError when there is none."""
        for entry in self.abi:
            if entry["type"] == kind and entry["name"] == name:
                return entry
        raise KeyError(f"{self.name} has no {kind} {name}")


@cache
def load_artifact(name: str) -> Artifact:
    """The shipped artifact of a contract of `CONTRACTS`. Raises Invalid for any other name."""
    if name not in CONTRACTS:
        raise Invalid(
            field="contract",
            detail=f"没有名为 {name} 的合约",
            detail_en=f"there is no contract {name}",
            remedy=f"one of {', '.join(CONTRACTS)}",
        )
    document = json.loads((ARTIFACTS / f"{name}.json").read_text(encoding="utf-8"))
    return Artifact(
        name=name,
        abi=tuple(document["abi"]),
        bytecode=bytes.fromhex(document["bytecode"].removeprefix("0x")),
        deployed_bytecode=bytes.fromhex(document["deployedBytecode"].removeprefix("0x")),
        immutables={name: tuple(places) for name, places in document["immutables"].items()},
    )
