"""What all the other tests left behind. Sorts last, so that everything has happened when it looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.world import World, named

pytestmark = pytest.mark.anyio


async def test_logs__after_everything__name_nobody(world: World, data_dir: Path) -> None:
    await world.settled("gallery-passes")
    logs = sorted(data_dir.rglob("*.log"))
    assert {"portal.log", "identity.log", "gateways.log", "server.log"} <= {path.name for path in logs}
    texts = {path.name: path.read_text("utf-8", errors="replace") for path in logs}
    assert {name: found for name, text in texts.items() if (found := named(text))} == {}
    assert [name for name, text in texts.items() if "Traceback" in text] == []
