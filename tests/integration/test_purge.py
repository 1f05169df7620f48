"""What the orchestrator's store forgets by itself, over real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from orchestrator.database import Pool
from orchestrator.store import applications
from tests.support.orchestrator import open_store, rows

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def pool(pg_admin_dsn: str) -> AsyncIterator[Pool]:
    async with open_store(pg_admin_dsn) as pool:
        yield pool


async def test_purge__old_and_new__only_what_nobody_comes_back_for(pool: Pool) -> None:
    prepared = """
        insert into application (id, subject, scenario, version, binding, kind, situation, situation_salt, delivery, created_at)
        values (%s, 'x', 's', 'v', 1, 'grant', '{}', 'salt', '{}', now() - %s::interval)
    """
    for name, age in {"old": "25 hours", "new": "23 hours"}.items():
        await rows(pool, "insert into login values (%s, 'n', 'c', null, now() - %s::interval)", name, age)
        await rows(pool, "insert into idempotency values ('p', %s, '', 201, '{}', now() - %s::interval)", name, age)
        await rows(pool, prepared, name, age)
    await rows(pool, "insert into session values ('old', 'p', now() - interval '1 second')")
    await rows(pool, "insert into session values ('new', 'p', now() + interval '1 hour')")

    async with pool.connection() as connection:
        assert await applications.purge(connection) == 4

    left = await rows(
        pool,
        """
        select state as it from login union all select key from idempotency union all select id from application
        union all select convert_from(token_hash, 'utf8') from session
        """,
    )
    assert [row["it"] for row in left] == ["new"] * 4
