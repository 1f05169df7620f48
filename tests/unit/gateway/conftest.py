"""Approvers for the tests of a module: one that decides alone, and two that decide together."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.approver import Approvers, open_approvers
from tests.support.services import BENEFIT, GALLERY, HALL


@pytest.fixture(scope="module")
async def gallery(pg_admin_dsn: str) -> AsyncIterator[Approvers]:
    async with open_approvers(GALLERY, pg_admin_dsn) as approvers:
        yield approvers


@pytest.fixture(scope="module")
async def hall(pg_admin_dsn: str) -> AsyncIterator[Approvers]:
    async with open_approvers(HALL, pg_admin_dsn) as approvers:
        yield approvers


@pytest.fixture(scope="module")
async def benefit(pg_admin_dsn: str) -> AsyncIterator[Approvers]:
    async with open_approvers(BENEFIT, pg_admin_dsn) as approvers:
        yield approvers
