"""What every stage of the pipeline works with: store, chain, gateways, definitions, our own keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from orchestrator.database import Pool
from orchestrator.domain.calendar import Calendar
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Scenario
from orchestrator.gateway.client import GatewayClient
from orchestrator.ledger.follower import Follower
from orchestrator.ledger.poster import Poster
from orchestrator.ledger.view import LedgerView
from orchestrator.store import applications


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patiently the pipeline works. All in seconds."""

    outage_window: float = 4 * 3600.0
    """How long an unreachable department is asked again before its material is asked from the applicant."""
    retry_first: float = 1.0
    """Wait before the first retry; doubles each time."""
    retry_most: float = 300.0
    """Longest wait between retries."""
    anchor_after: float = 300.0
    """Age from which a log head that no batch has carried is anchored by itself."""
    lease: float = 60.0
    """How long a worker may hold a case before another takes it."""
    fresh: float = 60.0
    """Age from which an answer marked for a recheck is asked again before sealing."""


TEXTS_AGE: Final = 5.0
"""Seconds for which texts may be shown that have been amended since."""


class Definitions:
    """Scenario versions by hash. A version is read once, its texts again when they were amended."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[str, Scenario] = {}
        self._read_at = 0.0

    async def get(self, version: str) -> Scenario:
        """The scenario of a version. Raises Invalid when nobody has published it here."""
        if version not in self._known or time.monotonic() - self._read_at > TEXTS_AGE:
            await self.refresh()
        if version not in self._known:
            raise Invalid(
                field="version",
                detail="没有这个场景版本的定义",
                detail_en="the definition of this scenario version is not here",
                remedy="先发布该版本 / publish the version first",
                code="unknown-version",
            )
        return self._known[version]

    async def refresh(self) -> dict[str, Scenario]:
        """Reads what was published since; returns all known versions."""
        texts = {version: scenario.texts_hash for version, scenario in self._known.items()}
        self._read_at = time.monotonic()  # at once, so that many who ask together read once
        async with self._pool.connection() as connection:
            rows = await applications.definitions(connection, known=texts)
        for row in rows:
            scenario = Scenario.from_documents(row["definition"], row["texts"])
            self._known[str(row["version"])] = scenario
        return self._known


@dataclass(slots=True, kw_only=True)
class Context:
    """Shared by all stages of one worker."""

    pool: Pool
    view: LedgerView
    poster: Poster
    follower: Follower
    gateways: GatewayClient
    definitions: Definitions
    calendar: Calendar
    pace: Pace
    owner: str
    """This worker's name in leases."""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    diverged: str | None = None
    """Why posting has stopped: our records and the chain disagree, and an operator has to look."""
