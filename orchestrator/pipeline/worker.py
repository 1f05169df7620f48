"""The worker: claims due cases stage by stage and works on many together.

State lives in PostgreSQL and on chain and nowhere else, so a worker may die at any instruction and any other goes on; more
workers, here or on other machines, share the same tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from orchestrator.domain.errors import Diverged, LianbanError
from orchestrator.pipeline.anchor import anchor
from orchestrator.pipeline.contests import take_contests
from orchestrator.pipeline.context import Context
from orchestrator.pipeline.decide import decide, take_updates
from orchestrator.pipeline.gather import gather
from orchestrator.pipeline.intake import intake
from orchestrator.pipeline.post import confirm, follow, post
from orchestrator.pipeline.push import push
from orchestrator.pipeline.recalls import take_recalls
from orchestrator.pipeline.seal import seal
from orchestrator.store import applications, cases
from orchestrator.store.cases import CaseRow, Move

StageFunction = Callable[[Context, list[CaseRow]], Awaitable[list[Move]]]

STAGES: dict[str, StageFunction] = {
    "push": push,
    "confirm": confirm,
    "post": post,
    "seal": seal,
    "decide": decide,
    "gather": gather,
    "intake": intake,
}
"""Later stages first: what is nearly done leaves before new work comes in."""

POSTING = frozenset({"seal", "post"})
"""What rests while our records and the chain disagree."""

STORE_DOWN = (psycopg.OperationalError, PoolTimeout)
"""The orchestrator's own database does not answer: everything waits, nothing is lost."""

BATCH = 256
"""Cases of one claim: what fits one settle transaction."""

IDLE = 0.1
FOLLOW_EVERY = 0.2
UPDATES_EVERY = 1.0
RECALLS_EVERY = 5.0
CONTESTS_EVERY = 2.0
ANCHOR_EVERY = 5.0
PURGE_EVERY = 3600.0
log = structlog.get_logger()


async def purge(context: Context) -> int:
    """Drops what nobody comes back for from the store."""
    async with context.pool.connection() as connection:
        return await applications.purge(connection)


class Worker:
    """Runs the pipeline until it is cancelled."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Works, follows the chain and listens to officers, side by side."""
        await asyncio.gather(
            self._work(),
            self._every(FOLLOW_EVERY, "follow", follow),
            self._every(UPDATES_EVERY, "updates", take_updates),
            self._every(RECALLS_EVERY, "recalls", take_recalls),
            self._every(CONTESTS_EVERY, "contests", take_contests),
            self._every(ANCHOR_EVERY, "anchor", anchor),
            self._every(PURGE_EVERY, "purge", purge),
        )

    async def _work(self) -> None:
        while True:
            try:
                busy = await self.step()
            except (LianbanError, *STORE_DOWN) as error:
                log.warning("worker-paused", error=type(error).__name__)
                busy = 0
                await asyncio.sleep(1)
            if not busy:
                await asyncio.sleep(IDLE)

    async def _every(self, seconds: float, name: str, action: Callable[[Context], Awaitable[int]]) -> None:
        while True:
            try:
                await action(self._context)
            except Diverged as error:
                self._context.diverged = error.detail
                log.error("diverged", task=name, detail=error.detail_en, remedy=error.remedy)
                await asyncio.sleep(10)
            except (LianbanError, *STORE_DOWN) as error:
                log.warning("task-failed", task=name, error=type(error).__name__)
                await asyncio.sleep(1)
            await asyncio.sleep(seconds)

    async def step(self) -> int:
        """One round: every stage with due work gets one batch. Returns how many cases were worked on."""
        context = self._context
        async with context.pool.connection() as connection:
            due = set(await cases.due_stages(connection))
        worked = 0
        for stage, function in STAGES.items():
            if stage in due and not (context.diverged and stage in POSTING):
                worked += await self._stage(stage, function)
        return worked

    async def _stage(self, stage: str, function: StageFunction) -> int:
        context = self._context
        async with context.pool.connection() as connection:
            claimed = await cases.claim(connection, stage, context.owner, limit=BATCH, lease=context.pace.lease)
        if not claimed:
            return 0
        moves = await self._run(stage, function, claimed)
        async with context.pool.connection() as connection:
            await cases.move(connection, context.owner, moves)
        return len(claimed)

    async def _run(self, stage: str, function: StageFunction, claimed: list[CaseRow]) -> list[Move]:
        """Runs a stage over cases together. What fails together is tried one by one, so that a case which trips over a
        defect of ours waits alone, with its error on record, and stops no other."""
        try:
            return await function(self._context, claimed)
        except Diverged as error:
            self._context.diverged = error.detail
            log.error("diverged", task=stage, detail=error.detail_en, remedy=error.remedy)
            return [self._later(case, error.code) for case in claimed]
        except LianbanError as error:
            log.warning("stage-failed", stage=stage, cases=len(claimed), code=error.code)
            return [self._later(case, error.code) for case in claimed]
        except STORE_DOWN:
            raise
        except Exception:
            if len(claimed) > 1:
                return [move for case in claimed for move in await self._run(stage, function, [case])]
            log.exception("case-failed", stage=stage, case=claimed[0].id)
            return [self._later(claimed[0], "internal")]

    def _later(self, case: CaseRow, code: str) -> Move:
        pace = self._context.pace
        delay = min(pace.retry_first * 2 ** min(case.attempts, 20), pace.retry_most)
        return Move(case_id=case.id, stage=case.stage, delay=delay, error={"code": code})
