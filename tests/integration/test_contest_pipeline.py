"""Contests on their way through the pipeline: carried, waited for, replied to or not, and the case goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Unavailable
from orchestrator.pipeline.contests import take_contests
from orchestrator.protocol.contest import Carried
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.ports import SeatView
from orchestrator.store import contests
from tests.support.approver import Filed
from tests.support.contests import contest_of, replied, statement_to
from tests.support.orchestrator import BookedGateways, Line, get, rows

pytestmark = pytest.mark.anyio

ITEM, MARKET = "E05.company", 1


@dataclass
class Desk:
    """The corrections desk of the provider, in place of its gateway: what was brought, what it replied, whether it is down."""

    gateways: BookedGateways
    brought: list[str] = field(default_factory=list)
    replies: dict[str, Carried] = field(default_factory=dict)
    recalls_asked: int = 0
    refuses: bool = False
    down: bool = False

    async def send(self, seat: SeatView, path: str, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if path == "recalls":
            self.recalls_asked += 1
            return {"recalls": [], "next": body["since"]}
        if not path.startswith("contests"):
            return await BookedGateways.send(self.gateways, seat, path, kind, body)
        assert seat.number == MARKET
        if self.down:
            raise Unavailable("…", detail_en="the gateway does not answer", code="gateway-unreachable")
        if path == "contests":
            names = [jws_hash(each["contest"]) for each in body["contests"]]
            if self.refuses:
                why = {"code": "unknown-answer", "detail": "没有该应答", "detail_en": "no such answer"}
                return {"taken": [], "refused": [{"contest": name, **why} for name in names]}
            self.brought += names
            return {"taken": names, "refused": []}
        found = [self.replies[name].model_dump() for name in body["contests"] if name in self.replies]
        return {"replies": found}


@pytest.fixture
def desk(line: Line, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(gateways=line.gateways)
    monkeypatch.setattr(line.gateways, "send", made.send)
    return made


async def contested(line: Line, filed: Filed, *, days: int = 14) -> str:
    """The case's applicant contests an answer, as the API takes it; the contest's JWS."""
    envelope = line.approvers.book.answers[line.approvers.question(filed, ITEM).id]
    statement = statement_to(line.approvers.consortium, MARKET)
    jws = contest_of(line.approvers.consortium, filed.newest, envelope, statement, days=days)
    async with line.pool.connection() as connection:
        assert await contests.add(
            connection,
            name=jws_hash(jws),
            jws=jws,
            contest=peek_jws(jws)[1],
            seat=MARKET,
            statement=statement.model_dump(),
        )
    return jws


async def returned(line: Line) -> Filed:
    """A case that the rules sent back for what the market supervision said."""
    filed = line.approvers.file(answered=False)
    line.approvers.answer(filed, scope_covers=False)
    await line.submit(filed)
    assert (await line.run(filed.id)).status == Status.RETURNED
    return filed


async def test_contest__department_is_down_then_corrects__waits_and_goes_on_to_approval(line: Line, desk: Desk) -> None:
    filed = await returned(line)
    jws = await contested(line, filed)
    desk.down = True
    await take_contests(line.context)
    waiting = await line.run(filed.id)
    assert (waiting.stage, waiting.error and waiting.error["code"]) == ("waiting", "contested")
    assert await take_contests(line.context) == 0
    desk.down = False
    await take_contests(line.context)
    await take_contests(line.context)
    assert desk.brought == [jws_hash(jws)]

    desk.replies[jws_hash(jws)] = replied(line.approvers.consortium, jws, "corrected")
    line.approvers.say(filed, ITEM, attempt=2)
    assert await take_contests(line.context) == 1

    assert desk.recalls_asked == 1, "the recall of the old answer reaches the case while it is open"
    assert (await line.run(filed.id, until=("done",))).status == Status.APPROVED
    assert await take_contests(line.context) == 0
    story = await line.story(filed.id)
    assert [kind for kind in story if kind.startswith("contest")] == ["contest-corrected"]
    leaves = await rows(line.pool, "select kind from leaf where case_id = %s", filed.id)
    assert {"contest", "reply"} <= {row["kind"] for row in leaves}


async def test_contest__rejected__an_officer_decides_and_the_case_is_accepted(line: Line, desk: Desk) -> None:
    filed = await returned(line)
    jws = await contested(line, filed)
    await take_contests(line.context)
    await line.run(filed.id)
    desk.replies[jws_hash(jws)] = replied(line.approvers.consortium, jws, "rejected")

    await take_contests(line.context)
    await take_contests(line.context)

    after = await line.run(filed.id)
    assert (after.status, after.stage) == (Status.ACCEPTED, "waiting")
    officer = await line.approvers.officer()
    assert filed.id in {item["case"] for item in await officer.client.queue()}


async def test_contest__term_over__goes_on_without_a_reply_and_again_with_a_late_one(line: Line, desk: Desk) -> None:
    filed = await returned(line)
    jws = await contested(line, filed, days=-1)

    await take_contests(line.context)

    assert (await line.run(filed.id)).status == Status.ACCEPTED
    assert (await line.story(filed.id)).count("contest-lapsed") == 1
    desk.replies[jws_hash(jws)] = replied(line.approvers.consortium, jws, "corrected")
    line.approvers.say(filed, ITEM, attempt=2)
    await take_contests(line.context)
    assert (await line.run(filed.id, until=("done",))).status == Status.APPROVED


async def test_contest__refused_by_the_gateway__case_goes_on_as_if_there_were_none(line: Line, desk: Desk) -> None:
    filed = await returned(line)
    desk.refuses = True
    await contested(line, filed)

    await take_contests(line.context)

    after = await line.run(filed.id)
    assert (after.status, after.stage, after.error) == (Status.RETURNED, "waiting", None)
    (event,) = await rows(
        line.pool, "select detail from event where case_id = %s and kind = 'contest-refused'", filed.id
    )
    assert event["detail"]["code"] == "unknown-answer"


async def test_contest__outcome_on_its_way__case_is_left_until_it_has_landed(line: Line, desk: Desk) -> None:
    filed = await returned(line)
    await contested(line, filed, days=-1)
    await rows(line.pool, "update case_file set stage = 'seal' where id = %s", filed.id)

    assert await take_contests(line.context) == 0

    assert (await get(line.pool, filed.id)).stage == "seal"
    await rows(line.pool, "update case_file set stage = 'waiting' where id = %s", filed.id)
    assert await take_contests(line.context) == 1
    assert (await get(line.pool, filed.id)).stage == "gather"


async def test_contest__reply_by_somebody_else__not_taken(line: Line, desk: Desk) -> None:
    filed = await returned(line)
    jws = await contested(line, filed)
    await take_contests(line.context)
    forger = line.approvers.consortium.keys[0].request
    desk.replies[jws_hash(jws)] = replied(line.approvers.consortium, jws, "rejected", key=forger)

    await take_contests(line.context)

    (row,) = (await _stored(line, filed.id))[filed.id]
    assert (row.state, row.reply) == ("open", None)
    late = replace(line.context, now=lambda: line.context.now() + timedelta(days=30))
    await take_contests(late)
    (row,) = (await _stored(line, filed.id))[filed.id]
    assert row.lapsed_at is not None


async def _stored(line: Line, case: str) -> dict[str, list[contests.ContestRow]]:
    async with line.pool.connection() as connection:
        return await contests.of_cases(connection, [case])
