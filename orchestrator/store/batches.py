"""Transitions on their way to the chain, the transactions that carry them, log heads, and what the follower has read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from orchestrator.database import Row
from orchestrator.store.cases import Connection

POSTER_LOCK = 0x6C69616E62616E01
"""Advisory lock key: one worker at a time reserves nonces of the posting account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledRow:
    """A transition that the chain reported as settled."""

    case_id: str
    sequence: int
    status: int
    root: str
    block: int
    tx_hash: str


async def add_sheet(
    connection: Connection, *, seat: int, valid_until: int, signature: str, transitions: list[list[Any]]
) -> int:
    """Keeps a signed sheet; returns its number."""
    cursor = await connection.execute(
        "insert into sheet (seat, valid_until, signature, transitions) values (%s, %s, %s, %s) returning id",
        [seat, valid_until, signature, Jsonb(transitions)],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(str(row["id"]))


async def sheets(connection: Connection, ids: Iterable[int]) -> dict[int, Row]:
    """Sheets by number."""
    cursor = await connection.execute("select * from sheet where id = any(%s)", [list(ids)])
    return {int(str(row["id"])): row for row in await cursor.fetchall()}


async def add_transitions(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Keeps sealed transitions {case_id, sequence, status, binding, root, sheets}; a resealed one replaces the old."""
    transitions = list(rows)
    if transitions:
        await connection.execute(
            """
            insert into transition (case_id, sequence, status, binding, root, sheets)
            select t.case_id, t.sequence, t.status, t.binding, t.root,
                array(select jsonb_array_elements_text(t.sheets)::bigint)
            from jsonb_to_recordset(%s)
                as t(case_id text, sequence int, status smallint, binding bigint, root text, sheets jsonb)
            on conflict (case_id, sequence) do update
            set status = excluded.status, binding = excluded.binding, root = excluded.root, sheets = excluded.sheets,
                sealed_at = now(), batch = null, refused = null
            where transition.settled_at is null
            """,
            [Jsonb(transitions)],
        )


async def add_batch(connection: Connection, *, nonce: int, tx_hash: str, raw: bytes) -> int:
    """Stores a signed transaction before it is sent; returns its number."""
    cursor = await connection.execute(
        "insert into batch (nonce, tx_hash, raw) values (%s, %s, %s) returning id", [nonce, tx_hash, raw]
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(str(row["id"]))


async def assign(connection: Connection, batch: int, keys: Sequence[tuple[str, int]]) -> None:
    """Says which transitions a batch carries."""
    rows = [{"case_id": case_id, "sequence": sequence} for case_id, sequence in keys]
    await connection.execute(
        """
        update transition t set batch = %(batch)s
        from jsonb_to_recordset(%(rows)s) as k(case_id text, sequence int)
        where t.case_id = k.case_id and t.sequence = k.sequence
        """,
        {"batch": batch, "rows": Jsonb(rows)},
    )


async def next_nonce(connection: Connection, on_chain: int) -> int:
    """The next nonce of the posting account: after what the chain has and after what is stored, confirmed ones included,
    which a reorganisation may have put back among those that wait."""
    cursor = await connection.execute("select coalesce(max(nonce) + 1, 0) as next from batch where state <> 'replaced'")
    row = await cursor.fetchone()
    assert row is not None
    return max(int(str(row["next"])), on_chain)


async def unconfirmed(connection: Connection) -> list[Row]:
    """Batches that the chain has not shown yet, in nonce order: {id, nonce, tx_hash, raw, age (seconds)}."""
    cursor = await connection.execute(
        """
        select id, nonce, tx_hash, raw, extract(epoch from now() - created_at)::float8 as age
        from batch where state in ('signed', 'sent') order by nonce
        """
    )
    return await cursor.fetchall()


async def mark_sent(connection: Connection, ids: Sequence[int]) -> None:
    """Notes that the node took the transactions."""
    await connection.execute(
        "update batch set state = 'sent', sent_at = coalesce(sent_at, now()) where id = any(%s) and state <> 'confirmed'",
        [list(ids)],
    )


async def abandon(connection: Connection, ids: Sequence[int]) -> None:
    """Gives up transactions that can never land; the cases that they carried are sealed anew."""
    await connection.execute("update batch set state = 'replaced' where id = any(%s)", [list(ids)])
    await connection.execute(
        """
        with freed as (
            update transition set batch = null where batch = any(%s) and settled_at is null returning case_id
        )
        update case_file c set stage = 'seal', due_at = now(), lease_owner = null, lease_until = null,
            error = jsonb_build_object('code', 'batch-lost')
        from freed f where c.id = f.case_id and c.stage = 'confirm'
        """,
        [list(ids)],
    )


async def confirm_batches(connection: Connection, receipts: Iterable[dict[str, Any]]) -> None:
    """Notes blocks of transactions {tx_hash, block, gas_used}."""
    rows = list(receipts)
    if rows:
        await connection.execute(
            """
            update batch b set state = 'confirmed', block = r.block, gas_used = r.gas_used
            from jsonb_to_recordset(%s) as r(tx_hash text, block bigint, gas_used bigint) where b.tx_hash = r.tx_hash
            """,
            [Jsonb(rows)],
        )


async def settle(connection: Connection, rows: Sequence[SettledRow]) -> list[Row]:
    """Takes over what the chain settled: transitions, case status and sequence. Returns the cases that moved as
    {id, status, sequence, known}; `known` is false when the chain settled what we did not seal."""
    if not rows:
        return []
    payload = [
        {
            "case_id": r.case_id,
            "sequence": r.sequence,
            "status": r.status,
            "root": r.root,
            "block": r.block,
            "tx": r.tx_hash,
        }
        for r in rows
    ]
    cursor = await connection.execute(
        """
        with seen as (
            select * from jsonb_to_recordset(%s)
                as s(case_id text, sequence int, status smallint, root text, block bigint, tx text)
        ), marked as (
            update transition t
            set settled_at = coalesce(t.settled_at, now()), block = s.block, tx_hash = s.tx, refused = null
            from seen s where t.case_id = s.case_id and t.sequence = s.sequence and t.root = s.root and t.status = s.status
            returning t.case_id, t.sequence
        ), newest as (
            select distinct on (case_id) case_id, sequence, status from seen order by case_id, sequence desc
        )
        update case_file c
        set status = n.status, sequence = n.sequence, settled_at = now(), stage = 'push', due_at = now(), attempts = 0,
            error = null, lease_owner = null, lease_until = null
        from newest n
        where c.id = n.case_id and c.sequence < n.sequence
        returning c.id, c.status, c.sequence,
            exists (select from marked m where m.case_id = c.id and m.sequence = n.sequence) as known
        """,
        [Jsonb(payload)],
    )
    return await cursor.fetchall()


async def refuse(connection: Connection, rows: Iterable[dict[str, Any]]) -> list[str]:
    """Sends cases that the chain refused {case_id, sequence, reason} back to be sealed again; returns their ids."""
    refused = list(rows)
    if not refused:
        return []
    cursor = await connection.execute(
        """
        with seen as (select * from jsonb_to_recordset(%s) as r(case_id text, sequence int, reason text)), marked as (
            update transition t set refused = s.reason, batch = null from seen s
            where t.case_id = s.case_id and t.sequence = s.sequence and t.settled_at is null
            returning t.case_id
        )
        update case_file c set stage = 'seal', due_at = now() + interval '1 second' * least(c.attempts, 60),
            lease_owner = null, lease_until = null, error = jsonb_build_object('code', s.reason)
        from seen s join marked m on m.case_id = s.case_id
        where c.id = s.case_id and c.stage = 'confirm' and c.sequence < s.sequence
        returning c.id
        """,
        [Jsonb(refused)],
    )
    return [str(row["id"]) for row in await cursor.fetchall()]


async def transitions(connection: Connection, case_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The transitions of each case, by sequence."""
    cursor = await connection.execute(
        "select * from transition where case_id = any(%s) order by case_id, sequence", [list(case_ids)]
    )
    found: dict[str, list[Row]] = {case_id: [] for case_id in case_ids}
    for row in await cursor.fetchall():
        found[str(row["case_id"])].append(row)
    return found


async def keep_heads(connection: Connection, heads: Iterable[dict[str, Any]]) -> None:
    """Keeps the largest signed log head of each seat {seat, size, root, signature}."""
    rows = list(heads)
    if rows:
        await connection.execute(
            """
            insert into seat_head (seat, size, root, signature)
            select distinct on (h.seat) h.seat, h.size, h.root, h.signature
            from jsonb_to_recordset(%s) as h(seat int, size bigint, root text, signature text) order by h.seat, h.size desc
            on conflict (seat) do update set
                size = greatest(seat_head.size, excluded.size),
                root = case when excluded.size > seat_head.size then excluded.root else seat_head.root end,
                signature = case when excluded.size > seat_head.size then excluded.signature else seat_head.signature end,
                waiting_since = case
                    when excluded.size > seat_head.size and seat_head.size <= seat_head.anchored_size then now()
                    else seat_head.waiting_since
                end,
                seen_at = now()
            """,
            [Jsonb(rows)],
        )


async def heads_to_anchor(connection: Connection) -> list[Row]:
    """Log heads that the chain does not have yet."""
    cursor = await connection.execute("select * from seat_head where size > anchored_size order by seat")
    return await cursor.fetchall()


async def unseen(connection: Connection, seats: Sequence[int], after: float) -> list[int]:
    """Which of these seats have not shown their head for `after` seconds, or ever, each once in that time, whoever asks."""
    cursor = await connection.execute(
        """
        insert into seat_head (seat, size, root, signature) select seat, 0, '', '' from unnest(%(seats)s::int[]) as s(seat)
        on conflict (seat) do update set seen_at = now()
        where seat_head.seen_at <= now() - make_interval(secs => %(after)s) returning seat
        """,
        {"seats": sorted(set(seats)), "after": after},
    )
    return [int(str(row["seat"])) for row in await cursor.fetchall()]


async def heads_waiting(connection: Connection, after: float) -> list[Row]:
    """Log heads that the chain has not had for `after` seconds, each once in that time, whoever asks."""
    cursor = await connection.execute(
        """
        update seat_head set waiting_since = now()
        where size > anchored_size and waiting_since <= now() - make_interval(secs => %s) returning *
        """,
        [after],
    )
    return sorted(await cursor.fetchall(), key=lambda row: int(str(row["seat"])))


async def anchored(connection: Connection, heads: Iterable[dict[str, Any]]) -> None:
    """Takes over what the chain anchored {seat, size, root}."""
    rows = list(heads)
    if rows:
        await connection.execute(
            """
            insert into seat_head (seat, size, root, signature, anchored_size, anchored_root)
            select distinct on (h.seat) h.seat, h.size, h.root, '', h.size, h.root
            from jsonb_to_recordset(%s) as h(seat int, size bigint, root text) order by h.seat, h.size desc
            on conflict (seat) do update
            set anchored_size = excluded.anchored_size, anchored_root = excluded.anchored_root, waiting_since = now()
            where excluded.anchored_size > seat_head.anchored_size
            """,
            [Jsonb(rows)],
        )


async def cursor_value(connection: Connection, name: str) -> int:
    """A named position, 0 when it was never set."""
    cursor = await connection.execute("select value from cursor where name = %s", [name])
    row = await cursor.fetchone()
    return int(str(row["value"])) if row else 0


async def set_cursor(connection: Connection, name: str, value: int) -> None:
    """Sets a named position."""
    await connection.execute(
        "insert into cursor (name, value) values (%s, %s) on conflict (name) do update set value = excluded.value",
        [name, value],
    )


async def add_blocks(connection: Connection, blocks: Iterable[dict[str, Any]], *, keep: int = 256) -> None:
    """Remembers read blocks {number, hash, parent}, the newest `keep` of them."""
    rows = list(blocks)
    if rows:
        await connection.execute(
            """
            insert into chain_block (number, hash, parent)
            select b.number, b.hash, b.parent from jsonb_to_recordset(%s) as b(number bigint, hash text, parent text)
            on conflict (number) do update set hash = excluded.hash, parent = excluded.parent
            """,
            [Jsonb(rows)],
        )
        await connection.execute("delete from chain_block where number < %s", [max(r["number"] for r in rows) - keep])


async def last_blocks(connection: Connection, limit: int = 64) -> list[Row]:
    """The newest read blocks, newest first."""
    cursor = await connection.execute("select * from chain_block order by number desc limit %s", [limit])
    return await cursor.fetchall()


async def rewind(connection: Connection, block: int) -> None:
    """Forgets everything that was read after `block`: a block that had been read is gone.

    Settled transitions of the lost blocks become unsettled, and their batches are sent again (same bytes)."""
    await connection.execute("delete from chain_block where number > %s", [block])
    await connection.execute(
        """
        with lost as (
            update transition set settled_at = null, block = null, tx_hash = null where block > %(block)s
            returning case_id, sequence
        ), back as (
            select l.case_id, min(l.sequence) - 1 as sequence from lost l group by l.case_id
        )
        update case_file c
        set sequence = b.sequence, stage = 'confirm', due_at = now(), lease_owner = null, lease_until = null,
            status = coalesce((select t.status from transition t where t.case_id = c.id and t.sequence = b.sequence), 0)
        from back b where c.id = b.case_id
        """,
        {"block": block},
    )
    await connection.execute(
        "update batch set state = 'sent', block = null where state = 'confirmed' and block > %s", [block]
    )
