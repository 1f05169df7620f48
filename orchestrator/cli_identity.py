"""`lianban identity`: the identity seat as a process of its own."""

from __future__ import annotations

import asyncio
import time

import typer
import uvicorn

from orchestrator.database import open_pool
from orchestrator.identity.courier import Courier
from orchestrator.identity.face import face_check
from orchestrator.identity.gateways import open_http
from orchestrator.identity.oidc import Client
from orchestrator.identity.seat import open_identity_seat
from orchestrator.identity.server import create_app
from orchestrator.identity.setup import prepare_identity
from orchestrator.identity.store import IdentityStore
from orchestrator.ledger.deployments import require_deployment
from orchestrator.ledger.proofs import Proofs
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.keyfolder import load_seat_keys
from orchestrator.scenarios import load_calendar, load_catalogue
from orchestrator.settings import Settings, load_settings

POOL_SIZE = 8

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@app.command()
def identity() -> None:
    """运行身份席位 · serve the identity seat: sign-in, notice, mandates.

    Its own process and database; of its department's keys it opens the identity key alone.
    """
    settings = load_settings()
    dsn = prepare_identity(settings.require_database_url())
    asyncio.run(serve(settings, dsn))


async def serve(settings: Settings, dsn: str) -> None:
    """Serves until the process is told to end. Raises Refused where the profile forbids the face check."""
    face = face_check(settings.face_check, settings.profile)
    keys = load_seat_keys(settings.keys_dir / settings.identity, settings.passphrase(), {"identity"})
    deployment = require_deployment(settings.deployment_file)
    async with (
        Rpc(settings.require_node_url(), timeout=settings.rpc_timeout) as rpc,
        open_pool(dsn, size=POOL_SIZE) as pool,
        open_http() as gateways,
    ):
        view = LedgerView(rpc, deployment)
        operator = await view.seat_by_id(settings.operator)
        client = Client(
            id=settings.operator, seat=operator.number, redirect_uris=(f"{settings.portal_url()}/callback",)
        )
        seat = await open_identity_seat(
            issuer=settings.identity_url(),
            number=(await view.seat_by_id(settings.identity)).number,
            keys=keys,
            store=IdentityStore(pool),
            chain=view,
            clients={client.id: client},
            face=face,
            catalogue=load_catalogue(),
            calendar=load_calendar(),
            profile=settings.profile,
            now=lambda: int(time.time()),
            heads=Proofs(rpc, view),
        )
        config = uvicorn.Config(
            create_app(seat, gateways),
            host=settings.host,
            port=settings.identity_port,
            log_config=None,  # as `logs` says
            access_log=False,
            lifespan="off",
        )
        courier = asyncio.create_task(Courier(seat, gateways).run())
        try:
            await uvicorn.Server(config).serve()
        finally:
            courier.cancel()
