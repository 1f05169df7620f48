"""A withdrawal that the identity seat delivers itself: from its log entry on, nothing under the mandate is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused
from orchestrator.gateway import querylog
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.records import Ask, Records
from orchestrator.gateway.seat import Seat
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.mandate import case_id
from orchestrator.protocol.querylog import verify_consistency
from tests.support.consortium import Consortium
from tests.support.gateway import CULTURE, MARKET, OPERATOR, Gateway, ask, read, reasons
from tests.support.looks import call, deliver, latest

pytestmark = pytest.mark.anyio

MARKET_ID = "haidian-market-supervision"


def withdrawal(consortium: Consortium, first: str, **changes: Any) -> str:
    return consortium.following(first, "withdrawal", items=(), consents=(), **changes)


async def test_deliver__withdrawal__acknowledged_by_an_entry_under_the_signed_head(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    assert await reasons(consortium, operator, jws, "E05.company") == {None}
    ended = withdrawal(consortium, jws)
    seat, ledger = consortium.seat(MARKET), consortium.chain.domain("CaseLedger")

    got = await deliver(consortium, gateway, MARKET, ended)

    got.check(seat=MARKET, mandate=jws_hash(ended), ledger=ledger, signer=seat.signer)
    for other in (replace(seat, number=CULTURE), consortium.seat(CULTURE)):
        with pytest.raises(Refused):
            got.check(seat=other.number, mandate=jws_hash(ended), ledger=ledger, signer=seat.signer)
    with pytest.raises(Refused) as bad_head:
        got.check(seat=MARKET, mandate=jws_hash(ended), ledger=ledger, signer=consortium.seat(CULTURE).signer)
    assert bad_head.value.code == "bad-head"
    with pytest.raises(Refused) as not_logged:
        got.model_copy(update={"at": got.at - 1}).check(
            seat=MARKET, mandate=jws_hash(ended), ledger=ledger, signer=seat.signer
        )
    assert not_logged.value.code == "not-logged"

    # The orchestrator says nothing of it, and asks under the mandate that it has; the approver asks, too.
    assert await reasons(consortium, operator, jws, "E05.company", "E06.company") == {"withdrawn"}
    async with gateway.client(consortium, CULTURE) as approver:
        assert await reasons(consortium, approver, jws, "E05.company") == {"withdrawn"}
    ids = [question.id for question in consortium.questions(jws, ["E05.company"])]
    assert await latest(consortium, gateway, CULTURE, MARKET, ids) == []
    again = await deliver(consortium, gateway, MARKET, ended)
    assert (again.index, again.at) == (got.index, got.at)
    assert again.head.size > got.head.size


async def test_deliver__withdrawal_behind_an_amendment_held_back__first_mandate_ends_too(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    amended = consortium.following(jws, "amendment")
    ended = withdrawal(consortium, amended, case=case_id(jws))
    await deliver(consortium, gateway, MARKET, ended)
    assert await reasons(consortium, operator, jws, "E05.company") == {"withdrawn"}
    assert await reasons(consortium, operator, amended, "E05.company") == {"withdrawn"}


async def test_deliver__amendment__earlier_mandate_superseded(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    amended = consortium.following(jws, "amendment")
    await deliver(consortium, gateway, MARKET, amended)
    assert await reasons(consortium, operator, jws, "E05.company") == {"superseded"}
    assert await reasons(consortium, operator, amended, "E05.company") == {None}


async def test_deliver__forged_foreign_or_a_grant__refused_and_nothing_ends(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    before = (await operator.head(consortium.seat(MARKET))).size
    wrong_chain = withdrawal(consortium, jws, chain={"id": 1, "ledger": "0x" + "11" * 20})
    for body, code in (
        ({"mandate": withdrawal(consortium, jws, key=SigningKey.generate())}, "forged-mandate"),
        ({"mandate": withdrawal(consortium, jws, key=consortium.keys[OPERATOR].request)}, "forged-mandate"),
        ({"mandate": "x"}, "forged-mandate"),
        ({"mandate": "é"}, "forged-mandate"),
        ({"mandate": wrong_chain}, "wrong-chain"),
        ({"mandate": jws}, "nothing-to-deliver"),
    ):
        answer = await call(gateway, f"/{MARKET_ID}/mandates", body)
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    consortium.chain.suspend(consortium.binding.identity)
    try:
        answer = await call(gateway, f"/{MARKET_ID}/mandates", {"mandate": withdrawal(consortium, jws)})
        assert answer.json()["code"] == "identity-suspended"
    finally:
        consortium.chain.suspend(consortium.binding.identity, active=True)
    assert (await operator.head(consortium.seat(MARKET))).size == before
    assert await reasons(consortium, operator, jws, "E05.company") == {None}


async def test_deliver__another_case_of_the_same_person__goes_on(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    one, other = consortium.mandate(), consortium.mandate()
    await deliver(consortium, gateway, MARKET, withdrawal(consortium, one))
    assert await reasons(consortium, operator, other, "E05.company") == {None}


class SlowRecords:
    """A department's records that answer only when they are let."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def read(self, asks: Sequence[Ask], day: date) -> list[Mapping[str, Any]]:
        found = await self._records.read(asks, day)
        self.asked.set()
        await self.let.wait()
        return list(found)

    def use(self, *_: Any) -> None:
        """The adapter stays."""


