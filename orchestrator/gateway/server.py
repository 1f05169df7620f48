"""The gateway's HTTP application: one process, one or several departments, each under `/{department id}`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, Response

from orchestrator.gateway import (
    contests,
    corrections,
    countersigning,
    credentials,
    definitions,
    desk,
    looks,
    notices,
    querylog,
    questions,
    recalls,
    replay,
    reviews,
    sheets,
    signing_desk,
    verdicts,
)
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.mandates import MandateReader
from orchestrator.gateway.seat import CurrentSeat, Seat
from orchestrator.problems import install
from orchestrator.protocol.ports import ChainView

BODY_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of a request's body: a batch of 256 questions comes with as many mandates of some ten kilobytes."""

ROUTERS: Final = (
    definitions.router,
    questions.router,
    querylog.router,
    notices.router,
    looks.router,
    verdicts.router,
    credentials.router,
    sheets.router,
    desk.router,
    countersigning.router,
    replay.router,
    recalls.router,
    reviews.router,
    contests.router,
    corrections.router,
    signing_desk.router,
)


def create_app(seats: Sequence[Seat], chain: ChainView) -> FastAPI:
    """The application over opened or unopened seats: it opens them when it starts and closes them when it ends."""

    clients = {seat.id: GatewayClient(seat.number, seat.keys, chain) for seat in seats}

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await asyncio.gather(*(seat.open() for seat in seats))
        yield
        await asyncio.gather(*(seat.close() for seat in seats), *(client.close() for client in clients.values()))

    app = FastAPI(title="Lianban gateway", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.seats = {seat.id: seat for seat in seats}
    app.state.chain = chain
    app.state.mandates = MandateReader()
    app.state.rules = verdicts.RulesByVersion()
    app.state.clients = clients
    install(app, body_limit=BODY_LIMIT)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """That the process serves, and whom."""
        return {"status": "ok", "departments": [seat.id for seat in seats]}

    @app.get("/{department}/health")
    async def seat_health(seat: CurrentSeat) -> dict[str, Any]:
        """That the seat's store answers. Records are not touched: whether they are up shows when they are asked."""
        await seat.store.rows("select 1 as one")
        return {"status": "ok", "seat": seat.number, "department": seat.id}

    @app.get("/{department}/keyset")
    async def keyset(seat: CurrentSeat) -> Response:
        """The seat's keyset document, as its hash stands on chain now."""
        return Response((await chain.seat(seat.number)).keyset.document(), media_type="application/json")

    for router in ROUTERS:
        app.include_router(router)
    return app
