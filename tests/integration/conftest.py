"""One real chain with the gallery bound on it, its approvers, and a pipeline with a new store for each test;
and, for each module, the gallery's gateways over real departments with the operator that asks them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from orchestrator.gateway.client import GatewayClient
from tests.support.approver import Approvers, open_approvers
from tests.support.consortium import Consortium, make_consortium
from tests.support.departments import SeededDepartments
from tests.support.gateway import OPERATOR, Gateway, gallery_gateway
from tests.support.onchain import OnChain, automining_node, on_chain
from tests.support.orchestrator import Line, open_line
from tests.support.services import GALLERY


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return make_consortium()


@pytest.fixture(scope="module")
async def gateway(consortium: Consortium, departments: SeededDepartments, pg_admin_dsn: str) -> AsyncIterator[Gateway]:
    async with gallery_gateway(consortium, departments, pg_admin_dsn) as gateway:
        yield gateway


@pytest.fixture(scope="module")
async def operator(gateway: Gateway, consortium: Consortium) -> AsyncIterator[GatewayClient]:
    async with gateway.client(consortium, OPERATOR) as client:
        yield client


@pytest.fixture(scope="session")
async def chain() -> AsyncIterator[OnChain]:
    with automining_node() as url:
        async with on_chain(url, GALLERY.scenario) as chain:
            yield chain


@pytest.fixture(scope="session")
async def approvers(chain: OnChain, pg_admin_dsn: str) -> AsyncIterator[Approvers]:
    async with open_approvers(GALLERY, pg_admin_dsn, chain.consortium) as approvers:
        yield approvers


@pytest.fixture
async def line(chain: OnChain, approvers: Approvers, pg_admin_dsn: str) -> AsyncIterator[Line]:
    approvers.book.down.clear()
    async with open_line(chain, approvers, pg_admin_dsn) as line:
        await line.follow_all()
        yield line
