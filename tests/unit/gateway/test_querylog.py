"""The query log in its store: linear under concurrency, provable, never answered before it is committed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.database import ensure_databases
from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Diverged, Invalid, Refused, Unavailable
from orchestrator.domain.suite import hash_of
from orchestrator.gateway.querylog import Asked, Logged, append, read_tree, require_head
from orchestrator.gateway.store import MIGRATIONS, Store, StoredMandate, prepare_stores, store_name
from orchestrator.protocol.querylog import (
    EMPTY_ROOT,
    Head,
    LogTree,
    entry,
    leaf_hash,
    nodes_for_consistency,
    verify_consistency,
    verify_inclusion,
)

pytestmark = pytest.mark.anyio

NewStore = Callable[[], str]
"""Makes an empty store and gives its connection string."""


@pytest.fixture(scope="module")
def stores(pg_admin_dsn: str) -> NewStore:
    made = 0

    def new() -> str:
        nonlocal made
        made += 1
        name = f"log-{made}-{secrets.token_hex(4)}"
        return prepare_stores(pg_admin_dsn, [name])[name]

    return new


@pytest.fixture
async def store(stores: NewStore) -> AsyncIterator[Store]:
    store = Store(stores(), connections=8)
    await store.open()
    yield store
    await store.close()


def batch(*questions: str, asker: int = 0, outcome: str = "admitted") -> Asked:
    """A batch of questions as the gate would leave it."""
    return Asked(
        asker=asker,
        jti=secrets.token_urlsafe(16),
        expires_at=4_000_000_000,
        jws=secrets.token_hex(40),
        questions=[(question, outcome) for question in questions],
        mandates=[],
    )


def some(count: int) -> list[str]:
    return [to_hex(secrets.token_bytes(32)) for _ in range(count)]


def check(asked: Asked, logged: Logged) -> None:
    """Every question of the batch is in the log, as the asker itself computes its leaf."""
    root = logged.tree.root()
    batch_hash = to_hex(hash_of(asked.jws.encode()))
    for position, (question, _) in enumerate(asked.questions):
        leaf = leaf_hash(entry(batch_hash, question, logged.attempts[position]))
        path = logged.path(position)
        assert verify_inclusion(leaf, logged.first + position, logged.tree.size, path, root)
        assert not verify_inclusion(leaf_hash(b"x"), logged.first + position, logged.tree.size, path, root)


async def test_read_tree__new_store__empty_log(store: Store) -> None:
    tree = await read_tree(store, None)
    assert (tree.size, tree.root()) == (0, EMPTY_ROOT)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_append__any_batches__equal_to_a_log_in_memory(stores: NewStore, sizes: list[int]) -> None:
    async def run() -> None:
        store, memory, roots = Store(stores(), connections=2), LogTree(), {0: EMPTY_ROOT}
        await store.open()
        for size in sizes:
            asked = batch(*some(size))
            logged = await append(store, asked)
            check(asked, logged)
            batch_hash = to_hex(hash_of(asked.jws.encode()))
            memory.append([leaf_hash(entry(batch_hash, question, 1)) for question, _ in asked.questions])
            roots[memory.size] = memory.root()
            assert logged.tree.root() == memory.root()
        for old, root in roots.items():
            tree = await read_tree(store, None, nodes_for_consistency(old, memory.size))
            assert verify_consistency(old, root, memory.size, memory.root(), tree.consistency_proof(old))
            assert (await read_tree(store, old)).root() == root
        await store.close()

    asyncio.run(run())


async def test_require_head__log_goes_on_from_it__nothing_said(store: Store) -> None:
    roots = {
        logged.tree.size: logged.tree.root() for logged in [await append(store, batch(*some(5))) for _ in range(3)]
    }
    for size, root in roots.items():
        await require_head(store, Head(seat=3, size=size, root=root))


@pytest.mark.parametrize("entries", [0, 4, 5, 9])
async def test_require_head__log_is_another_or_lost_entries__diverged(store: Store, entries: int) -> None:
    if entries:
        await append(store, batch(*some(entries)))
    with pytest.raises(Diverged) as caught:
        await require_head(store, Head(seat=3, size=5, root=secrets.token_bytes(32)))
    assert caught.value.code == "log-lost"
    assert caught.value.remedy


async def test_append__many_at_once_through_two_pools__one_line(store: Store) -> None:
    """As two processes serving one seat would."""
    other = Store(store.pool.conninfo, connections=8)
    await other.open()
    batches = [batch(*some(7)) for _ in range(24)]
    try:
        pairs = zip(batches, [store, other] * 12, strict=True)
        logged = await asyncio.gather(*(append(each_store, each) for each, each_store in pairs))
    finally:
        await other.close()
    assert sorted(each.first for each in logged) == list(range(0, 24 * 7, 7))
    last = max(logged, key=lambda each: each.first)
    for asked, each in zip(batches, logged, strict=True):
        check(asked, each)
        tree = await read_tree(store, None, nodes_for_consistency(each.tree.size, last.tree.size))
        proof = tree.consistency_proof(each.tree.size)
        assert verify_consistency(each.tree.size, each.tree.root(), last.tree.size, last.tree.root(), proof)


async def test_append__same_questions_again__next_attempts(store: Store) -> None:
    questions = some(3)
    assert (await append(store, batch(*questions))).attempts == [1, 1, 1]
    again = batch(questions[2], questions[0], *some(1))
    logged = await append(store, again)
    assert logged.attempts == [2, 2, 1]
    check(again, logged)


async def test_append__same_questions_concurrently__attempts_differ(store: Store) -> None:
    question = some(1)[0]
    logged = await asyncio.gather(*(append(store, batch(question)) for _ in range(10)))
    assert sorted(each.attempts[0] for each in logged) == list(range(1, 11))


async def test_append__batch_replayed__refused_and_not_logged(store: Store) -> None:
    asked = batch(*some(2))
    await append(store, asked)
    with pytest.raises(Refused) as error:
        await append(store, asked)
    assert error.value.code == "replayed"
    assert (await read_tree(store, None)).size == 2


async def test_append__same_nonce_of_other_seat__no_replay(store: Store) -> None:
    first, second = batch(*some(1), asker=0), batch(*some(1), asker=3)
    await append(store, first)
    await append(store, replace(second, jti=first.jti))
    assert (await read_tree(store, None)).size == 2


async def test_append__mandates__kept_once_with_what_they_replace(store: Store) -> None:
    grant = StoredMandate(hash=b"\1" * 32, case_id=b"\2" * 32, kind="grant", previous=None, jws="a.b.c", issuer=2)
    withdrawal = StoredMandate(
        hash=b"\3" * 32, case_id=b"\2" * 32, kind="withdrawal", previous=b"\1" * 32, jws="d", issuer=2
    )
    for _ in range(2):
        await append(store, replace(batch(*some(1)), mandates=[grant, withdrawal]))
    assert await store.mandates([grant.hash, b"\7" * 32]) == {grant.hash: "a.b.c"}
    assert await store.followers([grant.hash, withdrawal.hash]) == [(grant.hash, "withdrawal", "d")]


async def test_append__store_down__unavailable() -> None:
    store = Store("postgresql://nobody@127.0.0.1:1/none", connections=1)
    store.pool.timeout = 0.2
    await store.open()
    with pytest.raises(Unavailable) as error:
        await append(store, batch(*some(1)))
    assert error.value.code == "store-down"
    await store.close()


async def test_append__lock_held_by_one_that_stands_still__unavailable_then_on(store: Store) -> None:
    with psycopg.connect(store.pool.conninfo) as stuck:
        stuck.execute("select size from log_head for update")
        async with store.pool.connection() as connection:
            await connection.execute("set lock_timeout = '100ms'")  # the store's own patience is ten seconds
        with pytest.raises(Unavailable) as error:
            await append(store, batch(*some(1)))
        assert error.value.code == "store-down"
    assert (await append(store, batch(*some(1)))).tree.size == 1


@pytest.mark.parametrize("size", [-1, 5, 1 << 60])
async def test_read_tree__size_it_never_had__invalid(store: Store, size: int) -> None:
    await append(store, batch(*some(4)))
    with pytest.raises(Invalid):
        await read_tree(store, size)


async def test_read_tree__old_leaf_under_new_head__included(store: Store) -> None:
    asked = batch(*some(5))
    first = await append(store, asked)
    await append(store, batch(*some(30)))
    tree = await read_tree(store, None, leaves=[3])
    leaf = leaf_hash(entry(to_hex(hash_of(asked.jws.encode())), asked.questions[3][0], first.attempts[3]))
    assert verify_inclusion(leaf, 3, 35, tree.inclusion_proof(3), tree.root())


async def test_prepare_stores__twice__keeps_what_is_there(pg_admin_dsn: str) -> None:
    name = f"kept-{secrets.token_hex(4)}"
    store = Store(prepare_stores(pg_admin_dsn, [name])[name])
    await store.open()
    await append(store, batch(*some(1)))
    again = Store(prepare_stores(pg_admin_dsn, [name])[name])
    await again.open()
    assert (await read_tree(again, None)).size == 1
    await store.close()
    await again.close()


async def test_prepare_stores__database_without_a_revision__brought_up(pg_admin_dsn: str) -> None:
    name = f"old-{secrets.token_hex(4)}"
    ensure_databases(pg_admin_dsn, [store_name(name)])
    dsn = prepare_stores(pg_admin_dsn, [name])[name]
    with psycopg.connect(dsn) as connection:
        newest = connection.execute("select version_num from alembic_version").fetchone()
        assert newest == (max(path.name[:4] for path in MIGRATIONS.glob("0*.py")),)
        assert connection.execute("select size from log_head").fetchone() == (0,)


def test_migrations__in_one_line() -> None:
    """Two revisions of one number would stop every gateway."""
    before = None
    for path in sorted(MIGRATIONS.glob("0*.py")):
        text = path.read_text()
        down = "None" if before is None else f'"{before}"'
        assert f'revision = "{path.name[:4]}"\ndown_revision = {down}\n' in text
        before = path.name[:4]