@asynccontextmanager
async def slowed(seat: Seat) -> AsyncIterator[SlowRecords]:
    records = seat.records
    slow = SlowRecords(records)
    object.__setattr__(seat, "records", slow)
    try:
        yield slow
    finally:
        object.__setattr__(seat, "records", records)


async def test_ask__withdrawn_while_the_records_are_read__nothing_leaves_and_the_log_says_so(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws, other = consortium.mandate(), consortium.mandate()
    seat = gateway.seats[MARKET_ID]
    questions = [*consortium.questions(jws, ["E05.company"]), *consortium.questions(other, ["E05.company"])]
    async with slowed(seat) as slow:
        asking = asyncio.create_task(operator.ask(consortium.seat(MARKET), questions, [jws, other]))
        async with asyncio.timeout(20):
            await slow.asked.wait()
        got = await deliver(consortium, gateway, MARKET, withdrawal(consortium, jws))
        slow.let.set()
        answers = await asking

    said = [each.answer for each in answers.answers]
    first, second = (read(consortium, replace(answers, answers=(each,)), MARKET) for each in answers.answers)
    assert (first["E05.company"].result, first["E05.company"].reason) == ("refused", "withdrawn")
    assert second["E05.company"].result == "answered"
    assert said
    place = answers.answers[0].log
    assert place is not None
    assert place.index < got.index
    rows = await seat.store.rows("select outcome from log_entry where index = %s", [place.index])
    assert rows == [{"outcome": "withdrawn"}]
    stored = await seat.store.rows("select attempt from answer where log_index = %s", [place.index])
    assert stored == []
    assert await latest(consortium, gateway, OPERATOR, MARKET, [questions[0].id]) == []
    # The log only grew: whoever holds the head of the answer can check that of the acknowledgement against it.
    proof = await operator.consistency(consortium.seat(MARKET), answers.head.size, got.head.size)
    roots = [bytes.fromhex(head.root[2:]) for head in (answers.head, got.head)]
    assert verify_consistency(answers.head.size, roots[0], got.head.size, roots[1], list(proof))


async def test_ask__withdrawn_between_judgement_and_log__refused(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    jws = consortium.mandate()
    append = querylog.append

    async def late(store: Any, asked: Any) -> Any:
        monkeypatch.setattr(querylog, "append", append)
        await deliver(consortium, gateway, MARKET, withdrawal(consortium, jws))
        return await append(store, asked)

    monkeypatch.setattr(querylog, "append", late)
    async with slowed(gateway.seats[MARKET_ID]) as slow:
        slow.let.set()
        answers = await ask(consortium, operator, jws, "E05.company")
    assert not slow.asked.is_set(), "the records were read"
    found = read(consortium, answers, MARKET)["E05.company"]
    assert (found.result, found.reason) == ("refused", "withdrawn")
    place = answers.answers[0].log
    assert place is not None
    rows = await gateway.seats[MARKET_ID].store.rows("select outcome from log_entry where index = %s", [place.index])
    assert rows == [{"outcome": "withdrawn"}]


async def test_push__case_approved_and_consent_withdrawn_since__refused(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    jws = consortium.mandate()
    case = case_id(jws)
    consortium.chain.settle(case, Status.APPROVED, 1, consortium.binding.number)
    assert await reasons(consortium, operator, jws, "E05.company") == {None}
    await deliver(consortium, gateway, MARKET, withdrawal(consortium, jws))
    asked = consortium.questions(jws, ["E05.company"], purpose="push")
    answers = await operator.ask(consortium.seat(MARKET), asked, [jws])
    assert [each.reason for each in read(consortium, answers, MARKET).values()] == ["withdrawn"]
