"""Questions: a signed batch comes in, signed answers go out; what a seat said last can be fetched again.

The order is the point: the batch is verified and judged, then **logged and committed**, then the records are read, then
answers are signed, kept and sent. So nothing is ever answered that is not in the log.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import Refused
from orchestrator.gateway import querylog
from orchestrator.gateway.answering import Asks, answer, recipients_of, refusal, sealed_to
from orchestrator.gateway.contests import contests_to
from orchestrator.gateway.gate import ADMITTED, Admitted, Circumstances, Presented, Reason, judge
from orchestrator.gateway.lookindex import hide_kinds, kinds_of, looks_of
from orchestrator.gateway.mandates import MandateReader, MandatesRead
from orchestrator.gateway.records import Ask
from orchestrator.gateway.refused import written_down
from orchestrator.gateway.requests import SignedRequest, asker_of, read_signed
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.gateway.store import StoredAnswer
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.ports import ChainView, SeatView, seat_knowing
from orchestrator.protocol.question import Question, QuestionBatch, read_batch
from orchestrator.protocol.sheet import Status
from orchestrator.protocol.wire import faulty

router = APIRouter()

MAX_QUESTIONS: Final = 512
"""Most questions in a batch, and most ids in a request for latest answers."""
MAX_MANDATES: Final = 2048
"""Most mandates beside a batch."""

_BEIJING: Final = ZoneInfo("Asia/Shanghai")


class BatchBody(BaseModel):
    """A batch of questions with the mandates that they rest on; those presented before may be left out."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    batch: str
    questions: list[dict[str, Any]]
    """What the ids in the signed batch stand for, in its order."""
    mandates: list[str] = []


@router.post("/{department}/questions")
async def ask(body: BatchBody, seat: CurrentSeat, chain: Chain, request: Request) -> Response:
    """Answers a batch: `{"answers": [envelope…], "head": {seat, size, root, signature}}`, in the order of the batch."""
    reader: MandateReader = request.app.state.mandates
    now = int(time.time())
    async with written_down(body.batch, seat):
        asker, batch = await _read(body, seat, chain, now)
    circumstances, read = await _look_up(batch, body.mandates, asker, seat, chain, reader, now)

    asks = Asks(seat.adapter())
    judged: list[tuple[Admitted, Ask] | Reason] = []
    for position, question in enumerate(batch.questions):
        verdict = judge(question, circumstances, seat.keys.sealing)
        to_read = asks.of(verdict) if isinstance(verdict, Admitted) else None
        if isinstance(verdict, Reason):
            judged.append(verdict)
        else:
            judged.append(Reason.UNKNOWN_CLAIM if to_read is None else (verdict, to_read))
        await _breathe(position)

    secret = await seat.index.secret(seat.store, seat.keys.sealing, seat.number)
    async with written_down(body.batch, seat):  # also that the batch came before is seen by the log
        logged = await querylog.append(seat.store, _to_log(asker, batch, body.batch, judged, read, seat, secret, now))
    for position in logged.withdrawn:
        judged[position] = Reason.WITHDRAWN

    admitted = [verdict for verdict in judged if not isinstance(verdict, Reason)]
    today = datetime.now(_BEIJING).date()
    values = iter(await seat.records.read([to_read for _, to_read in admitted], today) if admitted else [])
    recipients = await recipients_of([verdict for verdict, _ in admitted], chain)

    envelopes: list[AnswerEnvelope] = []
    kept: list[StoredAnswer] = []
    for position, (question, judgement) in enumerate(zip(batch.questions, judged, strict=True)):
        attempt, log_index = logged.attempts[position], logged.first + position
        if isinstance(judgement, Reason):
            envelope = refusal(question, judgement, _commitment(question, read), attempt=attempt, seat=seat, now=now)
        else:
            said, admission = next(values), judgement[0]
            envelope = answer(admission, said, recipients, attempt=attempt, seat=seat, now=int(time.time()))
            hidden = hide_kinds(secret, question.id, attempt, kinds_of(admission, said, sealed_to(admission)))
            kept.append(_kept(admission, envelope, log_index, read.verdicts[question.mandate], hidden))
        envelopes.append(envelope)
        await _breathe(position)
    for log_index in await seat.store.keep_answers(kept) if kept else ():
        position = log_index - logged.first
        question, attempt = batch.questions[position], logged.attempts[position]
        commitment = _commitment(question, read)
        envelopes[position] = refusal(question, Reason.WITHDRAWN, commitment, attempt=attempt, seat=seat, now=now)
    hashed = jws_hash(body.batch)
    envelopes = [
        envelope.with_log(logged.first + position, logged.path(position), hashed)
        for position, envelope in enumerate(envelopes)
    ]
    head = querylog.signed_head(seat, chain.domain("CaseLedger"), logged.tree)
    return _json({"answers": [envelope.payload() for envelope in envelopes], "head": head})


