"""An identity seat over real HTTP with its own PostgreSQL database, and the portal that sends people to it.

The chain is `MemoryChain`; seats, keys, scenario files and everything of the identity seat itself are real.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urljoin

import httpx
import uvicorn

from orchestrator.api.identity import Granted, IdentityClient, Pushed
from orchestrator.database import open_pool
from orchestrator.domain.canonical import b64
from orchestrator.domain.scenario import Scenario
from orchestrator.identity.client import Applicant, Returned, subject_fields
from orchestrator.identity.face import DevelopmentFaceCheck
from orchestrator.identity.oidc import Client
from orchestrator.identity.seat import IdentitySeat, open_identity_seat
from orchestrator.identity.server import create_app
from orchestrator.identity.setup import prepare_identity
from orchestrator.identity.store import IdentityStore
from orchestrator.protocol.keyset import Keyset, SeatKeys, generate_seat_keys
from orchestrator.protocol.mandate import Mandate
from orchestrator.protocol.ports import BindingView
from orchestrator.protocol.sealing import SealingKey
from orchestrator.scenarios import load_calendar, load_catalogue, read_data, shipped
from tests.support.chain import MemoryChain

IDENTITY, OPERATOR = 2, 0
REDIRECT = "http://portal.test/callback"
CATALOGUE = load_catalogue()
ROLES: dict[str, str] = read_data("bindings/haidian.yaml")["roles"]
CAST: dict[str, dict[str, Any]] = read_data("cast.yaml")["people"]
PEOPLE: dict[str, str] = {person["number"]: person["name"] for person in CAST.values()}
CHEN, SUN, WANG = (str(CAST[name]["number"]) for name in ("chen-hua", "sun-zuyue", "wang-waibu"))
GALLERY: dict[str, Any] = {
    "decoration_area_m2": "280.00",
    "handler_household": "beijing",
    "handled_by": "self",
    "premises_tenure": "owned",
}
GALLERY_SUBJECTS: dict[str, Any] = {
    "company": [{"id": "91110108MBXYE0016D", "name": "海淀墨白画廊有限公司"}],
    "premises": [{"id": "京(2019)海不动产权第0000001号", "attributes": {"unit": "110108001001GB00001F00010001"}}],
}
KEYS: dict[int, SeatKeys] = {
    department.seat: generate_seat_keys(identity=department.seat == IDENTITY)
    for department in CATALOGUE.departments.values()
}


@dataclass(slots=True)
class Clock:
    """A clock that a test moves."""

    offset: int = 0

    def __call__(self) -> int:
        return int(time.time()) + self.offset


@dataclass(slots=True, kw_only=True)
class Application:
    """What the portal asks a mandate for."""

    binding: int
    values: dict[str, Any]
    salt: str = field(default_factory=lambda: b64(secrets.token_bytes(32)))
    form: str | None = None
    delivery: SealingKey = field(default_factory=SealingKey.generate)

    def details(self, kind: str = "grant", case: str | None = None, previous: str | None = None) -> dict[str, Any]:
        return {
            "kind": kind,
            "binding": self.binding,
            "situation": {"values": self.values, "salt": self.salt},
            "form": {"hash": self.form} if self.form else None,
            "delivery": {name: str(value) for name, value in self.delivery.jwk.items()},
            "case": case,
            "previous": previous,
        }


@dataclass(slots=True, kw_only=True)
class World:
    """A running identity seat and its surroundings."""

    seat: IdentitySeat
    chain: MemoryChain
    portal: IdentityClient
    http: httpx.AsyncClient
    clock: Clock

    async def bind(self, scenario: Scenario | str) -> BindingView:
        """Publishes and binds a scenario to the shipped departments and gives the seat its documents."""
        scenario = shipped(scenario, CATALOGUE) if isinstance(scenario, str) else scenario
        approvers = [_seat_of(role) for role in scenario.approvers]
        self.chain.publish(scenario.version, scenario.id, scenario.texts_hash, approvers[0])
        await self.portal.put_definition(scenario.version, scenario.definition(), scenario.texts())
        return self.chain.bind(
            scenario.version,
            identity=IDENTITY,
            operator=OPERATOR,
            approvers=approvers,
            providers=[_seat_of(role) for role in scenario.providers],
        )

    async def authorise(self, number: str, details: Mapping[str, Any] | None, **how: Any) -> tuple[Pushed, Returned]:
        """The person's whole way from a pushed request back to the portal."""
        pushed = await self.portal.push(dict(details) if details is not None else None)
        async with Applicant(number) as person:
            return pushed, await person.authorise(pushed.authorize_url, **how)

    async def granted(self, number: str, details: Mapping[str, Any] | None, **how: Any) -> Granted:
        """The same, with the code exchanged."""
        pushed, returned = await self.authorise(number, details, **how)
        assert returned.state == pushed.state
        return await self.portal.exchange(returned.code, code_verifier=pushed.code_verifier, nonce=pushed.nonce)

    def parse(self, jws: str | None) -> Mandate:
        """The mandate as a gateway reads it."""
        assert jws is not None
        return Mandate.parse(jws, KEYS[IDENTITY].identity.jwk, issuer=IDENTITY, now=self.clock())


