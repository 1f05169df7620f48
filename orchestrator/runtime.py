"""Putting the orchestrator's parts together from settings: what `portal`, `worker` and `scenario publish` open."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from orchestrator.api.identity import IdentityClient
from orchestrator.api.state import State
from orchestrator.database import ensure_databases, migrate, open_pool, with_database
from orchestrator.gateway.client import GatewayClient
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.deployments import require_deployment
from orchestrator.ledger.follower import Follower
from orchestrator.ledger.poster import Poster
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.sender import Sender
from orchestrator.ledger.view import LedgerView
from orchestrator.pipeline.context import Context, Definitions, Pace
from orchestrator.pipeline.publishing import Publisher
from orchestrator.protocol.keyfolder import load_seat_keys
from orchestrator.scenarios import load_calendar
from orchestrator.settings import Settings
from orchestrator.store import applications

DATABASE = "orchestrator"
MIGRATIONS = Path(__file__).parent / "store" / "versions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """An opened orchestrator."""

    context: Context
    state: State
    publisher: Publisher

    async def add_principal(self, role: str, label: str) -> str:
        """Registers an operator or auditor and returns their bearer token, which is kept nowhere."""
        token = secrets.token_urlsafe(32)
        async with self.context.pool.connection() as connection:
            await applications.add_principal(connection, role, label, token)
        return token


def prepare_store(admin_dsn: str) -> str:
    """Creates and migrates the orchestrator's database; returns its connection string."""
    ensure_databases(admin_dsn, [DATABASE])
    dsn = with_database(admin_dsn, DATABASE)
    migrate(dsn, MIGRATIONS)
    return dsn


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Opens everything for the block. Raises Invalid when nothing is deployed, Unavailable when a part does not answer."""
    passphrase = settings.passphrase()
    keys = load_seat_keys(settings.keys_dir / settings.operator, passphrase, {"chain", "request"})
    deployment = require_deployment(settings.deployment_file)
    async with AsyncExitStack() as stack:
        rpc = await stack.enter_async_context(Rpc(settings.require_node_url(), timeout=settings.rpc_timeout))
        view = LedgerView(rpc, deployment)
        seat = await view.seat_by_id(settings.operator)
        keys.follow(seat)
        pool = open_pool(with_database(settings.require_database_url(), DATABASE), size=12)
        await stack.enter_async_context(pool)
        gateways = await stack.enter_async_context(
            GatewayClient(seat.number, keys, view, timeout=settings.gateway_timeout)
        )
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=settings.gateway_timeout, trust_env=False))
        identity = IdentityClient(
            http,
            issuer=settings.identity_url(),
            seat=(await view.seat_by_id(settings.identity)).number,
            client=settings.operator,
            redirect_uri=f"{settings.portal_url()}/callback",
            keys=keys,
            chain=view,
        )
        context = Context(
            pool=pool,
            view=view,
            poster=Poster(rpc, view, chain_account(settings.keys_dir / "poster", passphrase).secret),
            follower=Follower(rpc, view),
            gateways=gateways,
            definitions=Definitions(pool),
            calendar=load_calendar(),
            pace=Pace(
                outage_window=settings.outage_window,
                retry_first=settings.retry_first,
                retry_most=settings.retry_most,
                anchor_after=settings.anchor_after,
                lease=settings.lease,
            ),
            owner=f"{socket.gethostname()}:{os.getpid()}",
        )
        yield Runtime(
            context=context,
            state=State(context=context, identity=identity, operator=seat.number, region=settings.region),
            publisher=Publisher(
                pool=pool,
                view=view,
                gateways=gateways,
                sender=Sender(rpc, view, chain_account(settings.keys_dir / "publisher", passphrase)),
                keys=keys,
                identity=identity,
            ),
        )
