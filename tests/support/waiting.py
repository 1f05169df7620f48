"""Waiting for what another process does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.world import LONGEST


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """What a condition gives as soon as it gives anything."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        if found := await condition():
            return found
        await asyncio.sleep(0.3)
    raise AssertionError("nothing came of it")