@asynccontextmanager
async def running(
    admin_dsn: str, people: Mapping[str, str], *, attributes: Mapping[str, dict[str, Any]] | None = None
) -> AsyncIterator[World]:
    """A world with accounts {citizen number: name} and the development passcode."""
    dsn = await asyncio.to_thread(prepare_identity, admin_dsn, f"identity_{secrets.token_hex(6)}")
    listener = socket.create_server(("127.0.0.1", 0))
    issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
    chain, clock = MemoryChain(), Clock()
    for department in CATALOGUE.departments.values():
        chain.admit(keyset(department.seat), KEYS[department.seat])
    operator = (await chain.seat(OPERATOR)).keyset.id
    async with open_pool(dsn) as pool, httpx.AsyncClient(trust_env=False) as http:
        store = IdentityStore(pool)
        await store.seed_development_accounts(people.items(), profile="devnet", attributes=attributes)
        seat = await open_identity_seat(
            issuer=issuer,
            number=IDENTITY,
            keys=KEYS[IDENTITY],
            store=store,
            chain=chain,
            clients={operator: Client(id=operator, seat=OPERATOR, redirect_uris=(REDIRECT,))},
            face=DevelopmentFaceCheck("devnet"),
            catalogue=CATALOGUE,
            calendar=load_calendar(),
            profile="devnet",
            now=clock,
        )
        portal = IdentityClient(
            http,
            issuer=issuer,
            seat=IDENTITY,
            client=operator,
            redirect_uri=REDIRECT,
            keys=KEYS[OPERATOR],
            chain=chain,
        )
        server = uvicorn.Server(uvicorn.Config(create_app(seat, http), log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            yield World(seat=seat, chain=chain, portal=portal, http=http, clock=clock)
        finally:
            server.should_exit = True
            await serving


class Browser:
    """A browser that takes HTML: follows redirects within the identity seat and posts the forms that it is shown."""

    def __init__(self, world: World) -> None:
        self._http = httpx.AsyncClient(trust_env=False, headers={"Accept": "text/html"})
        self._issuer = world.seat.issuer
        self._page = ""
        self._text = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def open(self, url: str) -> httpx.Response:
        """Opens an address, following redirects within the identity seat."""
        return await self._followed(await self._http.get(url))

    async def submit(self, **fields: str) -> httpx.Response:
        """Posts the form of the page with its own token."""
        token = re.search(r'name="csrf" value="([^"]+)"', self._text)
        assert token is not None
        return await self._followed(await self._http.post(self._page, data={"csrf": token[1], **fields}))

    async def _followed(self, answer: httpx.Response) -> httpx.Response:
        while answer.status_code == 303:
            location = urljoin(str(answer.url), answer.headers["location"])
            if not location.startswith(self._issuer):
                return answer
            answer = await self._http.get(location)
        self._page, self._text = str(answer.url), answer.text
        return answer


async def gallery(world: World) -> Application:
    """An application for the gallery, published and bound."""
    return Application(binding=(await world.bind("open-gallery")).number, values=dict(GALLERY))


def form_fields(subjects: dict[str, Any]) -> dict[str, str]:
    """Subjects as form fields."""
    return {name: str(value) for name, value in subject_fields(subjects).items()}


async def post(person: Applicant, page: str, view: dict[str, Any], **fields: str) -> dict[str, Any]:
    """Posts a form whose answer is another view."""
    answer = await person.post(page, view, fields)
    assert isinstance(answer, dict)
    return answer


def keyset(number: int) -> Keyset:
    """The keyset document of a seat."""
    profile = next(each for each in CATALOGUE.departments.values() if each.seat == number)
    return Keyset(
        seat=number,
        id=profile.id,
        name={"zh": profile.name.zh, "en": profile.name.en},
        uscc=profile.uscc,
        region=profile.region,
        parent=profile.parent,
        vertical=profile.vertical,
        hosted_by=profile.hosted_by,
        endpoint=f"http://127.0.0.1:1/{profile.id}",
        keys=tuple(KEYS[number].public_jwks()),
    )


def _seat_of(role: str) -> int:
    """The seat that plays a scenario's department role in Haidian."""
    return CATALOGUE.department(ROLES[role]).seat
