"""Recalls, at the provider: it takes back answers that were wrong.

The provider finds the answers in its own store, by question or by the person or thing that they are about, and sees whom it
reaches before it signs. From then on a recalled answer is not handed out; asked again, the seat reads its records anew.
The operator fetches recalls as it fetches officers' decisions, and hands them to the approvers whose verdicts rest on one
(`gateway/reviews.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from fastapi import APIRouter

from orchestrator.database import Row
from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.case import Status
from orchestrator.gateway.requests import SignedBody, read_signed
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.mandate import Mandate, case_id, open_subject
from orchestrator.protocol.ports import ChainView
from orchestrator.protocol.question import question_id
from orchestrator.protocol.recall import MOST_ANSWERS, Recall, sign_recall
from orchestrator.protocol.verdict import AnswerRef
from orchestrator.protocol.wire import WireModel, read_model, seat_ref

router = APIRouter()

MOST_RECALLS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """An answer that would be recalled, and the case that it was given for, as the chain has it."""

    answer: AnswerRef
    item: str
    purpose: str
    case: str
    binding: int
    operator: int
    approvers: tuple[int, ...]
    status: Status
    suspends: bool
    """Whether the scenario says that such a recall suspends an approval that rests on the answer. Of a question's answers it is
    the newest one that a decision rests on."""


async def answers_to(question: str, attempt: int | None, seat: Seat) -> list[Row]:
    """The answers to one question, or one attempt at it, that are not recalled yet."""
    return await _answers(seat, [from_hex(question)], attempt)


async def answers_about(kind: str, identifier: str, seat: Seat, *, case: str | None = None) -> list[Row]:
    """Every answer about a person or thing, or those given for one case, that is not recalled yet. Subjects are sealed in
    the mandates, so each mandate that the store holds (of the case) is opened."""
    questions: list[bytes] = []
    of_case = None if case is None else from_hex(case)
    for row in await seat.store.rows(
        "select hash, jws from mandate where %s::bytea is null or case_id = %s", [of_case, of_case]
    ):
        mandate = Mandate.model_validate(peek_jws(str(row["jws"]))[1])
        for role, slots in mandate.subjects.items():
            for index, slot in enumerate(slots):
                if str(seat.number) not in slot.sealed:
                    continue
                subject = open_subject(mandate, role, index, seat=seat.number, key=seat.keys.sealing)
                if (subject.type, subject.id) != (kind, identifier):
                    continue
                items = [grant.item for grant in mandate.evidence if grant.item.split(".")[1] == role]
                purposes = [(item, purpose) for item in items for purpose in ("decide", "push")]
                mandate_hash = to_hex(_bytes(row["hash"]))
                questions += [from_hex(question_id(mandate_hash, item, index, purpose)) for item, purpose in purposes]
        await asyncio.sleep(0)
    return await _answers(seat, questions, None)


async def _answers(seat: Seat, questions: Sequence[bytes], attempt: int | None) -> list[Row]:
    return await seat.store.rows(
        "select question, attempt, binding, envelope from answer a where question = any(%s)"
        " and (%s::int is null or attempt = %s)"
        " and not exists (select from recalled r where (r.question, r.attempt) = (a.question, a.attempt))"
        " order by question, attempt",
        [list(questions), attempt, attempt],
    )


async def reach(answers: Iterable[Row], seat: Seat, chain: ChainView) -> list[Reached]:
    """The cases that answers were given for, with what the chain says of them, and what the scenario."""
    found = []
    rows = list(answers)
    newest = {}
    for row in await seat.store.rows(
        "select question, max(attempt) as attempt from answer where question = any(%s) group by question",
        [[_bytes(row["question"]) for row in rows]],
    ):
        newest[_bytes(row["question"])] = row["attempt"]
    for row in rows:
        envelope = AnswerEnvelope.parse(orjson.loads(_bytes(row["envelope"])))
        payload = peek_jws(envelope.answer)[1]
        if payload["result"] != "answered":
            continue
        binding = await chain.binding(int(str(row["binding"])))
        case = await _case(str(payload["mandate"]), seat)
        status, _, _ = await chain.status_of(case)
        scenario = (await seat.scenarios.of([binding.version], seat.store)).get(binding.version)
        last = payload["purpose"] == "decide" and newest[_bytes(row["question"])] == row["attempt"]
        found.append(
            Reached(
                answer=AnswerRef(question=envelope.question, attempt=envelope.attempt, hash=jws_hash(envelope.answer)),
                item=str(payload["item"]),
                purpose=str(payload["purpose"]),
                case=case,
                binding=binding.number,
                operator=binding.operator,
                approvers=binding.approvers,
                status=status,
                suspends=last and scenario is not None and scenario.item(payload["item"]).on_recall == "suspend",
            )
        )
    return found


async def _case(mandate: str, seat: Seat) -> str:
    jws = (await seat.store.mandates([from_hex(mandate)]))[from_hex(mandate)]
    stated = peek_jws(jws)[1]["case"]
    return case_id(jws) if stated is None else str(stated)


async def recall(reached: Sequence[Reached], reason: str, seat: Seat) -> list[str]:
    """Signs and keeps the recall of answers, one document for each operator and portion; they count no more from here on."""
    by_operator: dict[int, list[AnswerRef]] = defaultdict(list)
    for each in reached:
        by_operator[each.operator].append(each.answer)
    signed = []
    for operator, answers in sorted(by_operator.items()):
        for start in range(0, len(answers), MOST_ANSWERS):
            part = answers[start : start + MOST_ANSWERS]
            document = Recall(iss=seat_ref(seat.number), answers=tuple(part), reason=reason, iat=int(time.time()))
            jws = sign_recall(document, seat.keys.evidence)
            await seat.store.rows(
                """
                with kept as (insert into recall (operator, jws) values (%s, %s) returning id)
                insert into recalled (question, attempt, recall)
                select q.question, q.attempt, kept.id from kept, unnest(%s::bytea[], %s::int[]) as q(question, attempt)
                on conflict do nothing
                """,
                [operator, jws, [from_hex(each.question) for each in part], [each.attempt for each in part]],
            )
            signed.append(jws)
    return signed


class RecallsBody(WireModel):
    """Body of a request of kind `recalls`."""

    since: int


@router.post("/{department}/recalls")
async def recalls(request: SignedBody, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """What this seat recalled since a cursor of answers for the asker's cases: `{"recalls": [jws…], "next": cursor}`."""
    asker, _ = await read_signed(request, "recalls", seat, chain)
    since = read_model(RecallsBody, request.body, code="bad-request").since
    rows = await seat.store.rows(
        "select id, jws from recall where id > %s and operator = %s order by id limit %s",
        [since, asker.number, MOST_RECALLS],
    )
    return {"recalls": [row["jws"] for row in rows], "next": rows[-1]["id"] if rows else since}


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("expected bytea")
    return value
