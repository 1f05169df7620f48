"""A department is told that its answer is wrong: who may say so, who can read why, what its officer's reply does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from orchestrator.domain.errors import Refused
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.desk import certify_officer
from orchestrator.gateway.officer import OfficerClient
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.contest import SealedText, open_reason, read_reply, seal_statement
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.mandate import case_id
from orchestrator.protocol.officer import Duty
from orchestrator.protocol.recall import read_recall
from tests.support.consortium import Consortium
from tests.support.contests import WHY, body_of, contest_of, statement_to
from tests.support.gateway import CULTURE, MARKET, TAX, Gateway, ask

pytestmark = pytest.mark.anyio

NAME = "haidian-market-supervision"
ITEM = "E05.company"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A department that has answered one question, an officer at its corrections desk, and the operator."""

    consortium: Consortium
    gateway: Gateway
    operator: GatewayClient
    officer: OfficerClient
    mandate: str
    answer: AnswerEnvelope

    @property
    def statement(self) -> SealedText:
        return statement_to(self.consortium, MARKET)

    async def send(self, contest: str, statement: SealedText, *, by: GatewayClient | None = None) -> dict[str, Any]:
        provider = self.consortium.seat(MARKET)
        return await (by or self.operator).send(provider, "contests", "contests", body_of(contest, statement))

    async def refused(self, statement: SealedText | None = None, **changes: Any) -> str:
        """The code by which a contest with these changes is refused."""
        sealed = statement or self.statement
        signed = contest_of(self.consortium, self.mandate, self.answer, sealed, **changes)
        answer = await self.send(signed, sealed)
        assert answer["taken"] == []
        (entry,) = answer["refused"]
        assert entry["contest"] == jws_hash(signed)
        return str(entry["code"])

    async def contested(self, **changes: Any) -> str:
        """A contest that the department has taken; its hash."""
        sealed = self.statement
        signed = contest_of(self.consortium, self.mandate, self.answer, sealed, **changes)
        answer = await self.send(signed, sealed)
        assert answer == {"taken": [jws_hash(signed)], "refused": []}
        return jws_hash(signed)

    async def replies(self, *contests: str) -> list[dict[str, Any]]:
        provider = self.consortium.seat(MARKET)
        answer = await self.operator.send(provider, "contests/replies", "replies", {"contests": list(contests)})
        return list(answer["replies"])


async def officer_at(consortium: Consortium, gateway: Gateway, duty: Duty) -> OfficerClient:
    """An officer of the department, certified for one duty."""
    key, seat = SigningKey.generate(), gateway.seats[NAME]
    certificate = await certify_officer(seat, key.jwk, "officer-9", may=(duty,))
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=gateway.app))
    endpoint = consortium.seat(MARKET).keyset.endpoint
    return OfficerClient(http, endpoint=endpoint, seat=MARKET, key=key, certificate=certificate)


@pytest.fixture
async def stage(consortium: Consortium, gateway: Gateway, operator: GatewayClient) -> Stage:
    mandate = consortium.mandate()
    answer = (await ask(consortium, operator, mandate, ITEM)).answers[0]
    officer = await officer_at(consortium, gateway, "corrections")
    return Stage(
        consortium=consortium, gateway=gateway, operator=operator, officer=officer, mandate=mandate, answer=answer
    )


async def test_contest__from_the_applicant__waits_at_the_desk_and_opens_for_its_officer_only(stage: Stage) -> None:
    name = await stage.contested()
    again = contest_of(stage.consortium, stage.mandate, stage.answer, stage.statement)
    assert (await stage.send(again, stage.statement))["taken"] == []

    (listed,) = [each for each in await stage.officer.corrections() if each["contest"] == name]
    assert (listed["item"], listed["claims"], listed["overdue"]) == (ITEM, ["entity_in_operation"], False)
    opened = await stage.officer.correction(name)
    assert opened["why"] == WHY
    assert opened["subject"]["id"] == "91110108MBXYE0016D"
    assert [each["filename"] for each in opened["attachments"]] == ["licence.pdf"]
    assert opened["answered"] == {"entity_in_operation": True}
    acts = await stage.gateway.seats[NAME].store.rows("select act from desk_act")
    assert "correction-look" in [row["act"] for row in acts]
    # Nothing readable in the store: why lies there as it was sealed.
    kept = str(await stage.gateway.seats[NAME].store.rows("select * from contest"))
    assert WHY not in kept
    deciding = await officer_at(stage.consortium, stage.gateway, "cases")
    with pytest.raises(Refused) as other:
        await deciding.corrections()
    assert other.value.code == "not-the-duty"


