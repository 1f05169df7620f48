"""A gateway that cheats with its query log: real, with its real key and store, except that the department bends what it logged.

A cheater is its own database's administrator and signs whatever comes out of it, so each function writes into the store of the
real gateway; what is served and signed then is the real gateway's work. `Garbled` bends what goes over the wire instead.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import httpx
import orjson
import psycopg

from orchestrator.domain.canonical import canonical, to_hex
from orchestrator.gateway.seat import Seat
from orchestrator.protocol.querylog import LogTree, leaf_hash


def entries_of(seat: Seat) -> list[bytes]:
    """What a seat has logged."""
    with psycopg.connect(seat.store.pool.conninfo) as connection:
        return [bytes(row[0]) for row in connection.execute("select entry from log_entry order by index")]


def relog(seat: Seat, entries: Sequence[bytes]) -> None:
    """Makes a log of these entries, as if there had never been others."""
    tree = LogTree()
    nodes = tree.append([leaf_hash(each) for each in entries])
    with psycopg.connect(seat.store.pool.conninfo) as connection, connection.cursor() as cursor:
        cursor.execute("set local session_replication_role = replica")  # answers go on pointing at what is gone
        cursor.execute("delete from log_node")
        cursor.execute("delete from log_entry")
        cursor.executemany(
            "insert into log_entry (index, entry, outcome) values (%s, %s, 'admitted')", list(enumerate(entries))
        )
        cursor.executemany(
            "insert into log_node (level, index, hash) values (%s, %s, %s)",
            [(level, index, node) for (level, index), node in nodes.items()],
        )
        cursor.execute("update log_head set size = %s, root = %s", [tree.size, tree.root()])


def rewrite(seat: Seat, index: int) -> None:
    """Puts another question in the place of one that was asked."""
    relog(seat, [an_entry() if place == index else each for place, each in enumerate(entries_of(seat))])


def shrink(seat: Seat, size: int) -> None:
    """Forgets what was asked last."""
    relog(seat, entries_of(seat)[:size])


def change_text(seat: Seat, index: int) -> None:
    """Shows another entry than the one that was hashed; heads and proofs stay as they were."""
    with psycopg.connect(seat.store.pool.conninfo) as connection:
        connection.execute("update log_entry set entry = %s where index = %s", [an_entry(), index])


def an_entry() -> bytes:
    """An entry about a question that nobody asked."""
    question, batch = (to_hex(secrets.token_bytes(32)) for _ in range(2))
    return canonical({"attempt": 1, "batch": batch, "question": question})


class Garbled(httpx.AsyncBaseTransport):
    """The way to a gateway, on which some answers are replaced: by path, what to make of the real answer's JSON."""

    def __init__(self, inner: httpx.AsyncBaseTransport, **bent: Callable[[dict[str, object]], object]) -> None:
        self._inner = inner
        self._bent = bent

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        bend = self._bent.get(request.url.path.rpartition("/")[2])
        if bend is None:
            return answer
        content = bend(orjson.loads(await answer.aread()))
        if isinstance(content, int):
            return httpx.Response(content, json={"title": "…"}, request=request)
        return httpx.Response(200, json=content, request=request)
