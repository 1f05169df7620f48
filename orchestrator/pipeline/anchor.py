"""Anchor: query-log heads that no batch has carried for a while go to the ledger by themselves.

So a department cannot make what it logged unsaid by being asked nothing more: what it signed is anchored within twice that
while, if its gateway answers. Its head is fetched, too, when it was never asked here: others may have asked it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog

from orchestrator.domain.errors import LianbanError
from orchestrator.pipeline.context import Context
from orchestrator.pipeline.post import resend, send, with_proofs
from orchestrator.store import batches

MOST_HEADS: Final = 40
"""In one transaction: a head with its proof takes two kilobytes at most."""

log = structlog.get_logger()


async def anchor(context: Context) -> int:
    """Anchors what has waited for `Pace.anchor_after`. Returns how many heads went out; none while our records and the chain
    disagree."""
    if context.diverged:
        return 0
    after = context.pace.anchor_after
    keeping = await _keeping(context)
    async with context.pool.connection() as connection:
        unseen = await batches.unseen(connection, keeping, after)
    shown = [head for head in await asyncio.gather(*(_shown(context, seat) for seat in unseen)) if head is not None]
    async with context.pool.connection() as connection:
        await batches.keep_heads(connection, shown)
        waiting = await batches.heads_waiting(connection, after)
    if not waiting:
        return 0
    await resend(context)  # what the node lost comes first: its nonce does
    heads = await with_proofs(context, waiting)
    for start in range(0, len(heads), MOST_HEADS):
        await send(context, [], [], heads[start : start + MOST_HEADS], [])
    return len(heads)


async def _keeping(context: Context) -> list[int]:
    """The seats in good standing that keep a query log: those that any binding has ever had answer or decide."""
    named = {
        number
        for binding in await context.view.bindings()
        for number in (binding.identity, *binding.providers, *binding.approvers)
    }
    return [seat.number for seat in await context.view.seats() if seat.active and seat.number in named]


async def _shown(context: Context, number: int) -> dict[str, Any] | None:
    """A seat's head as its gateway shows it now; None when it does not."""
    try:
        return (await context.gateways.head(await context.view.seat(number))).model_dump(mode="json")
    except LianbanError as error:
        log.warning("log-head-not-shown", seat=number, code=error.code)
        return None
