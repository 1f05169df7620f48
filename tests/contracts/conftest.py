"""A deployed consortium for each test; ape takes back whatever a test did to the chain."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from world import World


@pytest.fixture(scope="session")
def _deployed(project: Any, accounts: Any, chain: Any) -> World:
    council, stranger = accounts[0], accounts[1]
    consortium = council.deploy(project.Consortium, council)
    catalog = council.deploy(project.Catalog, consortium)
    ledger = council.deploy(project.CaseLedger, consortium, catalog)
    return World(council, stranger, consortium, catalog, ledger, chain.chain_id)


@pytest.fixture(scope="session")
def _bound(_deployed: World) -> World:
    world = copy.copy(_deployed)
    world.keys = {}
    world.admit(*range(7))
    world.publish(0)
    assert world.bind() == 1
    return world


@pytest.fixture
def bare(_deployed: World) -> World:
    """The contracts with no seat."""
    return _deployed


@pytest.fixture
def world(_bound: World) -> World:
    """Seats 0 to 6, and binding 1: identity 2, operator 0, approvers 3 (leads) and 4, providers 5 and 6."""
    one = copy.copy(_bound)
    one.keys = dict(_bound.keys)
    return one
