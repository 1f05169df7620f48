"""The orchestrator's store for tests, cases in it, and a pipeline over real approvers and a real chain.

Only the providers are written by the test: their answers come from the approvers' `Book`, each with a query log of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import httpx
import psycopg

from orchestrator.database import Pool, ensure_databases, migrate, open_pool, with_database
from orchestrator.domain.canonical import to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.scenario import Scenario
from orchestrator.gateway.client import Answers, GatewayClient
from orchestrator.ledger.follower import Follower
from orchestrator.ledger.poster import Poster
from orchestrator.pipeline.context import Context, Definitions, Pace
from orchestrator.pipeline.post import follow
from orchestrator.pipeline.worker import Worker
from orchestrator.protocol.answer import AnswerEnvelope, build_answer
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.querylog import LogTree
from orchestrator.protocol.question import Question
from orchestrator.protocol.sheet import head_digest
from orchestrator.runtime import MIGRATIONS
from orchestrator.scenarios import load_calendar
from orchestrator.store import applications, cases, evidence
from orchestrator.store.cases import CaseRow
from tests.support.approver import OPERATOR, Approvers, Filed
from tests.support.onchain import OnChain, mined

_TEMPLATE = "orchestrator_test_template"


@asynccontextmanager
async def open_store(admin_dsn: str) -> AsyncIterator[Pool]:
    """A new, migrated store of its own."""
    if ensure_databases(admin_dsn, [_TEMPLATE]):
        migrate(with_database(admin_dsn, _TEMPLATE), MIGRATIONS)
    name = f"orchestrator_{secrets.token_hex(4)}"
    ensure_databases(admin_dsn, [name], template=_TEMPLATE)
    async with open_pool(with_database(admin_dsn, name), size=8) as pool:
        yield pool
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


async def keep_scenario(pool: Pool, scenario: Scenario) -> None:
    """Keeps a scenario's documents, as publishing does."""
    async with pool.connection() as connection:
        await applications.keep_definition(
            connection,
            version=scenario.version,
            scenario=scenario.id,
            definition=scenario.definition(),
            texts=scenario.texts(),
            texts_hash=scenario.texts_hash,
        )


async def put_case(pool: Pool, *, case: str | None = None, stage: str = "intake", **changes: Any) -> str:
    """A bare case row in a stage, for tests of the store; `changes` are columns."""
    name = case or to_hex(secrets.token_bytes(32))
    row: dict[str, Any] = {
        "id": name,
        "subject": f"person-{name[:8]}",
        "scenario": "open-gallery",
        "version": "0x" + "22" * 32,
        "binding": 1,
        "situation": "{}",
        "situation_salt": "AA",
        "delivery": "{}",
        "day": date(2026, 3, 2),
        "deadline": "{}",
        "stage": stage,
    } | changes
    async with pool.connection() as connection:
        await connection.execute(
            f"insert into case_file ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})",
            list(row.values()),
        )
    return name


async def get(pool: Pool, case: str) -> CaseRow:
    """A case as it stands."""
    async with pool.connection() as connection:
        found = await cases.get(connection, case)
    assert found is not None
    return found


async def rows(pool: Pool, statement: str, *values: Any) -> list[dict[str, Any]]:
    """What a statement returns."""
    async with pool.connection() as connection:
        cursor = await connection.execute(statement, values)
        return await cursor.fetchall() if cursor.description else []


