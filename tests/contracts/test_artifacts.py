"""What ships is what the sources say, and ape compiles the same."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.ledger.artifacts import CONTRACTS, load_artifact


@pytest.mark.parametrize("name", CONTRACTS)
def test_artifacts__against_the_sources__same(compiled: dict[str, Any], name: str) -> None:
    shipped = load_artifact(name)
    assert "0x" + shipped.bytecode.hex() == compiled[name]["bytecode"]
    assert "0x" + shipped.deployed_bytecode.hex() == compiled[name]["deployedBytecode"]
    assert list(shipped.abi) == compiled[name]["abi"]
    assert {name: list(places) for name, places in shipped.immutables.items()} == compiled[name]["immutables"]


@pytest.mark.parametrize("name", CONTRACTS)
def test_artifacts__size__below_the_limit_of_a_contract(compiled: dict[str, Any], name: str) -> None:
    """EIP-170: 24,576 bytes."""
    assert len(compiled[name]["deployedBytecode"]) // 2 - 1 < 24_576


def test_ape__compiles_through_our_compiler__same_code(project: Any, compiled: dict[str, Any]) -> None:
    """Ape leaves solc's metadata at the end, which ours leaves out with the stop byte before it."""
    built = project.load_contracts(use_cache=False)
    for name in CONTRACTS:
        code = compiled[name]["deployedBytecode"].removesuffix("00").removesuffix("fe")
        assert built[name].runtime_bytecode.bytecode.startswith(code)
