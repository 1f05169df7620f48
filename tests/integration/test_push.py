"""Pushes over a real store: what they ask, when they go out, to whom, and that none is lost to an outage or sent twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest

from orchestrator.pipeline.context import Context, Definitions, Pace
from orchestrator.pipeline.push import push
from orchestrator.scenarios import load_calendar
from orchestrator.store import applications, cases
from tests.support.approver import Approvers, Filed, open_approvers
from tests.support.orchestrator import BookedGateways, Line, get, keep_scenario, open_store, rows
from tests.support.services import REGISTRATION

pytestmark = pytest.mark.anyio

NEEDED: dict[str, dict[str, Any]] = {
    "E25.applicant": {"contribution_months_at_least": True},
    "E28.applicant": {"termination_recorded": True, "involuntary": True},
}


@pytest.fixture(scope="module")
async def registration(pg_admin_dsn: str) -> AsyncIterator[Approvers]:
    async with open_approvers(REGISTRATION, pg_admin_dsn) as approvers:
        yield approvers


@pytest.fixture
async def line(registration: Approvers, pg_admin_dsn: str) -> AsyncIterator[Line]:
    registration.book.down.clear()
    async with open_store(pg_admin_dsn) as pool, BookedGateways(registration) as gateways:
        await keep_scenario(pool, registration.consortium.scenario)
        nothing: Any = None  # a push neither posts nor follows
        context = Context(
            pool=pool,
            view=cast(Any, registration.consortium.chain),
            poster=nothing,
            follower=nothing,
            gateways=gateways,
            definitions=Definitions(pool),
            calendar=load_calendar(),
            pace=Pace(retry_first=0.01, retry_most=0.05),
            owner="w1",
        )
        yield Line(pool=pool, chain=nothing, approvers=registration, gateways=gateways, context=context)


async def approved(line: Line, *, subject: str = "孙", **claims: Any) -> Filed:
    """A case that has just settled as approved; `claims` are what the departments will say."""
    filed = line.approvers.file(form=None, materials=[], answered=False)
    for item, usual in NEEDED.items():
        line.approvers.say(filed, item, purpose="push", **(usual | claims))
    await line.submit(filed, subject=subject)
    await rows(line.pool, "update case_file set status = 3, sequence = 1, stage = 'push' where id = %s", filed.id)
    return filed


async def run(line: Line, filed: Filed) -> str:
    """One round of the stage; where the case is then."""
    await line.hurry()
    async with line.pool.connection() as connection:
        claimed = await cases.claim(connection, "push", "w1", limit=9, lease=60)
    moves = await push(line.context, claimed)
    async with line.pool.connection() as connection:
        await cases.move(connection, "w1", moves)
    return (await get(line.pool, filed.id)).stage


async def notices(line: Line, subject: str = "孙") -> set[str]:
    async with line.pool.connection() as connection:
        found = await applications.notices(connection, subject)
    assert all(row["texts"]["zh"] and row["texts"]["en"] for row in found)
    return {str(row["push"]) for row in found}


async def test_push__departments_say_so__benefit_told_to_the_holder_alone(line: Line) -> None:
    filed = await approved(line)
    assert await run(line, filed) == "done"
    assert "benefit-claim" in await notices(line)
    assert await notices(line, "another person") == set()
    assert {(question.item, question.purpose) for question in line.gateways.asked} == {
        (item, "push") for item in NEEDED
    }
    (told,) = await rows(line.pool, "select target, prefill from notice where push = 'benefit-claim'")
    assert told == {
        "target": "unemployment-benefit-claim",
        "prefill": {"answers": {}, "subjects": {"claimant": "applicant"}},
    }


async def test_push__left_voluntarily__not_told(line: Line) -> None:
    filed = await approved(line, involuntary=False)
    await run(line, filed)
    assert "benefit-claim" not in await notices(line)


async def test_push__case_not_approved__nothing_is_asked(line: Line) -> None:
    filed = await approved(line)
    await rows(line.pool, "update case_file set status = 4")
    assert await run(line, filed) == "done"
    assert (line.gateways.asked, await notices(line)) == ([], set())


async def test_push__again_after_a_rewind__told_once_and_not_asked_again(line: Line) -> None:
    filed = await approved(line)
    await run(line, filed)
    asked, before = len(line.gateways.asked), await rows(line.pool, "select id from notice order by id")
    await rows(line.pool, "update case_file set stage = 'push'")
    await run(line, filed)
    assert await rows(line.pool, "select id from notice order by id") == before
    assert len(line.gateways.asked) == asked


async def test_push__department_down__waits_for_it_within_the_window(line: Line) -> None:
    filed = await approved(line)
    line.approvers.book.down.add("beijing-social-insurance")
    assert await run(line, filed) == "push"
    assert await run(line, filed) == "push"
    row = await get(line.pool, filed.id)
    assert row.error == {"code": "department-down", "items": ["E25.applicant"]}
    assert await notices(line) == set()
    line.approvers.book.down.clear()
    assert await run(line, filed) == "done"
    assert "benefit-claim" in await notices(line)


async def test_push__department_down_for_too_long__unknown(line: Line) -> None:
    filed = await approved(line)
    impatient = replace(line, context=replace(line.context, pace=Pace(outage_window=0.0)))
    line.approvers.book.down.add("beijing-social-insurance")
    assert await run(impatient, filed) == "done"
    assert "benefit-claim" not in await notices(line)
