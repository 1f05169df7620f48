"""An identity seat over a consortium's gateways, with its own PostgreSQL database and its own pages."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from orchestrator.database import open_pool
from orchestrator.identity.accounts import DEVELOPMENT_PASSCODE
from orchestrator.identity.courier import Courier
from orchestrator.identity.face import DevelopmentFaceCheck
from orchestrator.identity.mandates import terms_of
from orchestrator.identity.mydata_client import MyDataClient
from orchestrator.identity.seat import IdentitySeat, open_identity_seat
from orchestrator.identity.server import create_app
from orchestrator.identity.setup import prepare_identity
from orchestrator.identity.store import IdentityStore, SignedMandate
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.mandate import Mandate, case_id
from orchestrator.protocol.querylog import Head
from orchestrator.scenarios import load_calendar, load_catalogue
from tests.support.consortium import Consortium
from tests.support.gateway import Gateway

ISSUER = "http://identity.test"


class Anchored:
    """What the chain has of the seats' logs, as a test sets it."""

    def __init__(self) -> None:
        self.heads: dict[int, Head] = {}

    async def anchored(self, seat: int) -> Head | None:
        return self.heads.get(seat)


class Lines:
    """The network between the identity seat and the gateways, which a test cuts."""

    def __init__(self, gateway: Gateway) -> None:
        self._inner = httpx.ASGITransport(app=gateway.app)
        self.cut: set[str] = set()
        """Departments that cannot be reached."""

    async def handle(self, request: httpx.Request) -> httpx.Response:
        department = request.url.path.split("/")[1]
        if department in self.cut:
            raise httpx.ConnectError("cut")
        return await self._inner.handle_async_request(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The seat and what surrounds it."""

    consortium: Consortium
    seat: IdentitySeat
    app: FastAPI
    courier: Courier
    heads: Anchored
    lines: Lines

    async def signed(self, jws: str, account: str) -> str:
        """Notes that an account has signed a mandate, as the pages do; its case."""
        mandate = Mandate.model_validate(peek_jws(jws)[1])
        case = mandate.case or case_id(jws)
        await self.seat.store.add_mandate(
            SignedMandate(
                hash=jws_hash(jws),
                case_id=case,
                previous=mandate.previous,
                account=account,
                kind=mandate.kind,
                binding=mandate.binding,
                signed_at=mandate.iat,
                seats=tuple(sorted({each.seat for each in mandate.evidence} | set(self.consortium.binding.approvers))),
                terms=terms_of(mandate),
            ),
            jws,
        )
        return case

    @asynccontextmanager
    async def person(self, number: str) -> AsyncIterator[MyDataClient]:
        """Somebody's program, signed in to their own pages."""
        async with MyDataClient(ISSUER, transport=httpx.ASGITransport(app=self.app)) as client:
            await client.sign_in(number, DEVELOPMENT_PASSCODE)
            yield client


@asynccontextmanager
async def identity_over(
    consortium: Consortium, gateway: Gateway, admin_dsn: str, people: dict[str, str]
) -> AsyncIterator[Identity]:
    """An identity seat with accounts {number: name}. Its courier runs when the test lets it."""
    dsn = await asyncio.to_thread(prepare_identity, admin_dsn, f"identity_{secrets.token_hex(6)}")
    lines, heads = Lines(gateway), Anchored()
    async with open_pool(dsn) as pool, httpx.AsyncClient(transport=httpx.MockTransport(lines.handle)) as http:
        store = IdentityStore(pool)
        await store.seed_development_accounts(people.items(), profile="devnet")
        options: dict[str, Any] = {"clients": {}, "profile": "devnet", "now": lambda: int(time.time())}
        seat = await open_identity_seat(
            issuer=ISSUER,
            number=consortium.binding.identity,
            keys=consortium.keys[consortium.binding.identity],
            store=store,
            chain=consortium.chain,
            face=DevelopmentFaceCheck("devnet"),
            catalogue=load_catalogue(),
            calendar=load_calendar(),
            heads=heads,
            **options,
        )
        scenario = consortium.scenario
        await seat.put_definition(scenario.version, scenario.definition(), scenario.texts())
        app = create_app(seat, http)
        yield Identity(consortium=consortium, seat=seat, app=app, courier=Courier(seat, http), heads=heads, lines=lines)