async def test_contest__made_up_altered_or_not_about_an_answer__refused(stage: Stage) -> None:
    operator_key = stage.consortium.keys[0].request
    assert await stage.refused(key=operator_key) == "bad-signature"
    assert await stage.refused(sub="somebody-else") == "wrong-mandate"
    assert await stage.refused(aud="seat:6") == "wrong-audience"
    assert await stage.refused(claims=("debtor",)) == "unknown-claim"
    other = stage.consortium.mandate()
    elsewhere = (await ask(stage.consortium, stage.operator, other, ITEM)).answers[0]
    sealed = stage.statement
    swapped = contest_of(stage.consortium, other, elsewhere, sealed, case="0x" + "12" * 32)
    assert (await stage.send(swapped, sealed))["refused"][0]["code"] == "wrong-mandate"
    never = stage.consortium.mandate()
    with_question = contest_of(
        stage.consortium,
        never,
        stage.answer.model_copy(update={"question": stage.consortium.questions(never, [ITEM])[0].id}),
        sealed,
    )
    assert (await stage.send(with_question, sealed))["refused"][0]["code"] == "unknown-mandate"
    # The statement is the one that was signed, and this seat can open it.
    signed = contest_of(stage.consortium, stage.mandate, stage.answer, sealed)
    assert (await stage.send(signed, stage.statement))["refused"][0]["code"] == "wrong-material"
    foreign = seal_statement("…", [], {MARKET: stage.consortium.seat(CULTURE).keyset.key("sealing")})
    assert await stage.refused(foreign) == "cannot-open"
    async with stage.gateway.client(stage.consortium, TAX) as stranger:
        assert (await stage.send(signed, sealed, by=stranger))["refused"][0]["code"] == "asker-not-named"
    assert case_id(stage.mandate) not in [each["case"] for each in await stage.officer.corrections()]


async def test_reply__corrected__answers_taken_back_asked_anew_and_reason_for_applicant_and_approver(
    stage: Stage,
) -> None:
    consortium, provider = stage.consortium, stage.consortium.seat(MARKET)
    second = (await ask(consortium, stage.operator, stage.mandate, ITEM)).answers[0]
    name = await stage.contested()
    assert await stage.replies(name) == []
    (waiting,) = (await stage.operator.latest(provider, [stage.answer.question])).contests
    assert waiting.reply is None

    said = await stage.officer.reply(name, "corrected", "住所已按变更登记更正")

    (entry,) = await stage.replies(name)
    reply = read_reply(entry["reply"], provider)
    assert (reply.contest, reply.outcome, reply.case) == (name, "corrected", case_id(stage.mandate))
    assert said["reply"] == jws_hash(entry["reply"])
    for reader, key in (("applicant", consortium.delivery), (CULTURE, consortium.keys[CULTURE].sealing)):
        assert open_reason(reply.reason, entry["sealed"], reader=reader, key=key) == "住所已按变更登记更正"
    with pytest.raises(Refused):
        open_reason(reply.reason, entry["sealed"], reader="applicant", key=consortium.keys[0].sealing)
    told = await stage.operator.send(provider, "recalls", "recalls", {"since": 0})
    recalled = {
        answer.hash for jws in told["recalls"] for answer in read_recall(jws, provider.keyset.key("evidence")).answers
    }
    assert {jws_hash(stage.answer.answer), jws_hash(second.answer)} <= recalled
    assert (await stage.operator.latest(provider, [stage.answer.question])).answers == ()
    third = (await ask(consortium, stage.operator, stage.mandate, ITEM)).answers[0]
    assert third.attempt == 3
    assert name not in [each["contest"] for each in await stage.officer.corrections()]
    with pytest.raises(Refused) as twice:
        await stage.officer.reply(name, "rejected", "…")
    assert twice.value.code == "conflict"


async def test_reply__rejected__answer_stands_and_is_not_contested_again(stage: Stage) -> None:
    provider = stage.consortium.seat(MARKET)
    name = await stage.contested()

    await stage.officer.reply(name, "rejected", "登记簿无误")

    latest = await stage.operator.latest(provider, [stage.answer.question])
    assert [each.attempt for each in latest.answers] == [stage.answer.attempt]
    assert [each.reply is not None for each in latest.contests] == [True]
    assert await stage.refused() == "contested-before"
    async with stage.gateway.client(stage.consortium, TAX) as stranger:
        assert (await stranger.latest(provider, [stage.answer.question])).contests == ()


async def test_corrections__term_over__overdue_and_first_on_the_list(stage: Stage) -> None:
    other = stage.consortium.mandate()
    elsewhere = (await ask(stage.consortium, stage.operator, other, ITEM)).answers[0]
    sealed = stage.statement
    await stage.send(contest_of(stage.consortium, other, elsewhere, sealed), sealed)

    late = await stage.contested(days=-1)

    listed = await stage.officer.corrections()
    assert (listed[0]["contest"], listed[0]["overdue"]) == (late, True)
    assert [each["overdue"] for each in listed if each["case"] == case_id(other)] == [False]
