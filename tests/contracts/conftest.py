"""A deployed consortium for each test; ape takes back whatever a test did to the chain.

    APE_DATA_FOLDER=$PWD/.cache/ape .venv/bin/ape test tests/contracts --network ethereum:local:test
    make test-anvil

The first runs on ape's built-in provider, the second on the Anvil of node_modules.
"""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from world import VETO_BLOCKS, World, container

from orchestrator.ledger.compiler import ROOT, compile_contracts, prepare_compiler

# Ape looks for the compiler and for Anvil only when it needs them, after this.
os.environ["SOLCX_BINARY_PATH"] = str(prepare_compiler())
os.environ["PATH"] = os.pathsep.join(
    [*map(str, (ROOT / "node_modules" / "@foundry-rs").glob("anvil-*/bin")), os.environ["PATH"]]
)


def deploy(compiled: dict[str, Any], council: Any, stranger: Any, chain: Any) -> World:
    """The three contracts, freshly deployed by the council."""
    consortium = council.deploy(container("Consortium", compiled), council, VETO_BLOCKS)
    catalog = council.deploy(container("Catalog", compiled), consortium)
    ledger = council.deploy(container("CaseLedger", compiled), consortium, catalog)
    return World(council, stranger, consortium, catalog, ledger, chain.chain_id)


@pytest.fixture(scope="session")
def compiled() -> dict[str, Any]:
    """The contracts as the sources have them now. Not ape's own build, which outlives a change of the sources."""
    return compile_contracts()


@pytest.fixture(scope="session")
def _bare(compiled: dict[str, Any], accounts: Any, chain: Any) -> World:
    return deploy(compiled, accounts[0], accounts[1], chain)


@pytest.fixture(scope="session")
def _bound(compiled: dict[str, Any], accounts: Any, chain: Any) -> World:
    world = deploy(compiled, accounts[0], accounts[1], chain)
    world.admit(*range(7))
    world.publish(0)
    assert world.bind() == 1
    return world


def _own(world: World) -> World:
    one = copy.copy(world)
    one.keys = dict(world.keys)
    return one


@pytest.fixture
def bare(_bare: World) -> World:
    """The contracts with no seat."""
    return _own(_bare)


@pytest.fixture
def world(_bound: World) -> World:
    """Seats 0 to 6, and binding 1: identity 2, operator 0, approvers 3 (leads) and 4, providers 5 and 6."""
    return _own(_bound)