@router.post("/{department}/answers/latest")
async def latest(request: SignedRequest, seat: CurrentSeat, chain: Chain) -> Response:
    """The newest answer to each question asked for, with its place in the log as it is now, and what is contested of them.

    Only for operator and approvers of a question's binding; for anybody else, as for a question never answered, there is
    none. Approvers fetch here themselves, so that nobody in between can drop an answer.
    """
    asker, payload = await read_signed(request, "request", seat, chain)
    questions = payload.get("questions")
    if not isinstance(questions, list) or not all(isinstance(each, str) for each in questions):
        raise faulty("questions", code="bad-request")
    if len(questions) > MAX_QUESTIONS:
        raise _too_many(MAX_QUESTIONS)
    try:
        wanted = [from_hex(each) for each in questions]
    except ValueError:
        raise faulty("questions", code="bad-request") from None
    found = await seat.store.latest_answers(wanted)
    bindings = {number: await chain.binding(number) for number in {each.binding for each in found}}
    allowed = [
        each for each in found if asker.number in {bindings[each.binding].operator, *bindings[each.binding].approvers}
    ]
    places = [each.log_index for each in allowed]
    tree = await querylog.read_tree(seat.store, None, leaves=places)
    batches = await querylog.batches_of(seat.store, places)
    answers = []
    for each in allowed:
        path = [f"0x{node.hex()}" for node in tree.inclusion_proof(each.log_index)]
        log = {"index": each.log_index, "path": path, "batch": batches[each.log_index]}
        answers.append({**orjson.loads(each.envelope), "log": log})
    head = querylog.signed_head(seat, chain.domain("CaseLedger"), tree)
    contests = await contests_to(wanted, asker.number, seat, chain)
    return _json({"answers": answers, "head": head, "contests": contests})


async def _read(body: BatchBody, seat: Seat, chain: ChainView, now: int) -> tuple[SeatView, QuestionBatch]:
    """Asker and questions of a batch; the batch as a whole is refused here. That it comes once is for the log to see."""
    if len(body.mandates) > MAX_MANDATES:
        raise _too_many(MAX_MANDATES)
    asker = await seat_knowing(chain, await asker_of(body.batch, seat, chain), "request", [body.batch])
    key = asker.key_of("request", body.batch)
    batch = read_batch(body.batch, body.questions, audience=seat.number, now=now, jwk=key)
    if len(batch.questions) > MAX_QUESTIONS:
        raise _too_many(MAX_QUESTIONS)
    return asker, batch


