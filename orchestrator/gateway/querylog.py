"""A seat's query log in its store: every question that came, in one line, logged before anything is answered.

A question's leaf is `protocol.querylog.entry`: batch hash, question id, attempt. Between them stand what the identity seat
delivered (`protocol/notice.py`) and what people asked about themselves (`protocol/access.py`). One row's lock keeps the log
linear however many processes serve the seat, so that each question comes before or after a withdrawal.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg
from fastapi import APIRouter

from orchestrator.database import Row
from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Diverged, Invalid
from orchestrator.domain.suite import hash_of
from orchestrator.gateway.gate import Reason
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.gateway.store import NONCE, WITHDRAWALS, Store, StoredLook, StoredMandate, replayed, store_down
from orchestrator.protocol.loghead import sign_statement
from orchestrator.protocol.querylog import (
    Head,
    LogTree,
    Place,
    entry,
    leaf_hash,
    nodes_for_append,
    nodes_for_consistency,
    nodes_for_inclusion,
)
from orchestrator.protocol.sheet import Domain, head_digest

router = APIRouter()

MOST_ENTRIES: Final = 1000
"""Most entries in one answer: some 250 KB."""

_LOCK: Final[LiteralString] = "select size from log_head for update"
_NODES: Final[LiteralString] = (
    "select level, index, hash from unnest(%b::smallint[], %b::bigint[]) as wanted (level, index)"
    " join log_node using (level, index)"
)
_ATTEMPTS: Final[LiteralString] = (
    "insert into question (id, attempts) select id, 1 from unnest(%b::bytea[]) as asked (id)"
    " on conflict (id) do update set attempts = question.attempts + 1 returning id, attempts"
)
_BATCH: Final[LiteralString] = "insert into batch (hash, asker, jws) values (%s, %s, %s) on conflict do nothing"
_MANDATES: Final[LiteralString] = (
    "insert into mandate (hash, case_id, kind, previous, jws, issuer)"
    " select * from unnest(%b::bytea[], %b::bytea[], %b::text[], %b::bytea[], %b::text[], %b::smallint[])"
    " on conflict do nothing"
)
_LOOKS: Final[LiteralString] = (
    "insert into look (token, index, part, role, mandate, item, place, purpose) select * from unnest(%b::bytea[],"
    " %b::bigint[], %b::text[], %b::text[], %b::bytea[], %b::text[], %b::smallint[], %b::text[]) on conflict do nothing"
)
_ENTRIES: Final[LiteralString] = (
    "insert into log_entry (index, entry, outcome) select * from unnest(%b::bigint[], %b::bytea[], %b::text[])"
)
_STORE_NODES: Final[LiteralString] = (
    "insert into log_node (level, index, hash) select * from unnest(%b::smallint[], %b::bigint[], %b::bytea[])"
)
_RANGE: Final[LiteralString] = (
    "select convert_from(entry, 'UTF8') as entry from log_entry where index >= %s and index < %s order by index"
)
_HEAD: Final[LiteralString] = "update log_head set size = %s, root = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A batch as the gate left it, ready to be logged."""

    asker: int
    jti: str
    expires_at: int
    """Seconds since 1970: until then the batch could be replayed."""
    jws: str
    questions: Sequence[tuple[str, str]]
    """Question id (`0x…`) and outcome of the gate, in the order of the batch."""
    mandates: Sequence[StoredMandate]
    """Good mandates that came with it."""
    under: Mapping[int, tuple[bytes, int]] = field(default_factory=dict)
    """By position of an admitted question, its case and the identity seat that issued the mandate."""
    looks: Sequence[StoredLook] = ()
    """Whom the questions are about, with positions in the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """Where a batch stands in the log. Lists are in the order of the batch."""

    tree: LogTree
    """The log after the batch, with the nodes that prove the batch's inclusion."""
    first: int
    """Index of the batch's first entry."""
    attempts: Sequence[int]
    withdrawn: frozenset[int]
    """Positions of admitted questions whose case was withdrawn before they were logged: to be refused."""

    def path(self, position: int) -> list[bytes]:
        """The inclusion path of the batch's question at `position`."""
        return self.tree.inclusion_proof(self.first + position)


