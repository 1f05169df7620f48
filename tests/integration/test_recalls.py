"""A provider recalls: what it finds, whom it tells, what it hands out from then on, and that asking again reads the record anew."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from orchestrator.domain.case import Status
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.keeping import reseal
from orchestrator.gateway.lookindex import LookIndex
from orchestrator.gateway.recalls import answers_about, answers_to, reach, recall
from orchestrator.pipeline.decide import take_updates
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.keyset import SeatKeys
from orchestrator.protocol.recall import Recall, read_recall, sign_recall
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.verdict import AnswerRef
from orchestrator.protocol.wire import seat_ref
from orchestrator.store import evidence
from tests.support.consortium import Consortium
from tests.support.gateway import CULTURE, MARKET, OPERATOR, TAX, Gateway, ask
from tests.support.orchestrator import Line

pytestmark = pytest.mark.anyio

COMPANY = "91110108MBXYE0016D"
NAME = "haidian-market-supervision"


async def test_recall__one_answer__told_to_the_operator_not_handed_out_and_asked_anew(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    seat, provider, chain = gateway.seats[NAME], consortium.seat(MARKET), consortium.chain
    jws = consortium.mandate()
    first = (await ask(consortium, operator, jws, "E05.company")).answers[0]
    second = (await ask(consortium, operator, jws, "E05.company")).answers[0]
    assert (first.attempt, second.attempt) == (1, 2)

    found = await reach(await answers_to(first.question, 2, seat), seat, chain)
    [each] = found
    assert (each.answer.hash, each.operator, each.item) == (jws_hash(second.answer), OPERATOR, "E05.company")
    assert CULTURE in each.approvers
    [signed] = await recall(found, "登记信息有误", seat)

    # Its newest attempt is recalled: an older one does not come back in its place.
    assert (await operator.latest(provider, [first.question])).answers == ()
    assert [row["attempt"] for row in await answers_to(first.question, None, seat)] == [1]
    told = await operator.send(provider, "recalls", "recalls", {"since": 0})
    assert told["recalls"] == [signed]
    document = read_recall(signed, provider.keyset.key("evidence"))
    assert [answer.hash for answer in document.answers] == [jws_hash(second.answer)]
    assert (await operator.send(provider, "recalls", "recalls", {"since": told["next"]}))["recalls"] == []
    async with gateway.client(consortium, TAX) as stranger:
        assert (await stranger.send(provider, "recalls", "recalls", {"since": 0}))["recalls"] == []

    third = (await ask(consortium, operator, jws, "E05.company")).answers[0]
    assert third.attempt == 3
    assert [one.attempt for one in (await operator.latest(provider, [first.question])).answers] == [3]


async def test_recall__by_subject__every_answer_about_it_and_no_other(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    seat = gateway.seats[NAME]
    one, two = consortium.mandate(), consortium.mandate()
    given = [(await ask(consortium, operator, jws, "E05.company")).answers[0] for jws in (one, two)]

    found = await reach(await answers_about("uscc", COMPANY, seat), seat, consortium.chain)

    assert {jws_hash(envelope.answer) for envelope in given} <= {each.answer.hash for each in found}
    assert {each.item.split(".")[1] for each in found} == {"company"}
    assert await answers_about("uscc", "91110108MA0000000X", seat) == []
    assert await answers_about("citizen", COMPANY, seat) == []
    cases = {each.case for each in found}
    assert len(cases) >= 2
    await recall(found, "登记信息有误", seat)
    assert await answers_about("uscc", COMPANY, seat) == []
    assert (await operator.latest(consortium.seat(MARKET), [each.question for each in given])).answers == ()


async def test_recall__by_subject_after_the_sealing_key_is_destroyed__still_found(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient
) -> None:
    seat, old = gateway.seats[NAME], gateway.seats[NAME].keys.sealing
    given = (await ask(consortium, operator, consortium.mandate(), "E05.company")).answers[0]
    new = SealingKey.generate()
    bare = replace(seat, keys=SeatKeys(sealing=new), index=LookIndex())
    await reseal(seat.store, SealingKey(new.holder, past=(old,)), seat.number)
    try:
        found = await reach(await answers_about("uscc", COMPANY, bare), bare, consortium.chain)
    finally:
        await reseal(seat.store, SealingKey(old.holder, past=(new,)), seat.number)
    assert jws_hash(given.answer) in {each.answer.hash for each in found}


async def test_reach__many_answers__the_node_is_asked_once(
    consortium: Consortium, gateway: Gateway, operator: GatewayClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat, chain = gateway.seats[NAME], consortium.chain
    for jws in (consortium.mandate(), consortium.mandate()):
        await ask(consortium, operator, jws, "E05.company")
    asked, statuses = [], chain.statuses

    async def counted(cases: Sequence[str]) -> list[tuple[Status, int, int]]:
        asked.append(len(cases))
        return await statuses(cases)

    monkeypatch.setattr(chain, "statuses", counted)
    found = await reach(await answers_about("uscc", COMPANY, seat), seat, chain)
    assert len(found) >= 2
    assert asked == [len({each.case for each in found})]


async def test_uphold__review_closed_by_an_officer__in_the_story_of_the_case_once(line: Line) -> None:
    filed = line.approvers.file()
    case = await line.submit(filed)
    assert (await line.run(case)).status == Status.APPROVED
    envelope = line.approvers.book.answers[line.approvers.question(filed, "E06.company").id]
    answer = AnswerRef(question=envelope.question, attempt=envelope.attempt, hash=jws_hash(envelope.answer))
    provider = line.approvers.consortium.provider("E06.company")
    document = Recall(iss=seat_ref(provider), answers=(answer,), reason="名录有误", iat=int(time.time()))
    signed = sign_recall(document, line.approvers.consortium.keys[provider].evidence)
    lead = line.approvers.consortium.seat(line.approvers.lead)
    await line.context.gateways.send(lead, "reviews", "reviews", {"reviews": [{"case": case, "recall": signed}]})
    officer = await line.approvers.officer()

    await officer.client.uphold(case, "其他材料足以证明")
    await take_updates(line.context)
    await take_updates(line.context)

    assert (await line.story(case)).count("upheld") == 1
    async with line.pool.connection() as connection:
        hashes = [jws_hash(envelope.answer)]
        assert await evidence.resting_on(connection, provider, hashes) == {case: ["E06.company"]}
        # Another seat cannot take back what it never said.
        assert await evidence.resting_on(connection, provider + 1, hashes) == {}
