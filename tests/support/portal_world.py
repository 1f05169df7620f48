"""The portal's application in this process over a real store and a real identity seat, and people who look at its pages.

The chain is `MemoryChain`, nothing works on the cases: a test puts a case where it wants it. What is behind the portal, pipeline,
gateways and contracts, is tested by the acceptance tests.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urljoin

import httpx
from fastapi import FastAPI
from psycopg.types.json import Jsonb

from orchestrator.api.state import State
from orchestrator.database import Pool, ensure_databases, migrate, open_pool, with_database
from orchestrator.identity.client import Applicant
from orchestrator.pipeline.context import Context, Definitions, Pace
from orchestrator.portal.app import create_portal
from orchestrator.protocol.ports import SeatView
from orchestrator.runtime import MIGRATIONS
from orchestrator.scenarios import load_calendar, shipped
from orchestrator.store import applications
from tests.support import identity_world
from tests.support.chain import MemoryChain

ORIGIN = "http://portal.test"


class PortalChain:
    """`MemoryChain` with what the portal reads beyond the chain port."""

    def __init__(self, chain: MemoryChain) -> None:
        self._chain = chain
        self.deployment = SimpleNamespace(block=4)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    async def seats(self) -> list[SeatView]:
        return [seat for _, seat in sorted(self._chain._seats.items())]

    def address(self, contract: str) -> str:
        return self._chain.domain(contract).contract


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalWorld:
    """A running portal and identity seat."""

    app: FastAPI
    pool: Pool
    identity: identity_world.World
    chain: MemoryChain

    @asynccontextmanager
    async def visitor(self) -> AsyncIterator[Visitor]:
        """Somebody with a browser of their own."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"accept": "text/html"}) as http:
            yield Visitor(http=http)

    async def put(self, case: str, **columns: Any) -> None:
        """Sets columns of a case."""
        names = ", ".join(f"{name} = %({name})s" for name in columns)
        given = {name: Jsonb(value) if isinstance(value, dict | list) else value for name, value in columns.items()}
        await self.run(f"update case_file set {names} where id = %(case)s", {**given, "case": case})

    async def run(self, statement: str, parameters: Any = ()) -> None:
        """One statement on the orchestrator's store."""
        async with self.pool.connection() as connection:
            await connection.execute(cast(Any, statement), parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody with a browser: cookies are kept, forms name their origin."""

    http: httpx.AsyncClient

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path)

    async def post(self, path: str, **how: Any) -> httpx.Response:
        return await self.http.post(path, headers={"origin": ORIGIN, **how.pop("headers", {})}, **how)

    async def sign_in(self, number: str, onward: str = "/") -> httpx.Response:
        """Signs in through the pages; the portal's answer to coming back."""
        begun = await self.post("/signin", data={"next": onward})
        async with Applicant(number) as person:
            returned = await person.sign_in(begun.headers["location"])
        return await self.http.get(returned.url.removeprefix(ORIGIN))


@asynccontextmanager
async def running(admin_dsn: str, *scenarios: str) -> AsyncIterator[PortalWorld]:
    """A portal that offers the named scenarios to the cast."""
    database = f"portal_{secrets.token_hex(6)}"
    await asyncio.to_thread(ensure_databases, admin_dsn, [database])
    dsn = with_database(admin_dsn, database)
    await asyncio.to_thread(migrate, dsn, MIGRATIONS)
    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(identity_world.running(admin_dsn, identity_world.PEOPLE))
        pool = await stack.enter_async_context(open_pool(dsn))
        for name in scenarios:
            await identity.bind(name)
            scenario = shipped(name, identity_world.CATALOGUE)
            async with pool.connection() as connection:
                await applications.keep_definition(
                    connection,
                    version=scenario.version,
                    scenario=scenario.id,
                    definition=scenario.definition(),
                    texts=scenario.texts(),
                    texts_hash=scenario.texts_hash,
                )
        nobody = cast(Any, None)
        context = Context(
            pool=pool,
            view=cast(Any, PortalChain(identity.chain)),
            poster=nobody,
            follower=nobody,
            gateways=nobody,
            definitions=Definitions(pool),
            calendar=load_calendar(),
            pace=Pace(),
            owner="test",
        )
        state = State(context=context, identity=identity.portal, operator=identity_world.OPERATOR, region="110108")

        @asynccontextmanager
        async def opened() -> AsyncIterator[State]:
            yield state

        app = create_portal(opened)
        await stack.enter_async_context(app.router.lifespan_context(app))
        yield PortalWorld(app=app, pool=pool, identity=identity, chain=identity.chain)


class Page(HTMLParser):
    """A page taken apart: its elements as (tag, attributes), and its text."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        assert response.headers["content-type"].startswith("text/html")
        self.url = str(response.url)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._words: list[str] = []
        self.feed(response.text)
        self.text = " ".join(self._words)
        """What a person reads, with single spaces."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self._words += data.split()

    def all(self, tag: str, *having: str, **equal: str) -> list[dict[str, str]]:
        """Attributes of the elements of a tag that have these attributes; an underscore stands for a hyphen."""
        wanted = {name.replace("_", "-"): value for name, value in equal.items()}
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and set(having) <= attributes.keys() and wanted.items() <= attributes.items()
        ]

    def one(self, tag: str, *having: str, **equal: str) -> dict[str, str]:
        """The only such element."""
        found = self.all(tag, *having, **equal)
        assert len(found) == 1, (tag, having, equal, len(found))
        return found[0]

    def links(self) -> set[str]:
        """Absolute addresses of everything that the page loads or leads to."""
        names = ("href", "src", "action", "formaction")
        return {urljoin(self.url, each[name]) for _, each in self.elements for name in names if name in each}
