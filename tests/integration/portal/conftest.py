"""The real portal over its store and an identity seat, and a browser at it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.portal_world import PortalWorld, Visitor, running


@pytest.fixture(scope="module")
async def world(pg_admin_dsn: str) -> AsyncIterator[PortalWorld]:
    async with running(pg_admin_dsn, "open-gallery", "open-exhibition-hall") as opened:
        yield opened


@pytest.fixture
async def visitor(world: PortalWorld) -> AsyncIterator[Visitor]:
    async with world.visitor() as opened:
        yield opened