class Appending:
    """The log under its lock, in a transaction that commits when the context of `appending` ends."""

    def __init__(self, cursor: psycopg.AsyncCursor[Row], tree: LogTree) -> None:
        self.cursor = cursor
        self.tree = tree

    async def add(self, entries: Sequence[bytes], outcomes: Sequence[str]) -> int:
        """Appends entries with their outcomes; the index of the first."""
        first = self.tree.size
        new = self.tree.append([leaf_hash(each) for each in entries])
        await self.cursor.execute(_ENTRIES, [list(range(first, self.tree.size)), entries, outcomes])
        await self.cursor.execute(_STORE_NODES, [*_columns(list(new), 2), list(new.values())])
        await self.cursor.execute(_HEAD, [self.tree.size, self.tree.root()])
        return first

    async def keep_mandates(self, mandates: Sequence[StoredMandate]) -> None:
        """Keeps mandates that are not known yet."""
        await self.cursor.execute(_MANDATES, _mandate_columns(mandates))


@asynccontextmanager
async def appending(store: Store, nonce: tuple[int, str, int] | None = None) -> AsyncIterator[Appending]:
    """Takes the log's lock. `nonce` (asker, jti, expiry in seconds since 1970) is of the signed request that is logged.

    Raises Refused (code `replayed`) for a request that came before, Unavailable (code `store-down`).
    """
    try:
        async with store.pool.connection() as connection, connection.cursor(binary=True) as cursor:
            if nonce is not None:
                await cursor.execute(NONCE, nonce)
                if await cursor.fetchone() is None:
                    raise replayed()
            # The lock is a statement of its own: what is read next sees what its last holder committed.
            await cursor.execute(_LOCK)
            size = _size(await cursor.fetchone())
            await cursor.execute(_NODES, _columns(nodes_for_append(size), 2))
            yield Appending(cursor, LogTree(size, _nodes(await cursor.fetchall())))
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise store_down() from error


async def append(store: Store, asked: Asked) -> Logged:
    """Logs a batch, numbers its attempts and keeps what it came with, all or nothing; committed when this returns.

    Raises as `appending`.
    """
    ids = [bytes.fromhex(question[2:]) for question, _ in asked.questions]
    batch = hash_of(asked.jws.encode("ascii"))
    async with appending(store, (asked.asker, asked.jti, asked.expires_at)) as log:
        cursor = log.cursor
        await cursor.execute(_ATTEMPTS, [ids])
        numbered: dict[Any, Any] = {row["id"]: row["attempts"] for row in await cursor.fetchall()}
        attempts = [int(numbered[identity]) for identity in ids]
        # What was judged before the lock may have been withdrawn meanwhile.
        await cursor.execute(WITHDRAWALS, [list({case for case, _ in asked.under.values()})])
        ended = {(row["case_id"], row["issuer"]) for row in await cursor.fetchall()}
        withdrawn = frozenset(position for position, under in asked.under.items() if under in ended)

        entries = [
            entry(to_hex(batch), question, attempt)
            for (question, _), attempt in zip(asked.questions, attempts, strict=True)
        ]
        outcomes = [
            str(Reason.WITHDRAWN) if position in withdrawn else outcome
            for position, (_, outcome) in enumerate(asked.questions)
        ]
        async with cursor.connection.pipeline():
            await cursor.execute(_BATCH, [batch, asked.asker, asked.jws])
            if asked.mandates:
                await log.keep_mandates(asked.mandates)
            first = await log.add(entries, outcomes)
            if asked.looks:
                await cursor.execute(_LOOKS, _look_columns(asked.looks, first))
    return Logged(tree=log.tree, first=first, attempts=attempts, withdrawn=withdrawn)


async def read_tree(
    store: Store, size: int | None, places: Iterable[Place] = (), *, leaves: Iterable[int] = ()
) -> LogTree:
    """The log at `size` (None: now) with the nodes at `places`, and those that make its root and prove `leaves`.

    Raises Invalid for a size that the log never had.
    """
    rows = await store.rows("select size from log_head")
    newest = _size(rows[0] if rows else None)
    at = newest if size is None else size
    if not 0 <= at <= newest:
        raise _no_such("size")
    wanted = {*places, *nodes_for_append(at)}
    for index in leaves:
        if not 0 <= index < at:
            raise _no_such("index")
        wanted.update(nodes_for_inclusion(index, at))
    return LogTree(at, _nodes(await store.rows(_NODES, _columns(sorted(wanted), 2))))


async def require_head(store: Store, head: Head) -> None:
    """Raises Diverged unless the store's log is the one whose head that is, as far as that goes: a store that lost entries,
    or was begun anew for a seat that has a log, could only fork it."""
    try:
        root = (await read_tree(store, head.size)).root()
    except Invalid:
        root = None
    if root != head.root:
        raise Diverged(
            f"席位 {head.seat} 的存储没有链上所存的日志(至 {head.size} 条)",
            detail_en=f"the store of seat {head.seat} does not hold the log that is anchored, up to entry {head.size}",
            code="log-lost",
            remedy="恢复或接收该席位原有的存储 / restore the seat's store, or take over the one it had (docs/council.md)",
        )


