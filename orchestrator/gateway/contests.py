"""Contests at the department that answered: they come in, wait for an officer, and what was replied is handed out.

A contest proves by itself whose it is: the identity seat signed it under the mandate by which this department was asked. The
operator only carries it. Approvers get it here too, with the answers that they fetch themselves, so that nobody in between can
drop it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import psycopg
from fastapi import APIRouter
from pydantic import Field

from orchestrator.database import Row
from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.gateway.requests import SignedBody, read_signed
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.protocol.contest import Carried, Contest, SealedText, open_statement, read_contest
from orchestrator.protocol.jose import jws_hash, lowered, peek_jws
from orchestrator.protocol.mandate import Mandate
from orchestrator.protocol.ports import BindingView, ChainView, seat_knowing
from orchestrator.protocol.wire import Hex32, WireModel, read_model, seat_number, seat_ref

router = APIRouter()

MOST_CONTESTS: Final = 64
"""Contests of one request."""
BEIJING: Final = ZoneInfo("Asia/Shanghai")


class ContestBody(WireModel):
    """A contest with the statement that its hash is in."""

    contest: str
    statement: SealedText


class ContestsBody(WireModel):
    """Body of a request of kind `contests`."""

    contests: list[ContestBody] = Field(max_length=MOST_CONTESTS)


class RepliesBody(WireModel):
    """Body of a request of kind `replies`."""

    contests: list[Hex32] = Field(max_length=256)


def today() -> date:
    """The day in Asia/Shanghai."""
    return datetime.now(UTC).astimezone(BEIJING).date()


@router.post("/{department}/contests")
async def take(request: SignedBody, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """Takes contests for the corrections desk: `{"taken": [hash…], "refused": [{contest, code, detail, detail_en}]}`.

    The same contest twice is the same contest.
    """
    asker, _ = await read_signed(request, "contests", seat, chain)
    body = read_model(ContestsBody, request.body, code="bad-request")
    taken, refused = [], []
    for each in body.contests:
        name = jws_hash(each.contest) if each.contest.isascii() else ""
        try:
            await _take(each, asker.number, seat, chain)
            taken.append(name)
        except LianbanError as error:
            why = {"code": error.code, "detail": error.detail, "detail_en": error.detail_en}
            refused.append({"contest": name, **why})
    return {"taken": taken, "refused": refused}


@router.post("/{department}/contests/replies")
async def replies(request: SignedBody, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """What the department replied to contests that the asker carried: `{"replies": [{contest, reply, sealed}]}`, where
    `contest` is the contest's JWS. Those without a reply are left out."""
    asker, _ = await read_signed(request, "replies", seat, chain)
    wanted = read_model(RepliesBody, request.body, code="bad-request").contests
    rows = await seat.store.rows(
        "select jws, reply, sealed from contest where hash = any(%s) and operator = %s and reply is not null",
        [[from_hex(each) for each in wanted], asker.number],
    )
    return {"replies": [_carried(row).model_dump() for row in rows]}


async def contests_to(questions: Sequence[bytes], asker: int, seat: Seat, chain: ChainView) -> list[dict[str, Any]]:
    """The contests of answers to these questions, with their replies, for the operator or an approver of their binding."""
    rows = await seat.store.rows(
        "select jws, reply, sealed from contest where question = any(%s) order by received_at", [list(questions)]
    )
    found = []
    for row in rows:
        binding = await chain.binding(int(peek_jws(str(row["jws"]))[1]["binding"]))
        if asker in {binding.operator, *binding.approvers}:
            found.append(_carried(row).model_dump())
    return found


def _carried(row: Row) -> Carried:
    return Carried.model_validate({"contest": row["jws"], "reply": row["reply"], "sealed": row["sealed"] or {}})


async def verified(jws: str, chain: ChainView) -> tuple[Contest, BindingView]:
    """A contest signed by the identity seat of its binding, with that binding. Raises Refused or Invalid."""
    binding = await chain.binding(int(peek_jws(jws)[1].get("binding") or 0))
    identity = await seat_knowing(chain, await chain.seat(binding.identity), "identity", [jws])
    contest = read_contest(jws, identity.key_of("identity", jws))
    ledger = chain.domain("CaseLedger")
    if seat_number(contest.iss) != binding.identity or contest.version != binding.version:
        raise Refused("异议由其他身份席位签发", detail_en="another identity seat signed it", code="wrong-issuer")
    if (contest.chain.id, contest.chain.ledger.lower()) != (ledger.chain_id, ledger.contract.lower()):
        raise Refused("异议属于其他链", detail_en="the contest is for another ledger", code="wrong-chain")
    return contest, binding


