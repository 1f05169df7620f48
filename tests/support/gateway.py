"""Gateways for tests: real seats over real databases, reached through the real client."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.policy import Policy
from orchestrator.gateway.records import Records
from orchestrator.gateway.seat import AdapterFiles, Seat
from orchestrator.gateway.server import create_app
from orchestrator.gateway.store import Store, prepare_stores
from orchestrator.scenarios import department_files
from tests.support.consortium import Consortium
from tests.support.departments import SeededDepartments


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One gateway process's application and its seats."""

    app: FastAPI
    seats: dict[str, Seat]

    def client(self, consortium: Consortium, number: int) -> GatewayClient:
        """A client that asks as seat `number`, straight into the application."""
        transport = httpx.ASGITransport(app=self.app)
        return GatewayClient(number, consortium.keys[number].request, consortium.chain, transport=transport, timeout=30)


def make_seats(
    consortium: Consortium, departments: SeededDepartments, admin_dsn: str, names: Iterable[str]
) -> dict[str, Seat]:
    """Seats of departments over their seeded databases, each with a new store."""
    paths = {path.stem: path for path in department_files()}
    seats = {}
    for name in names:
        # A store is named after its department; a test's own has a random name, so that tests do not meet.
        alias = f"{name[:30]}-{secrets.token_hex(4)}"
        view = consortium.seats[name]
        seats[name] = Seat(
            keyset=view.keyset,
            keys=consortium.keys[view.number],
            adapters=AdapterFiles(name, paths[name]),
            records=Records(departments.databases[name].reader, departments.adapters[name]),
            store=Store(prepare_stores(admin_dsn, [alias])[alias]),
            policy=Policy(),
        )
    return seats


@asynccontextmanager
async def open_gateway(
    consortium: Consortium, departments: SeededDepartments, admin_dsn: str, names: Iterable[str]
) -> AsyncIterator[Gateway]:
    """A gateway that seats `names`, started and stopped as a server would."""
    seats = make_seats(consortium, departments, admin_dsn, names)
    app = create_app(list(seats.values()), consortium.chain)
    async with app.router.lifespan_context(app):
        yield Gateway(app=app, seats=seats)
