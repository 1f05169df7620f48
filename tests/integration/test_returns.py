"""What is missing comes back: due materials, a second return, a form that nobody can decide on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.case import Status
from orchestrator.pipeline.decide import decide
from orchestrator.store import evidence
from tests.support.orchestrator import Line, get

pytestmark = pytest.mark.anyio


async def test_pipeline__nothing_brought__returned_with_every_due_material(line: Line) -> None:
    approvers = replace(line.approvers, service=replace(line.approvers.service, materials=()))
    case = await line.submit(approvers.file())
    row = await line.run(case)
    assert (row.status, row.stage) == (Status.RETURNED, "waiting")
    async with line.pool.connection() as connection:
        (verdict,) = (await evidence.verdicts(connection, [case]))[case]
    assert verdict["materials_wanted"] == ["art-business-filing-form", "premises-proof"]


async def test_pipeline__returned_a_second_time__new_notice_and_no_transaction(line: Line) -> None:
    filed = line.approvers.file()
    line.approvers.answer(filed, scope_covers=False)
    case = await line.submit(filed)
    assert (await line.run(case)).status == Status.RETURNED

    amended = line.approvers.amend(filed)
    line.approvers.answer(amended, use_is_non_residential=False)
    await line.submit(amended)
    row = await line.run(case)

    assert (row.status, row.stage, row.sequence, row.verdict_outcome) == (Status.RETURNED, "waiting", 1, "return")
    assert await line.on_ledger(case) == (Status.RETURNED, 1)
    assert (await line.story(case)).count("sealed") == 1
    async with line.pool.connection() as connection:
        first, second = (await evidence.verdicts(connection, [case]))[case]
    assert (first["rows"], second["rows"], second["sequence"]) == (["GAL-04"], ["GAL-11"], 2)
    assert second["materials_wanted"] == ["owners-consent"]

    again = line.approvers.amend(amended)
    line.approvers.answer(again)
    await line.submit(again)
    assert (await line.run(case, until=["done"])).status == Status.APPROVED
    assert await line.on_ledger(case) == (Status.APPROVED, 2)


async def test_decide__no_form__waits_for_the_applicant(line: Line) -> None:
    filed = line.approvers.file(form=None)
    case = await line.submit(filed)
    await line.step_until(case, "decide")
    (move,) = await decide(line.context, [await get(line.pool, case)])
    assert (move.stage, move.target, (move.error or {})["code"]) == ("waiting", None, "form-incomplete")
