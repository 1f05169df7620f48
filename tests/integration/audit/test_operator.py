"""An operator holds a department to every answer in its own store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from orchestrator.audit.evidence import Kind
from orchestrator.audit.promises import kept_promises
from orchestrator.database import Pool
from orchestrator.protocol.jose import jws_hash
from orchestrator.store import batches, evidence
from tests.support.auditing import ITEMS, Audited
from tests.support.cheater import entries_of, relog
from tests.support.gateway import MARKET
from tests.support.orchestrator import open_store, put_case, rows

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pool(pg_admin_dsn: str) -> AsyncIterator[Pool]:
    async with open_store(pg_admin_dsn) as pool:
        yield pool


async def gathered(department: Audited, pool: Pool) -> None:
    """Asks, and writes answers and head down as gathering does."""
    answers = await department.ask()
    async with pool.connection() as connection:
        await evidence.record_answers(
            connection,
            [
                {
                    "id": each.question,
                    "state": "answered",
                    "attempt": each.attempt,
                    "envelope": each.model_dump(mode="json"),
                    "answer_hash": jws_hash(each.answer),
                    "reason": None,
                }
                for each in answers.answers
            ],
        )
        await batches.keep_heads(connection, [answers.head.model_dump(mode="json")])


@pytest.fixture
async def store(department: Audited, pool: Pool) -> Pool:
    """A store with a case whose questions are the department's."""
    case = await put_case(pool)
    await rows(pool, "insert into mandate (hash, case_id, position, jws) values ('m', %s, 0, '')", case)
    for question in department.chain.consortium.questions(department.mandate, ITEMS):
        await rows(
            pool,
            "insert into question (id, case_id, mandate, item, idx, seat, purpose) values (%s, %s, 'm', %s, 0, %s, 'decide')",
            question.id,
            case,
            question.item,
            MARKET,
        )
    return pool


async def test_kept_promises__all_then_what_came_since(department: Audited, store: Pool) -> None:
    for _ in range(3):
        await gathered(department, store)
    view = await department.chain.view.seat(MARKET)
    promises, heads = await kept_promises(store, view, size=0, at=0)
    assert sorted(each.place.index for each in promises) == [0, 1, 2, 3, 4, 5]
    assert all(each.holds for each in promises)
    assert [head.size for head in heads] == [6]
    await department.anchor()
    done = await department.in_order(promises=promises, heads=heads)
    assert done.kept == 6
    # What an audit has looked at stays out, except what came about then: it may stand at an older place.
    later = int(time.time()) + 2 * 3600
    assert await kept_promises(store, view, size=6, at=later) == ([], heads)
    promises, _ = await kept_promises(store, view, size=4, at=later)
    assert sorted(each.place.index for each in promises) == [4, 5]
    promises, _ = await kept_promises(store, view, size=6, at=int(time.time()))
    assert len(promises) == 6
    other = await department.chain.view.seat(2)
    assert await kept_promises(store, other, size=0, at=0) == ([], [])


async def test_follow__operator_was_answered_out_of_a_log_that_is_gone__its_store_tells(
    department: Audited, store: Pool
) -> None:
    await gathered(department, store)
    before = entries_of(department.seat)
    await gathered(department, store)
    relog(department.seat, before)
    await department.ask(2)
    await department.anchor()
    promises, heads = await kept_promises(store, await department.chain.view.seat(MARKET), size=0, at=0)
    lies = await department.caught(promises=promises, heads=heads)
    assert {lie.kind for lie in lies} == {Kind.PROMISE, Kind.REWRITE} or {lie.kind for lie in lies} == {Kind.PROMISE}
