"""Gateways for tests: real seats over real databases, reached through the real client."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from orchestrator.gateway.client import Answers, GatewayClient
from orchestrator.gateway.policy import Policy, PolicyFile
from orchestrator.gateway.records import Records
from orchestrator.gateway.seat import AdapterFiles, Seat
from orchestrator.gateway.server import create_app
from orchestrator.gateway.store import Store, prepare_stores
from orchestrator.protocol.answer import Answer, read_answer
from orchestrator.scenarios import department_files
from tests.support.consortium import Consortium
from tests.support.departments import SeededDepartments

MARKET, POLICE, CULTURE, OPERATOR, TAX = 1, 2, 3, 0, 6
SEATED = (
    "haidian-market-supervision",
    "beijing-public-security",
    "haidian-culture-tourism",
    "beijing-natural-resources",
    "haidian-housing-construction",
)
"""What answers a gallery's questions."""


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
    consortium: Consortium,
    departments: SeededDepartments,
    admin_dsn: str,
    names: Iterable[str],
    policy: PolicyFile | None = None,
) -> dict[str, Seat]:
    """Seats of departments over their seeded databases, each with a new store; by default they sign unasked."""
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
            policy=policy or PolicyFile(absent=Policy(sign="auto")),
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


@asynccontextmanager
async def gallery_gateway(
    consortium: Consortium, departments: SeededDepartments, admin_dsn: str
) -> AsyncIterator[Gateway]:
    """A gateway whose seats have signed the gallery's binding."""
    async with open_gateway(consortium, departments, admin_dsn, SEATED) as gateway:
        async with gateway.client(consortium, OPERATOR) as client:
            for name in SEATED:
                await client.sign_binding(consortium.seats[name], *documents(consortium), terms(consortium))
        yield gateway


def documents(consortium: Consortium) -> tuple[dict[str, Any], dict[str, Any]]:
    """Definition and texts of the scenario."""
    return consortium.scenario.definition(), consortium.scenario.texts()


def terms(consortium: Consortium, **changes: Any) -> dict[str, Any]:
    """The binding as it is proposed for signature."""
    binding = consortium.binding
    return {
        "version": binding.version,
        "region": binding.region,
        "identity": binding.identity,
        "operator": binding.operator,
        "approvers": list(binding.approvers),
        "providers": list(binding.providers),
        "valid_until": int(time.time()) + 3600,
    } | changes


def read(consortium: Consortium, answers: Answers, seat: int, *, approver: int | None = None) -> dict[str, Answer]:
    """The answers by item, read with the keys of an approver when one is named."""
    key = consortium.seat(seat).keyset.key("evidence")
    private = consortium.keys[approver].sealing if approver is not None else None
    read = [read_answer(each, key, private=private, seat=approver) for each in answers.answers]
    return {answer.item: answer for answer in read}


async def ask(consortium: Consortium, client: GatewayClient, jws: str, *items: str, seat: int | None = None) -> Answers:
    """Items asked of their provider, or of `seat`, about the first subject of their role."""
    number = consortium.provider(items[0]) if seat is None else seat
    return await client.ask(consortium.seat(number), consortium.questions(jws, items), [jws])


async def reasons(consortium: Consortium, client: GatewayClient, jws: str, *items: str, seat: int = MARKET) -> set[Any]:
    """Why questions were refused; `{None}` when they were answered."""
    answers = await ask(consortium, client, jws, *items, seat=seat)
    return {answer.reason for answer in read(consortium, answers, seat).values()}


async def post(gateway: Gateway, path: str, body: Any) -> httpx.Response:
    """A bare request to the market supervision's gateway."""
    transport = httpx.ASGITransport(app=gateway.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
        return await http.post(f"/haidian-market-supervision/{path}", json=body)
