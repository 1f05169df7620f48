"""What a case can go through."""

from __future__ import annotations

import pytest

from tests.support.world import World

pytestmark = pytest.mark.anyio


async def test_apply__gallery_on_evidence_alone__approved_on_chain(world: World) -> None:
    shown = await world.settled("gallery-passes")
    assert (shown["status"], shown["sequence"]) == (3, 1)
    assert await world.on_chain(shown["id"]) == (3, 1, shown["binding"])