async def batches_of(store: Store, places: Sequence[int]) -> dict[int, str]:
    """The hash of the signed batch (`0x…`) that each of these entries came in."""
    rows = await store.rows(
        "select index, convert_from(entry, 'UTF8')::jsonb->>'batch' as batch from log_entry where index = any(%s)",
        [list(places)],
    )
    return {int(str(row["index"])): str(row["batch"]) for row in rows}


def signed_head(seat: Seat, domain: Domain, tree: LogTree) -> dict[str, Any]:
    """Size and root of the log, signed by the seat's chain key as the ledger takes it (EIP-712 `Head`)."""
    root = tree.root()
    signature = seat.keys.chain.sign_hash(head_digest(domain, seat.number, tree.size, root))
    return {"seat": seat.number, "size": tree.size, "root": to_hex(root), "signature": to_hex(signature)}


@router.get("/{department}/log/head")
async def head(seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """The head of the query log, now, and the seat's dated statement of it."""
    ledger = chain.domain("CaseLedger")
    signed = signed_head(seat, ledger, await read_tree(seat.store, None))
    statement = sign_statement(
        ledger, seat.number, signed["size"], signed["root"], iat=int(time.time()), key=seat.keys.evidence
    )
    return {**signed, "statement": statement}


@router.get("/{department}/log/consistency")
async def consistency(first: int, second: int, seat: CurrentSeat) -> dict[str, Any]:
    """The proof (RFC 9162, 2.1.4) that the log of size `second` extends that of size `first`."""
    if not 0 < first <= second:
        raise _no_such("first")
    if second >= 1 << 48:
        raise _no_such("second")
    tree = await read_tree(seat.store, second, nodes_for_consistency(first, second))
    return {"first": first, "second": second, "proof": [to_hex(node) for node in tree.consistency_proof(first)]}


@router.get("/{department}/log/inclusion")
async def inclusion(index: int, size: int, seat: CurrentSeat) -> dict[str, Any]:
    """An entry (as it was hashed, in text) and its path (RFC 9162, 2.1.3) under the head of `size`.

    Whoever holds an answer can so check that it was logged, under a head that the ledger has anchored. An entry holds hashes
    only.
    """
    if not 0 <= index < size < 1 << 48:
        raise _no_such("index")
    tree = await read_tree(seat.store, size, leaves=[index])
    rows = await seat.store.rows("select convert_from(entry, 'UTF8') as entry from log_entry where index = %s", [index])
    path = [to_hex(node) for node in tree.inclusion_proof(index)]
    return {"index": index, "size": size, "entry": rows[0]["entry"], "path": path}


@router.get("/{department}/log/entries")
async def entries(first: int, count: int, seat: CurrentSeat) -> dict[str, Any]:
    """Up to `count` entries from `first` on, as they were hashed, in text: from all of them anybody makes every root anew."""
    if not 0 <= first < 1 << 48 or not 0 < count <= MOST_ENTRIES:
        raise _no_such("first")
    rows = await seat.store.rows(_RANGE, [first, first + count])
    return {"first": first, "entries": [row["entry"] for row in rows]}


def _size(row: Row | None) -> int:
    size = row["size"] if row else None
    if not isinstance(size, int):
        raise LookupError("the store has no log head")
    return size


def _nodes(rows: Sequence[Mapping[str, Any]]) -> dict[Place, bytes]:
    return {(row["level"], row["index"]): row["hash"] for row in rows}


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as the columns that `unnest` takes."""
    return [[row[column] for row in rows] for column in range(width)]


def _mandate_columns(mandates: Sequence[StoredMandate]) -> list[list[Any]]:
    return _columns(
        [(each.hash, each.case_id, each.kind, each.previous, each.jws, each.issuer) for each in mandates], 6
    )


def _look_columns(looks: Sequence[StoredLook], first: int) -> list[list[Any]]:
    return _columns(
        [
            (each.token, first + each.position, each.part, each.role, each.mandate, each.item, each.place, each.purpose)
            for each in looks
        ],
        8,
    )


def _no_such(field: str) -> Invalid:
    return Invalid(
        field=field,
        detail="日志没有这样的大小或位置",
        detail_en="the log has no such size or place",
        remedy="以 /log/head 的大小为准 / see /log/head for its size",
        code="no-such-place",
    )