async def _take(body: ContestBody, asker: int, seat: Seat, chain: ChainView) -> None:
    contest, binding = await verified(body.contest, chain)
    if asker != binding.operator:
        raise Refused("请求方不是该落地的办理方", detail_en="the asker does not operate it", code="asker-not-named")
    if not (await chain.seat(binding.identity)).active:
        raise Refused("身份认证席位已停用", detail_en="the identity seat is not active", code="identity-suspended")
    if contest.aud != seat_ref(seat.number):
        raise Refused("异议的对象不是本席位", detail_en="the contest is of another seat", code="wrong-audience")
    await _check_mandate(contest, seat)
    await _check_answer(contest, seat)
    if body.statement.hash != contest.statement:
        raise Refused("异议理由与签名不符", detail_en="the statement is another one", code="wrong-material")
    # Opened here only so that what nobody can read does not wait for an officer.
    open_statement(body.statement, seat=seat.number, key=seat.keys.sealing)
    await _keep(contest, body, asker, seat)


async def _check_mandate(contest: Contest, seat: Seat) -> None:
    """That it is of the case and the person by whose mandate this seat was asked."""
    held = await seat.store.mandates([from_hex(contest.mandate)])
    if not held:
        raise Refused("本席位没有该授权书", detail_en="this seat was never asked by it", code="unknown-mandate")
    jws = held[from_hex(contest.mandate)]
    mandate = Mandate.model_validate(peek_jws(jws)[1])
    rows = await seat.store.rows("select case_id from mandate where hash = %s", [from_hex(contest.mandate)])
    place = (mandate.sub, mandate.binding, mandate.iss, to_hex(_bytes(rows[0]["case_id"])))
    if place != (contest.sub, contest.binding, contest.iss, contest.case):
        raise Refused("异议与授权书不符", detail_en="the contest is not of this mandate", code="wrong-mandate")


async def _check_answer(contest: Contest, seat: Seat) -> None:
    """That this seat gave the answer, with the claims that are contested in it."""
    answer = contest.answer
    rows = await seat.store.rows(
        "select envelope from answer where question = %s and attempt = %s",
        [from_hex(answer.question), answer.attempt],
    )
    envelope = orjson.loads(_bytes(rows[0]["envelope"])) if rows else None
    if envelope is None or jws_hash(envelope["answer"]) != answer.hash:
        raise Refused("本席位没有给出该应答", detail_en="this seat gave no such answer", code="unknown-answer")
    scenario = (await seat.scenarios.of([contest.version], seat.store)).get(contest.version)
    if scenario is None:
        raise Refused("本席位没有该场景版本", detail_en="this seat lacks the version", code="unknown-version")
    if not set(contest.claims) <= {claim.key for claim in scenario.item(contest.item).claims}:
        raise Refused("该核验项不含所列内容", detail_en="the evidence has no such claim", code="unknown-claim")


async def _keep(contest: Contest, body: ContestBody, operator: int, seat: Seat) -> None:
    """An answer is contested once; while one contest of a question is open there is no other."""
    answer, name = contest.answer, from_hex(jws_hash(body.contest))
    before = await seat.store.rows(
        "select hash from contest where question = %s and (attempt = %s or reply is null)",
        [from_hex(answer.question), answer.attempt],
    )
    if any(_bytes(row["hash"]) == name for row in before):
        return
    if before:
        raise _contested_before()
    try:
        await seat.store.rows(
            "insert into contest (hash, case_id, question, attempt, operator, jws, statement, reply_by)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (hash) do nothing",
            [
                name,
                contest.case,
                from_hex(answer.question),
                answer.attempt,
                operator,
                lowered(body.contest),
                body.statement.sealed[str(seat.number)],
                date.fromisoformat(contest.reply_by),
            ],
        )
    except psycopg.errors.UniqueViolation:
        raise _contested_before() from None


def _contested_before() -> Refused:
    return Refused(
        "该应答已有异议", detail_en="this answer is contested already", code="contested-before", remedy="等待答复"
    )


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("expected bytea")
    return value
