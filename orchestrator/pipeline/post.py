"""Post and confirm: sealed transitions become batches; the chain's own events say what became of them."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from orchestrator.database import Row
from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import Diverged, LianbanError
from orchestrator.ledger.poster import MAX_CALLDATA, HeadPart, SheetPart
from orchestrator.pipeline.context import Context
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.sheet import MAX_TRANSITIONS, Transition, unpack_step
from orchestrator.store import batches, cases
from orchestrator.store.batches import SettledRow
from orchestrator.store.cases import CaseRow, Move

RESEND_AFTER = 5.0
"""Seconds after which an unconfirmed transaction is handed to the node again: the same bytes, so it cannot hurt."""

EXPIRY_MARGIN = 10.0
"""Seconds that a sheet must still hold for: a batch takes a block or two."""

log = structlog.get_logger()


async def post(context: Context, claimed: list[CaseRow]) -> list[Move]:
    """Puts sealed cases into one batch, signs and stores the transaction, then sends it.

    A sheet is signed over its transitions together, so a batch that carries the sheet carries all of them, also one that
    another approver would not sign: the ledger refuses that one and settles the rest (I8).
    """
    async with context.pool.connection() as connection:
        stored = await batches.transitions(connection, [case.id for case in claimed])
        newest = {case.id: row for case in claimed for row in stored[case.id] if row["sequence"] == case.sequence + 1}
        sheets = await batches.sheets(connection, {number for row in newest.values() for number in row["sheets"]})
        heads = await with_proofs(context, await batches.heads_to_anchor(connection))
    moves = [Move(case_id=case.id, stage="seal") for case in claimed if case.id not in newest]
    batch: set[tuple[str, str, int]] = set()
    carried: dict[int, Row] = {}
    aboard: list[tuple[str, int]] = []
    now = context.now().timestamp()
    for case_id, row in newest.items():
        wanted: dict[int, Row] = {number: sheets[number] for number in row["sheets"]}
        if any(int(str(sheet["valid_until"])) <= now + EXPIRY_MARGIN for sheet in wanted.values()):
            moves.append(Move(case_id=case_id, stage="seal", error={"code": "sheet-expired"}))
            continue
        more = {(each[0], each[1], each[2]) for sheet in wanted.values() for each in sheet["transitions"]}
        if len(batch | more) > MAX_TRANSITIONS:
            moves.append(Move(case_id=case_id, stage="post"))
            continue
        batch |= more
        carried |= wanted
        aboard.append((case_id, int(str(row["sequence"]))))
    if aboard:
        await send(context, *_batch(batch, carried), heads, aboard)
    return moves + [Move(case_id=case_id, stage="confirm", delay=RESEND_AFTER) for case_id, _ in aboard]


def _batch(batch: set[tuple[str, str, int]], carried: dict[int, Row]) -> tuple[list[Transition], list[SheetPart]]:
    """Transitions in the order that every sheet was signed in (binding, then case), and the sheets over them."""
    order = sorted(batch, key=lambda each: (each[2] & (1 << 40) - 1, each[0], each[1], each[2]))
    position = {each: index for index, each in enumerate(order)}
    transitions = []
    for case_id, root, step in order:
        status, sequence, binding = unpack_step(step)
        transitions.append(
            Transition(
                case_id=from_hex(case_id), root=from_hex(root), status=status, sequence=sequence, binding=binding
            )
        )
    parts = [
        SheetPart(
            seat=int(str(sheet["seat"])),
            valid_until=int(str(sheet["valid_until"])),
            covers=frozenset(position[each[0], each[1], each[2]] for each in sheet["transitions"]),
            signature=from_hex(str(sheet["signature"]), 65),
        )
        for _, sheet in sorted(carried.items())
    ]
    return transitions, parts


async def send(
    context: Context,
    transitions: list[Transition],
    sheets: list[SheetPart],
    heads: list[HeadPart],
    keys: list[tuple[str, int]],
) -> None:
    """Signs, stores and sends one transaction; `keys` are the cases and sequences that it carries. Without its heads when it
    would be too large."""
    on_chain = await context.poster.nonce()
    async with context.pool.connection() as connection:
        # One worker at a time: the lock goes with the transaction that stores nonce and bytes.
        await connection.execute("select pg_advisory_xact_lock(%s)", [batches.POSTER_LOCK])
        nonce = await batches.next_nonce(connection, on_chain)
        signed = await context.poster.sign(nonce, transitions, sheets, heads)
        if len(signed.raw) > MAX_CALLDATA:
            signed = await context.poster.sign(nonce, transitions, sheets, [])
        batch = await batches.add_batch(connection, nonce=nonce, tx_hash=signed.hash, raw=signed.raw)
        await batches.assign(connection, batch, keys)
        await cases.note(connection, [(case_id, "posted", {"transaction": signed.hash}) for case_id, _ in keys])
    try:
        await context.poster.send([signed.raw])
    except LianbanError as error:
        log.warning("node-did-not-take-batch", batch=batch, code=error.code)
        return
    async with context.pool.connection() as connection:
        await batches.mark_sent(connection, [batch])


async def with_proofs(context: Context, rows: list[dict[str, Any]]) -> list[HeadPart]:
    """Log heads that the chain lacks, as the store has them, each with its consistency proof."""

    async def one(row: dict[str, Any]) -> HeadPart | None:
        old = int(row["anchored_size"])
        try:
            seat = await context.view.seat(row["seat"])
            head = SignedHead(**{name: row[name] for name in SignedHead.model_fields})
            if head.signer(context.view.domain("CaseLedger")) != seat.signer:
                head = await context.gateways.head(
                    seat
                )  # its chain key was rotated: what the old one signed counts no more
            proof = await context.gateways.consistency(seat, old, head.size) if old else ()
        except LianbanError as error:
            log.warning("no-consistency-proof", seat=row["seat"], code=error.code)
            return None
        return HeadPart(
            seat=row["seat"],
            old_size=old,
            old_root=from_hex(row["anchored_root"]) if old else bytes(32),
            new_size=head.size,
            new_root=from_hex(head.root),
            proof=tuple(proof),
            signature=from_hex(head.signature, 65),
        )

    return [head for head in await asyncio.gather(*(one(row) for row in rows)) if head is not None]


async def confirm(context: Context, claimed: list[CaseRow]) -> list[Move]:
    """Cases whose transaction has not shown up for a while: the stored bytes are sent again."""
    await resend(context)
    return [Move(case_id=case.id, stage="confirm", delay=RESEND_AFTER) for case in claimed]


async def resend(context: Context) -> None:
    """Hands every unconfirmed transaction to the node once more, in nonce order.

    One that the chain mined and reverted, or whose nonce another transaction has used, will never land: its cases are
    sealed anew.
    """
    async with context.pool.connection() as connection:
        rows = await batches.unconfirmed(connection)
    if not rows:
        return
    dead, waiting = [], []
    used = await context.poster.nonce()  # read before the receipts: what is mined in between is then no surprise
    for row, outcome in zip(rows, await context.poster.outcomes([row["tx_hash"] for row in rows]), strict=True):
        if outcome == "failed" or (outcome == "unknown" and row["nonce"] < used):
            dead.append(row["id"])
        elif outcome == "unknown":
            waiting.append(row)
    if dead:
        log.error("batch-will-never-land", batches=dead)
        async with context.pool.connection() as connection:
            await batches.abandon(connection, dead)
    if waiting:
        await context.poster.send([bytes(row["raw"]) for row in waiting])
        async with context.pool.connection() as connection:
            await batches.mark_sent(connection, [row["id"] for row in waiting])


async def follow(context: Context) -> int:
    """Takes over what new blocks say. Returns the number of cases that moved. Raises Diverged when the chain settled what
    we never sealed."""
    async with context.pool.connection() as connection:
        known = await batches.last_blocks(connection)
    reading = await context.follower.read(known)
    if reading is None:
        return 0
    async with context.pool.connection() as connection:
        if reading.rewind_to is not None:
            log.warning("chain-rewound", to=reading.rewind_to)
            await batches.rewind(connection, reading.rewind_to)
        moved = await batches.settle(
            connection,
            [
                SettledRow(
                    case_id=each.case_id,
                    sequence=each.sequence,
                    status=each.status,
                    root=each.root,
                    block=each.block,
                    tx_hash=each.transaction,
                )
                for each in reading.settled
            ],
        )
        await cases.note(
            connection,
            [(str(row["id"]), "settled", {"status": row["status"], "sequence": row["sequence"]}) for row in moved],
        )
        refused = [
            {"case_id": each.case_id, "sequence": each.sequence, "reason": each.reason} for each in reading.refused
        ]
        back = await batches.refuse(connection, refused)
        await cases.note(connection, [(case_id, "refused-by-ledger", {}) for case_id in back])
        await batches.confirm_batches(connection, reading.receipts)
        await batches.anchored(
            connection, [{"seat": each.seat, "size": each.size, "root": each.root} for each in reading.anchored]
        )
        await batches.add_blocks(connection, reading.blocks)
    strange = [str(row["id"]) for row in moved if not row["known"]]
    if strange:
        raise Diverged(
            "链上出现了本系统未签批的办理状态",
            detail_en=f"the chain settled what we did not seal, in {len(strange)} case(s)",
            code="unknown-transition",
            remedy="核对部署与数据库 / compare the deployment with the database",
        )
    return len(moved) + len(back)
