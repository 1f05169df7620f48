"""Log heads that no batch carries go to the ledger by themselves: over a real gateway, store and chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from orchestrator.database import Pool
from orchestrator.domain.errors import Unavailable
from orchestrator.ledger.follower import Follower
from orchestrator.ledger.poster import Poster
from orchestrator.pipeline.anchor import anchor
from orchestrator.pipeline.context import Context, Definitions, Pace
from orchestrator.pipeline.post import follow
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.scenarios import load_calendar
from orchestrator.store import batches
from tests.support.auditing import Audited
from tests.support.cheater import rewrite
from tests.support.gateway import MARKET
from tests.support.onchain import mined
from tests.support.orchestrator import open_store, rows

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pool(pg_admin_dsn: str) -> AsyncIterator[Pool]:
    async with open_store(pg_admin_dsn) as pool:
        yield pool


@pytest.fixture
def context(department: Audited, pool: Pool) -> Context:
    """An operator that anchors at once what waits."""
    chain = department.chain
    return Context(
        pool=pool,
        view=chain.view,
        poster=Poster(chain.rpc, chain.view, SigningAccount.generate().secret),
        follower=Follower(chain.rpc, chain.view),
        gateways=department.operator,
        definitions=Definitions(pool),
        calendar=load_calendar(),
        pace=Pace(anchor_after=0.0),
        owner="w1",
    )


async def keep(context: Context, department: Audited) -> int:
    """Asks, and keeps the head that comes along, as gathering does; its size."""
    head = (await department.ask()).head
    async with context.pool.connection() as connection:
        await batches.keep_heads(connection, [head.model_dump(mode="json")])
    return head.size


async def taken_over(context: Context, department: Audited) -> None:
    """What was sent is on the chain, and what is on the chain in the operator's store."""
    await mined(department.chain.rpc)
    while await follow(context):
        pass


async def anchored(department: Audited) -> list[int]:
    return [head.size for head in (await department.word()).chain.anchored]


async def test_anchor__no_batch_for_the_set_time__head_on_the_ledger_once(
    department: Audited, context: Context
) -> None:
    size = await keep(context, department)
    assert await anchor(replace(context, pace=Pace(anchor_after=600.0))) == 0
    assert await anchored(department) == []
    assert await anchor(context) == 1
    await taken_over(context, department)
    assert await anchored(department) == [size]
    (head,) = await rows(context.pool, "select anchored_size, size from seat_head where size > 0")
    assert (head["anchored_size"], head["size"]) == (size, size)
    (batch,) = await rows(context.pool, "select state from batch")
    assert batch["state"] == "confirmed"
    assert await anchor(context) == 0
    await department.in_order(promises=department.promises)


async def test_anchor__never_asked_here__head_fetched_all_the_same(department: Audited, context: Context) -> None:
    await department.ask()  # nobody told this operator
    assert await anchor(context) == 1
    await taken_over(context, department)
    assert await anchored(department) == [2]


async def test_anchor__others_asked_meanwhile__the_head_is_fetched(department: Audited, context: Context) -> None:
    await keep(context, department)
    await anchor(context)
    await taken_over(context, department)
    await department.ask()  # nobody told this operator
    assert await anchor(context) == 1
    assert await anchored(department) == [2, 4]


async def test_anchor__two_workers_at_once__one_transaction(department: Audited, context: Context) -> None:
    await keep(context, department)
    await rows(context.pool, "update seat_head set waiting_since = now() - interval '1 hour'")
    patient = replace(context, pace=Pace(anchor_after=600.0))
    sent = await asyncio.gather(*(anchor(replace(patient, owner=name)) for name in ("w1", "w2", "w3")))
    assert sorted(sent) == [0, 0, 1]
    assert len(await rows(context.pool, "select id from batch")) == 1


class Deaf(Poster):
    """A poster whose node takes nothing."""

    async def send(self, raws: Sequence[bytes]) -> None:
        raise Unavailable("…", detail_en="the node does not answer", code="node-down")


async def test_anchor__node_took_nothing__the_same_bytes_again_first(department: Audited, context: Context) -> None:
    await keep(context, department)
    secret = SigningAccount.generate().secret
    deaf = replace(context, poster=Deaf(department.chain.rpc, department.chain.view, secret))
    assert await anchor(deaf) == 1
    assert await anchored(department) == []
    hears = replace(context, poster=Poster(department.chain.rpc, department.chain.view, secret))
    assert await anchor(hears) == 1  # what was lost lands; what was signed in its stead is stale
    assert await anchored(department) == [2]
    await taken_over(hears, department)
    assert {row["state"] for row in await rows(context.pool, "select state from batch")} == {"confirmed"}


async def test_anchor__rewritten_meanwhile__goes_on_the_ledger_as_refused_and_tells(
    department: Audited, context: Context
) -> None:
    await keep(context, department)
    await anchor(context)
    await taken_over(context, department)
    rewrite(department.seat, 0)
    await keep(context, department)
    await anchor(context)
    heads = (await department.word()).chain.heads
    assert [(str(head.outcome), head.size) for head in heads] == [("anchored", 2), ("refused", 4)]
    assert heads[1].signature is not None
    assert await department.caught()


async def test_anchor__records_and_chain_disagree__rests(department: Audited, context: Context) -> None:
    await keep(context, department)
    context.diverged = "…"
    assert await anchor(context) == 0


async def test_anchor__gateway_gone__what_is_kept_waits(department: Audited, context: Context) -> None:
    await keep(context, department)
    await anchor(context)
    await taken_over(context, department)
    await keep(context, department)
    view = await department.chain.view.seat(MARKET)
    assert view.active
    seats = department.gateway.app.state.seats
    gone = dict(seats)
    seats.clear()
    try:
        assert await anchor(context) == 0  # without the proof that it extends
    finally:
        seats.update(gone)
    assert await anchor(context) == 1
    assert await anchored(department) == [2, 4]
