"""Contesting a department's answer on the portal: the page, the signature, what the case page says, and applying anew."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from orchestrator.domain.case import Status
from orchestrator.identity.client import Applicant
from orchestrator.protocol.answer import build_answer
from orchestrator.protocol.contest import SealedText, open_statement, seal_statement
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.question import Question
from orchestrator.scenarios import load_calendar, shipped
from orchestrator.store import contests, evidence
from orchestrator.store.contests import ContestRow
from tests.support.identity_world import CATALOGUE, CHEN, KEYS, WANG
from tests.support.portal_walk import APPLY, settle, submit
from tests.support.portal_world import ORIGIN, Page, PortalWorld, Visitor
from tests.support.world import check_problem

pytestmark = pytest.mark.anyio

ITEM, CLAIM, MARKET, WHY = "E06.company", "not_on_abnormal_list", 1, "已于上月移出"


async def answered(world: PortalWorld, case: str) -> str:
    """The market supervision has answered that the company is on the list; the question's id."""
    async with world.pool.connection() as connection:
        cursor = await connection.execute("select jws from mandate where case_id = %s", [case])
        row = await cursor.fetchone()
        assert row is not None
        question = Question(mandate=jws_hash(str(row["jws"])), item=ITEM, index=0, purpose="decide")
        scenario = shipped("open-gallery", CATALOGUE)
        now = int(time.time())
        envelope = build_answer(
            question,
            attempt=1,
            iss=MARKET,
            subject="0x" + "00" * 32,
            iat=now,
            exp=now + 3600,
            key=KEYS[MARKET].evidence,
            open_claims={claim.key: claim.key != CLAIM for claim in scenario.item(ITEM).claims if not claim.sealed_to},
            sealed_claims={},
            recipients={},
        )
        place = {"case_id": case, "mandate": question.mandate, "item": ITEM, "idx": 0, "seat": MARKET}
        await evidence.add_questions(connection, [{"id": question.id, "purpose": "decide", **place}])
        await evidence.record_answers(
            connection,
            [
                {
                    "id": question.id,
                    "state": "answered",
                    "attempt": 1,
                    "envelope": envelope.model_dump(mode="json"),
                    "answer_hash": jws_hash(envelope.answer),
                    "reason": None,
                }
            ],
        )
    return question.id


async def post(visitor: Visitor, case: str, *, key: str | None = None, **changes: Any) -> httpx.Response:
    """What `contest.js` sends."""
    page = Page(await visitor.get(f"/cases/{case}/contest"))
    forms = page.all("form", "data-contest")
    sealing = json.loads(forms[0]["data-sealing"]) if forms else KEYS[MARKET].sealing.jwk
    statement = seal_statement(WHY, [], {MARKET: sealing}).model_dump()
    body = {"item": ITEM, "index": 0, "claims": [CLAIM], "statement": statement} | changes
    headers = {"accept": "application/json"} | ({"idempotency-key": key} if key else {})
    return await visitor.post(f"/api/v1/cases/{case}/contests", json=body, headers=headers)


async def sign(visitor: Visitor, begun: httpx.Response, number: str = CHEN) -> httpx.Response:
    """Signs at the identity seat and comes back."""
    assert begun.status_code == 201, begun.text
    async with Applicant(number) as person:
        returned = await person.authorise(begun.json()["authorize_url"])
    return await visitor.get(returned.url.removeprefix(ORIGIN))


async def kept(world: PortalWorld, case: str) -> list[ContestRow]:
    async with world.pool.connection() as connection:
        return (await contests.of_cases(connection, [case]))[case]


async def open_case(world: PortalWorld, visitor: Visitor) -> str:
    """A case that an officer looks at, one answer in it."""
    await visitor.sign_in(CHEN)
    case = (await submit(visitor, APPLY)).removeprefix("/cases/")
    await settle(world, case, Status.ACCEPTED, stage="waiting", verdict_outcome="manual")
    await answered(world, case)
    return case


