"""A department's gateway on a chain of its own, that an auditor follows; every test begins with an empty log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from tests.support.auditing import Audited, audited
from tests.support.cheater import relog
from tests.support.departments import SeededDepartments
from tests.support.onchain import ask, automining_node, on_chain
from tests.support.services import GALLERY


@pytest.fixture(scope="package")
async def stage(departments: SeededDepartments, pg_admin_dsn: str) -> AsyncIterator[tuple[Audited, Audited]]:
    """A department's gateway, and another one with the same keys and a log of its own."""
    with automining_node() as url:
        async with (
            on_chain(url, GALLERY.scenario) as chain,
            audited(chain, departments, pg_admin_dsn) as one,
            audited(chain, departments, pg_admin_dsn) as other,
        ):
            yield one, other


@pytest.fixture
def both(stage: tuple[Audited, Audited]) -> Iterator[tuple[Audited, Audited]]:
    """Both with nothing logged and nothing anchored."""
    chain = stage[0].chain
    before, keys = ask(chain.node_url, "evm_snapshot"), stage[0].seat.keys
    for each in stage:
        relog(each.seat, [])
    yield replace(stage[0], promises=[]), replace(stage[1], promises=[])
    ask(chain.node_url, "evm_revert", before)
    stage[0].take(keys)


@pytest.fixture
def department(both: tuple[Audited, Audited]) -> Audited:
    return both[0]