class BookedGateways(GatewayClient):
    """Approvers are asked for real; what providers answer is in the book, and each keeps a real log of its questions."""

    def __init__(self, approvers: Approvers) -> None:
        consortium = approvers.consortium
        transport = httpx.ASGITransport(app=approvers.app)
        super().__init__(OPERATOR, consortium.keys[OPERATOR].request, consortium.chain, transport=transport, timeout=30)
        self._approvers = approvers
        self.logs: dict[int, LogTree] = {}
        self.asked: list[Question] = []

    async def ask(self, seat: SeatView, questions: Sequence[Question], mandates: Sequence[str]) -> Answers:
        book = self._approvers.book
        if seat.keyset.id in book.down:
            raise Unavailable("…", detail_en="the gateway does not answer", code="gateway-unreachable")
        self.asked += questions
        self.logs.setdefault(seat.number, LogTree()).append([secrets.token_bytes(32) for _ in questions])
        return Answers(
            answers=tuple(book.answers.get(question.id) or self._refusal(question, seat) for question in questions),
            head=await self.head(seat),
        )

    async def head(self, seat: SeatView) -> SignedHead:
        tree = self.logs[seat.number]
        root, domain = tree.root(), self._approvers.consortium.chain.domain("CaseLedger")
        chain_key = self._approvers.consortium.keys[seat.number].chain
        signature = chain_key.sign_hash(head_digest(domain, seat.number, tree.size, root))
        return SignedHead(seat=seat.number, size=tree.size, root=to_hex(root), signature=to_hex(signature))

    async def consistency(self, seat: SeatView, first: int, second: int) -> tuple[bytes, ...]:
        tree = self.logs[seat.number]
        assert tree.size == second
        return tuple(tree.consistency_proof(first))

    def _refusal(self, question: Question, seat: SeatView) -> AnswerEnvelope:
        return build_answer(
            question,
            attempt=1,
            iss=seat.number,
            subject="0x" + "00" * 32,
            iat=1_700_000_000,
            exp=1_700_000_001,
            key=self._approvers.consortium.keys[seat.number].evidence,
            result="refused",
            reason="unknown-mandate",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A pipeline from submitted cases to a real chain."""

    pool: Pool
    chain: OnChain
    approvers: Approvers
    gateways: BookedGateways
    context: Context

    def worker(self, name: str = "w1", **changes: Any) -> Worker:
        """One more worker on the same tables."""
        return Worker(replace(self.context, owner=name, **changes))

    async def submit(self, case: Filed, *, subject: str = "somebody") -> str:
        """The case as the portal hands it to the pipeline."""
        consortium = self.approvers.consortium
        application: dict[str, Any] = {
            "id": secrets.token_urlsafe(12),
            "subject": subject,
            "scenario": consortium.scenario.id,
            "version": consortium.scenario.version,
            "binding": consortium.binding.number,
            "kind": "grant",
            "case_id": None,
            "situation": case.values,
            "situation_salt": case.salt,
            "form": case.form.model_dump(mode="json") if case.form else None,
            "delivery": consortium.delivery.jwk,
            "holder": None,
            "materials": [],
        }
        deadline = {"value": 2, "unit": "working_day", "day": date.today().isoformat(), "provisional": False}
        async with self.pool.connection() as connection:
            await applications.add_application(connection, application)
            if len(case.mandates) == 1:
                await cases.insert(
                    connection,
                    case_id=case.id,
                    application=application,
                    mandate_hash=jws_hash(case.newest),
                    mandate=case.newest,
                    day=date.today(),
                    deadline=deadline,
                )
            else:
                await cases.add_mandate(connection, case.id, jws_hash(case.newest), case.newest)
                await cases.amend(connection, case.id, application, deadline=deadline)
            for material in {each.id: each for each in case.materials}.values():  # the newest of each
                sealed = material.model_dump(mode="json")
                await evidence.add_material(connection, case.id, material.id, material.hash, sealed["sealed"])
        return case.id

    async def run(self, case: str, *, until: Sequence[str] = ("done", "waiting"), rounds: int = 40) -> CaseRow:
        """Works and follows until the case rests; every case is due at once."""
        worker = self.worker()
        for _ in range(rounds):
            await self.hurry()
            await worker.step()
            await follow(self.context)
            row = await get(self.pool, case)
            if row.stage in until:
                return row
        raise AssertionError(f"the case rests nowhere: {row.stage} {row.error}")

    async def follow_all(self) -> None:
        """Follows until there is nothing new on the chain."""
        await mined(self.chain.rpc)
        newest = "select max(number) as newest from chain_block"
        before = None
        while (now := await rows(self.pool, newest)) != before:
            before = now
            await follow(self.context)

    async def step_until(self, case: str, *stages: str) -> None:
        """Works, without looking at the chain, until the case is in one of the stages."""
        for _ in range(20):
            if (await get(self.pool, case)).stage in stages:
                return
            await self.hurry()
            await self.worker().step()
        raise AssertionError(f"in {(await get(self.pool, case)).stage} for good")

    async def sealed(self, count: int) -> list[str]:
        """New cases sealed together, on one sheet."""
        names = [await self.submit(self.approvers.file()) for _ in range(count)]
        await self.step_until(names[0], "post")
        return names

    async def on_ledger(self, case: str) -> tuple[Status, int]:
        """Status and number of a case by the contract."""
        status, sequence, _ = await self.chain.view.status_of(case)
        return status, sequence

    async def settlements(self, case: str) -> int:
        """How often the story of a case says that it was settled."""
        return (await self.story(case)).count("settled")

    async def hurry(self) -> None:
        """Makes everything that waits due now."""
        await rows(self.pool, "update case_file set due_at = now()")
        await rows(self.pool, "update question set next_at = now()")

    async def story(self, case: str) -> list[str]:
        """What happened to a case, by kind."""
        async with self.pool.connection() as connection:
            return [str(event["kind"]) for event in await cases.story(connection, case)]


@asynccontextmanager
async def open_line(chain: OnChain, approvers: Approvers, admin_dsn: str, **pace: Any) -> AsyncIterator[Line]:
    """A pipeline with a store of its own."""
    async with open_store(admin_dsn) as pool, BookedGateways(approvers) as gateways:
        await keep_scenario(pool, approvers.consortium.scenario)
        context = Context(
            pool=pool,
            view=chain.view,
            poster=Poster(chain.rpc, chain.view, SigningAccount.generate().secret),
            follower=Follower(chain.rpc, chain.view),
            gateways=gateways,
            definitions=Definitions(pool),
            calendar=load_calendar(),
            pace=Pace(**{"retry_first": 0.01, "retry_most": 0.05, **pace}),
            owner="w1",
        )
        yield Line(pool=pool, chain=chain, approvers=approvers, gateways=gateways, context=context)