async def test_contest__through_the_pages__signed_kept_and_the_case_sent_to_its_approvers(
    world: PortalWorld, visitor: Visitor
) -> None:
    case = await open_case(world, visitor)
    assert Page(await visitor.get(f"/cases/{case}")).one("a", href=f"/cases/{case}/contest")
    page = Page(await visitor.get(f"/cases/{case}/contest"))
    assert "未列入经营异常名录 应答：否" in page.text
    assert page.one("input", type="checkbox", value=CLAIM)["name"] == "claims"

    back = await sign(visitor, await post(visitor, case))

    assert (back.status_code, back.headers["location"]) == (303, f"/cases/{case}")
    (row,) = await kept(world, case)
    assert (row.state, row.item, row.claims, row.seat) == ("new", ITEM, [CLAIM], MARKET)
    assert row.followed
    today = datetime.now(UTC).date()
    assert row.reply_by >= load_calendar().deadline(today, 9, "working_day").day
    assert open_statement(SealedText(**row.statement), seat=MARKET, key=KEYS[MARKET].sealing).why == WHY
    async with world.pool.connection() as connection:
        cursor = await connection.execute("select stage from case_file where id = %s", [case])
        assert (await cursor.fetchone() or {})["stage"] == "gather"
    await world.put(case, stage="waiting", error={"code": "contested", "seat": 3})
    shown = Page(await visitor.get(f"/cases/{case}"))
    assert "我的异议" in shown.text
    assert "正在等待该部门答复" in shown.text
    assert "请重新填写并提交" not in shown.text
    assert "暂停计时" in shown.text
    check_problem(await post(visitor, case), 409, "contested-before")
    visitor.http.cookies.set("lianban_lang", "en")
    assert "What you contest" in Page(await visitor.get(f"/cases/{case}")).text
    assert "There is nothing to contest now" in Page(await visitor.get(f"/cases/{case}/contest")).text


async def test_contest__faulty_or_somebody_elses__problem_names_the_field(world: PortalWorld, visitor: Visitor) -> None:
    case = await open_case(world, visitor)
    for field, changes in (
        ("item", {"item": "E13.premises"}),
        ("item", {"index": 3}),
        ("claims", {"claims": ["debtor"]}),
        ("claims", {"claims": [CLAIM, CLAIM]}),
        ("statement.sealed", {"statement": seal_statement(WHY, [], {3: KEYS[3].sealing.jwk}).model_dump()}),
    ):
        problem = check_problem(await post(visitor, case, **changes), 422, "invalid")
        assert problem["errors"][0]["field"] == field
    assert (await post(visitor, case, claims=[])).status_code == 422
    async with world.visitor() as other:
        await other.sign_in(WANG)
        check_problem(await post(other, case), 404, "not-found")
        listed = await other.http.get(f"/api/v1/cases/{case}/contests", headers={"accept": "application/json"})
        check_problem(listed, 404, "not-found")
    assert await kept(world, case) == []


async def test_contest__same_idempotency_key__prepared_once_and_signed_once(
    world: PortalWorld, visitor: Visitor
) -> None:
    case = await open_case(world, visitor)
    statement = seal_statement(WHY, [], {MARKET: KEYS[MARKET].sealing.jwk}).model_dump()

    first = await post(visitor, case, key="a-contest-1", statement=statement)
    again = await post(visitor, case, key="a-contest-1", statement=statement)

    assert first.json() == again.json()
    other = await post(visitor, case, key="a-contest-1", claims=["not_on_serious_list"])
    check_problem(other, 422, "idempotency-key-reused")
    await sign(visitor, first)
    assert len(await kept(world, case)) == 1


async def test_contest__after_a_refusal__corrected_record_leads_to_a_prefilled_application(
    world: PortalWorld, visitor: Visitor
) -> None:
    case = await open_case(world, visitor)
    await world.put(case, status=int(Status.REFUSED), stage="done")
    assert "不予的决定不能更改" in Page(await visitor.get(f"/cases/{case}/contest")).text
    await sign(visitor, await post(visitor, case))
    before = Page(await visitor.get(f"/cases/{case}"))
    assert "重新申请" not in before.text

    await world.run("update contest set state = 'corrected', replied_at = now() where case_id = %s", [case])

    after = Page(await visitor.get(f"/cases/{case}"))
    (link,) = [
        each["href"] for each in after.all("a", "href") if each["href"].startswith("/scenarios/open-gallery/plan?")
    ]
    plan = await visitor.get(link)
    assert plan.status_code == 200
    assert "280" in plan.text


async def test_contest__withdrawn_case__refused(world: PortalWorld, visitor: Visitor) -> None:
    case = await open_case(world, visitor)
    await world.put(case, status=int(Status.WITHDRAWN), stage="done")

    check_problem(await post(visitor, case), 409, "case-closed")


async def test_contest__worker_holds_the_case__left_to_be_carried_on_later(
    world: PortalWorld, visitor: Visitor
) -> None:
    case = await open_case(world, visitor)
    await world.run(
        "update case_file set lease_owner = 'w', lease_until = now() + interval '1 hour' where id = %s", [case]
    )

    await sign(visitor, await post(visitor, case))

    (row,) = await kept(world, case)
    assert not row.followed
