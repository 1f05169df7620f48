"""Recalls, at the provider: it takes back answers that were wrong.

The provider finds the answers in its own store, by question or by the person or thing that they are about, and sees whom it
reaches before it signs. From then on a recalled answer is not handed out; asked again, the seat reads its records anew.
The operator fetches recalls as it fetches officers' decisions, and hands them to the approvers whose verdicts rest on one
(`gateway/reviews.py`).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import orjson
from fastapi import APIRouter

from orchestrator.database import Row
from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.case import Status
from orchestrator.gateway.requests import SignedBody, read_signed
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.ports import ChainView
from orchestrator.protocol.recall import MOST_ANSWERS, Recall, sign_recall
from orchestrator.protocol.verdict import AnswerRef
from orchestrator.protocol.wire import WireModel, read_model, seat_ref

router = APIRouter()

MOST_RECALLS: Final = 100

_ANSWERS: Final[LiteralString] = """
select a.question, a.attempt, a.binding, a.envelope,
  a.attempt = (select max(attempt) from answer n where n.question = a.question) as newest
from answer a
where not exists (select from recalled r where (r.question, r.attempt) = (a.question, a.attempt))
"""
_ANSWERS_TO: Final[LiteralString] = (
    _ANSWERS + " and question = %(question)s and (%(attempt)s::int is null or attempt = %(attempt)s) order by attempt"
)
_ANSWERS_ABOUT: Final[LiteralString] = (
    _ANSWERS
    + """
  and log_index in (
    select index from look join mandate on hash = mandate
    where token = any(%(tokens)s) and (%(case)s::bytea is null or case_id = %(case)s)
  )
order by question, attempt
"""
)


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
    return await seat.store.rows(_ANSWERS_TO, {"question": from_hex(question), "attempt": attempt})


async def answers_about(kind: str, identifier: str, seat: Seat, *, case: str | None = None) -> list[Row]:
    """Every answer about a person or thing, or those given for one case, that is not recalled yet; also where they were only
    compared with somebody. Subjects are sealed in the mandates, so the log's index finds them, whatever sealing keys were
    destroyed since."""
    tokens = await seat.index.tokens(
        kind, identifier, store=seat.store, key=seat.keys.sealing, seat=seat.number, now=int(time.time())
    )
    return await seat.store.rows(_ANSWERS_ABOUT, {"tokens": tokens, "case": None if case is None else from_hex(case)})


async def reach(answers: Iterable[Row], seat: Seat, chain: ChainView) -> list[Reached]:
    """The cases that answers were given for, with what the chain says of them, and what the scenario."""
    given = []
    for row in answers:
        envelope = AnswerEnvelope.parse(orjson.loads(_bytes(row["envelope"])))
        payload = peek_jws(envelope.answer)[1]
        if payload["result"] == "answered":
            given.append((row, envelope, payload))
    cases = await _cases([str(payload["mandate"]) for _, _, payload in given], seat)
    distinct = list(dict.fromkeys(cases.values()))
    standing = dict(zip(distinct, await chain.statuses(distinct), strict=True))
    bindings = {number: await chain.binding(number) for number in {int(str(row["binding"])) for row, _, _ in given}}
    scenarios = await seat.scenarios.of({each.version for each in bindings.values()}, seat.store)
    found = []
    for row, envelope, payload in given:
        case, binding = cases[payload["mandate"]], bindings[int(str(row["binding"]))]
        scenario = scenarios.get(binding.version)
        last = payload["purpose"] == "decide" and row["newest"]
        found.append(
            Reached(
                answer=AnswerRef(question=envelope.question, attempt=envelope.attempt, hash=jws_hash(envelope.answer)),
                item=str(payload["item"]),
                purpose=str(payload["purpose"]),
                case=case,
                binding=binding.number,
                operator=binding.operator,
                approvers=binding.approvers,
                status=standing[case][0],
                suspends=last and scenario is not None and scenario.item(payload["item"]).on_recall == "suspend",
            )
        )
    return found


async def _cases(mandates: Sequence[str], seat: Seat) -> dict[str, str]:
    """The case that each mandate, by hash, belongs to."""
    rows = await seat.store.rows(
        "select hash, case_id from mandate where hash = any(%s)", [[from_hex(each) for each in mandates]]
    )
    return {to_hex(_bytes(row["hash"])): to_hex(_bytes(row["case_id"])) for row in rows}


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
