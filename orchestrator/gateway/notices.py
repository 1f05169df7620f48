"""What the identity seat delivers itself: amendments and withdrawals, so that nobody in between can hold them back.

A delivered mandate is logged like a question, and acknowledged by that entry. From the moment at which it is logged no question
under what it ended is answered: later batches are judged by it, those under way find it when they are logged or when their
answers are kept.
"""

from __future__ import annotations

import time
from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Refused
from orchestrator.gateway import querylog
from orchestrator.gateway.gate import Presented
from orchestrator.gateway.mandates import MandateReader
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.gateway.store import WITHDRAWAL_LOCK, StoredMandate
from orchestrator.gateway.verdicts import leave_desk
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.notice import NOTICED, Acknowledgement, notice_entry
from orchestrator.protocol.ports import BindingView
from orchestrator.protocol.querylog import LogTree

router = APIRouter()

_KNOWN: Final = "select index, at from notice where mandate = %s"


class NoticeBody(BaseModel):
    """An amendment or withdrawal as it was signed."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    mandate: str


@router.post("/{department}/mandates")
async def deliver(body: NoticeBody, seat: CurrentSeat, chain: Chain, request: Request) -> Response:
    """Takes an amendment or withdrawal from whoever brings it, and acknowledges it; the same one again is acknowledged again.

    Raises Refused: why the mandate does not hold, `wrong-chain`, `identity-suspended`, `nothing-to-deliver`.
    """
    reader: MandateReader = request.app.state.mandates
    read = await reader.read([body.mandate], chain)
    (verdict,) = read.verdicts.values() or (None,)
    if not isinstance(verdict, Presented):
        raise Refused("授权书无效", detail_en="the mandate does not hold", code=str(verdict or "forged-mandate"))
    mandate, ledger = verdict.mandate, chain.domain("CaseLedger")
    binding = read.bindings[mandate.binding]
    if (mandate.chain.id, mandate.chain.ledger.lower()) != (ledger.chain_id, ledger.contract.lower()):
        raise Refused("授权书属于其他链", detail_en="the mandate is for another ledger", code="wrong-chain")
    if not read.identities[binding.identity].active:
        raise Refused("身份认证席位已停用", detail_en="the identity seat is not active", code="identity-suspended")
    if mandate.kind == "grant":
        raise Refused("首份授权书无须送达", detail_en="a grant is not delivered", code="nothing-to-deliver")
    (stored,) = read.stored()
    tree, index, at = await _log(stored, verdict, binding, seat)
    if mandate.kind == "withdrawal":
        await leave_desk([verdict.case], seat)
    said = Acknowledgement(
        seat=seat.number,
        mandate=jws_hash(body.mandate),
        at=at,
        index=index,
        path=tuple(to_hex(node) for node in tree.inclusion_proof(index)),
        head=SignedHead.parse(querylog.signed_head(seat, ledger, tree)),
    )
    return Response(said.model_dump_json(), media_type="application/json")


async def _log(
    stored: StoredMandate, presented: Presented, binding: BindingView, seat: Seat
) -> tuple[LogTree, int, int]:
    """Logs a mandate once; the log with what proves the entry, the entry's index and time."""
    async with querylog.appending(seat.store) as log:
        await log.cursor.execute(_KNOWN, [stored.hash])
        known = await log.cursor.fetchone()
        if known is None:
            # Whoever is letting something out under the mandate comes first, and is through when this is logged.
            await log.cursor.execute("select pg_advisory_xact_lock(%s)", [WITHDRAWAL_LOCK])
            at = int(time.time())
            await log.keep_mandates([stored])
            index = await log.add([notice_entry(to_hex(stored.hash), at)], [NOTICED])
            await log.cursor.execute(
                "insert into notice (mandate, index, at) values (%s, %s, %s)", [stored.hash, index, at]
            )
            if stored.kind == "withdrawal" and seat.number in binding.approvers:
                await log.cursor.execute(
                    "insert into desk_update (case_id, operator, withdrawal) values (%s, %s, %s)",
                    [presented.case, binding.operator, stored.jws],
                )
            return log.tree, index, at
    index, at = int(known["index"]), int(known["at"])
    return await querylog.read_tree(seat.store, None, leaves=[index]), index, at