async def _look_up(
    batch: QuestionBatch,
    mandates: Sequence[str],
    asker: SeatView,
    seat: Seat,
    chain: ChainView,
    reader: MandateReader,
    now: int,
) -> tuple[Circumstances, MandatesRead]:
    """Everything that the gate needs to know of a batch: from the chain, the store and the batch itself."""
    asked = {question.mandate for question in batch.questions}
    read = await reader.read(mandates, chain)
    unseen = [from_hex(mandate) for mandate in asked - read.verdicts.keys()]
    if unseen:
        read = await reader.read([*mandates, *(await seat.store.mandates(unseen)).values()], chain)
    replaced = read.replaced(await seat.store.followers([from_hex(mandate) for mandate in asked]))
    circumstances = Circumstances(
        now=now,
        own=await chain.seat(seat.number),
        asker=asker,
        ledger=chain.domain("CaseLedger"),
        mandates=read.verdicts,
        bindings=read.bindings,
        identities=read.identities,
        scenarios=await seat.scenarios.of({binding.version for binding in read.bindings.values()}, seat.store),
        replaced=replaced,
        statuses=await _statuses(batch, read, chain),
        push_days=seat.policy.last.push_days,
        withdrawn=read.withdrawn(await seat.store.withdrawn(read.cases())),
    )
    return circumstances, read


def _to_log(
    asker: SeatView,
    batch: QuestionBatch,
    jws: str,
    judged: Sequence[tuple[Admitted, Ask] | Reason],
    read: MandatesRead,
    seat: Seat,
    secret: bytes,
    now: int,
) -> querylog.Asked:
    """What is written of a batch before anything is answered."""
    verdicts = [each if isinstance(each, Reason) else each[0] for each in judged]
    key = seat.keys.sealing
    return querylog.Asked(
        asker=asker.number,
        jti=batch.jti,
        expires_at=batch.exp,
        jws=jws,
        questions=[
            (question.id, str(verdict) if isinstance(verdict, Reason) else ADMITTED)
            for question, verdict in zip(batch.questions, verdicts, strict=True)
        ],
        mandates=read.stored(),
        under={
            position: presented.under
            for position, verdict in enumerate(verdicts)
            if isinstance(verdict, Admitted)
            and isinstance(presented := read.verdicts[verdict.question.mandate], Presented)
        },
        looks=looks_of(batch.questions, verdicts, read.verdicts, seat=seat.number, key=key, secret=secret, now=now),
    )


async def _statuses(batch: QuestionBatch, read: MandatesRead, chain: ChainView) -> Mapping[str, Status]:
    """The ledger's word on those cases where it matters: pushes, and cases under a retired binding."""
    cases = set()
    for question in batch.questions:
        presented = read.verdicts.get(question.mandate)
        if isinstance(presented, Presented) and (
            question.purpose == "push" or not read.bindings[presented.mandate.binding].live
        ):
            cases.add(presented.case)
    found = await chain.statuses(list(cases))
    return {case: status for case, (status, _, _) in zip(cases, found, strict=True)}


async def _breathe(position: int) -> None:
    """Lets others of this process have their turn between slices of a large batch."""
    if position % 32 == 31:
        await asyncio.sleep(0)


def _commitment(question: Question, read: MandatesRead) -> str:
    """Whom a refused question was about, as far as a good mandate says; zeros otherwise."""
    presented = read.verdicts.get(question.mandate)
    if isinstance(presented, Presented):
        parts = question.item.split(".")
        slots = presented.mandate.subjects.get(parts[1], ()) if len(parts) > 1 else ()
        if question.index < len(slots):
            return slots[question.index].commitment
    return "0x" + "00" * 32


def _kept(
    admitted: Admitted, envelope: AnswerEnvelope, log_index: int, presented: Presented | Reason, kinds: bytes
) -> StoredAnswer:
    assert isinstance(presented, Presented)
    case, issuer = presented.under
    return StoredAnswer(
        question=from_hex(envelope.question),
        attempt=envelope.attempt,
        binding=admitted.binding.number,
        log_index=log_index,
        envelope=orjson.dumps(envelope.payload()),
        case=case,
        issuer=issuer,
        kinds=kinds,
    )


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def _too_many(limit: int) -> Refused:
    return Refused(f"一次最多 {limit} 项", detail_en=f"at most {limit} at once", code="too-many", remedy="分批请求")
