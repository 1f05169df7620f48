"""Withdrawals that come past the portal: an open case is sealed as withdrawn, a decided one asks and pushes nothing more."""

from __future__ import annotations

import pytest

from orchestrator.domain.case import Status
from orchestrator.pipeline.withdrawals import ENDED, take_withdrawals
from tests.integration.test_push import approved, line, notices, registration, run
from tests.support.approver import Filed
from tests.support.orchestrator import Line, get, rows

__all__ = ["line", "registration"]
"""Fixtures of the pushes' tests."""

pytestmark = pytest.mark.anyio


async def take(line: Line, filed: Filed, jws: str) -> int:
    """Takes a withdrawal as it comes from an approver's updates."""
    async with line.pool.connection() as connection:
        return await take_withdrawals(line.context, connection, [(filed.id, jws)])


async def test_take__case_is_open__sealed_as_withdrawn_once(line: Line) -> None:
    filed = line.approvers.file(form=None, materials=[], answered=False)
    await line.submit(filed)
    withdrawn = line.approvers.amend(filed, kind="withdrawal", form=None, materials=[])
    assert await take(line, filed, withdrawn.newest) == 1
    case = await get(line.pool, filed.id)
    assert (case.stage, case.target) == ("seal", int(Status.WITHDRAWN))
    held = await rows(line.pool, "select jws from mandate where case_id = %s order by position", filed.id)
    assert [row["jws"] for row in held] == withdrawn.mandates
    assert "withdrawal" in await line.story(filed.id)
    assert await take(line, filed, withdrawn.newest) == 0


async def test_take__forged_or_of_a_case_that_is_not_here__left_alone(line: Line) -> None:
    filed, elsewhere = (line.approvers.file(form=None, materials=[], answered=False) for _ in range(2))
    await line.submit(filed)
    keys = line.approvers.consortium.keys
    forged = line.approvers.amend(filed, kind="withdrawal", form=None, materials=[], key=keys[0].request)
    other = line.approvers.amend(elsewhere, kind="withdrawal", form=None, materials=[])
    assert await take(line, filed, forged.newest) == 0
    assert await take(line, filed, other.newest) == 0
    assert await take(line, elsewhere, other.newest) == 0
    assert (await get(line.pool, filed.id)).stage == "intake"


async def test_push__consent_withdrawn_after_the_decision__nothing_asked_and_nothing_pushed(line: Line) -> None:
    filed = await approved(line, subject="周")
    withdrawn = line.approvers.amend(filed, kind="withdrawal", form=None, materials=[])
    assert await take(line, filed, withdrawn.newest) == 1
    assert await take(line, filed, withdrawn.newest) == 0
    asked = len(line.approvers.book.asked)
    assert await run(line, filed) == "done"
    assert len(line.approvers.book.asked) == asked
    assert await notices(line, "周") == set()
    story = await line.story(filed.id)
    assert (story.count(ENDED), "pushed" in story) == (1, False)
    assert (await get(line.pool, filed.id)).status == Status.APPROVED
