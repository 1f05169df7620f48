"""What the operator and the auditors look at: the deployment, the pipeline's state, batches and anchored log heads."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from orchestrator.api.cursors import Cursor, Limit, cursor_of, read_cursor
from orchestrator.api.principals import Current, Operator, Overseer
from orchestrator.domain.errors import Unavailable
from orchestrator.pipeline.post import resend

router = APIRouter(prefix="/api/v1")


@router.get("/health")
async def health(state: Current) -> dict[str, Any]:
    """Whether the service works: database, node, and our records in agreement with the chain."""
    async with state.context.pool.connection() as connection:
        await connection.execute("select 1")
    await state.context.view.refresh()
    if state.context.diverged:
        raise Unavailable(
            state.context.diverged,
            detail_en="our records and the chain disagree; posting has stopped",
            code="diverged",
            remedy="见运行日志 / see the log",
        )
    return {"status": "ok", "chain_id": state.context.view.chain_id}


@router.get("/deployment")
async def deployment(state: Current) -> dict[str, Any]:
    """Where the contracts are: whoever verifies needs nothing else from us."""
    view = state.context.view
    return {
        "chain_id": view.chain_id,
        "block": view.deployment.block,
        "contracts": {name: view.address(name) for name in ("Consortium", "Catalog", "CaseLedger")},
        "identity": state.identity.issuer,
        "seats": [
            {
                "seat": seat.number,
                "id": seat.keyset.id,
                "name": seat.keyset.name,
                "active": seat.active,
                "endpoint": seat.keyset.endpoint,
            }
            for seat in await view.seats()
        ],
    }


@router.get("/operations/stages")
async def stages(state: Current, _principal: Overseer) -> dict[str, Any]:
    """How many cases are in each stage and since when the oldest is due."""
    async with state.context.pool.connection() as connection:
        cursor = await connection.execute(
            "select stage, count(*) as cases, min(due_at) as oldest from case_file group by stage order by stage"
        )
        return {"stages": await cursor.fetchall()}


@router.get("/operations/batches")
async def batches(state: Current, _principal: Overseer, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    """Transactions, newest first, and what they cost. `next` is the cursor of the following page."""
    before = read_cursor(cursor)
    async with state.context.pool.connection() as connection:
        found = await connection.execute(
            """
            select b.id, b.state, b.nonce, b.tx_hash, b.block, b.gas_used, b.created_at, count(t.case_id) as transitions
            from batch b left join transition t on t.batch = b.id
            where %(moment)s::timestamptz is null or (b.created_at, b.tx_hash) < (%(moment)s, %(name)s)
            group by b.id order by b.created_at desc, b.tx_hash desc limit %(limit)s
            """,
            {"moment": before[0] if before else None, "name": before[1] if before else None, "limit": limit + 1},
        )
        rows = await found.fetchall()
    page = rows[:limit]
    more = cursor_of(page[-1]["created_at"], page[-1]["tx_hash"]) if len(rows) > limit else None
    return {"batches": page, "next": more}


@router.get("/operations/heads")
async def heads(state: Current, _principal: Overseer) -> dict[str, Any]:
    """Every seat's query log: the newest signed head and the anchored one."""
    async with state.context.pool.connection() as connection:
        cursor = await connection.execute("select * from seat_head where size > 0 order by seat")
        return {"heads": await cursor.fetchall()}


@router.post("/operations/resend", status_code=202)
async def send_again(state: Current, _principal: Operator) -> dict[str, str]:
    """Hands unconfirmed transactions to the node once more."""
    await resend(state.context)
    return {"status": "sent"}
