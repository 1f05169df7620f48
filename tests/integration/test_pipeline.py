"""The pipeline over a real store, a real chain and real approvers: what gets through, what goes back, and whom it waits for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator.domain.case import Status
from orchestrator.pipeline.decide import take_updates
from orchestrator.pipeline.post import follow
from orchestrator.protocol.credential import Credential, open_credential, read_credential
from orchestrator.protocol.jose import jws_hash
from orchestrator.store import batches, cases, evidence
from tests.support.approver import Filed, Officer
from tests.support.orchestrator import Line, get, rows
from tests.support.services import paper

pytestmark = pytest.mark.anyio

CULTURE = 3


# ---- what gets through


async def test_pipeline__all_known_and_good__approved_in_one_record_with_its_credential(line: Line) -> None:
    filed = line.approvers.file()
    case = await line.submit(filed)
    row = await line.run(case)
    assert (row.status, row.sequence, row.stage) == (3, 1, "done")
    assert await line.on_ledger(case) == (Status.APPROVED, 1)
    story = await line.story(case)
    assert story[:6] == ["gathered", "decided", "sealed", "posted", "settled", "pushed"]
    async with line.pool.connection() as connection:
        kept = (await evidence.credentials(connection, [case]))[case]
        leaves = [leaf["kind"] for leaf in (await evidence.leaves(connection, [case]))[case]]
    credential = Credential(jwt=str(kept["jwt"]), sealed=str(kept["sealed"]))
    disclosures = open_credential(credential, case, line.approvers.consortium.delivery)
    key = line.chain.consortium.seat(CULTURE).keyset.key("evidence")
    assert read_credential(credential.jwt, disclosures, key).claims["entity_name"] == "海淀墨白画廊有限公司"
    kinds = [
        "credential",
        "form",
        "mandate",
        "situation",
        "verdict",
        *(f"material:{each.id}" for each in filed.materials),
    ]
    assert sorted(leaves) == sorted(["answer"] * 8 + kinds)
    # The providers' log heads went along.
    heads = await rows(line.pool, "select seat, size, anchored_size from seat_head")
    assert heads
    assert all(head["size"] == head["anchored_size"] for head in heads)
    await line.follow_all()
    (batch,) = await rows(line.pool, "select state, gas_used from batch")
    assert (batch["state"], batch["gas_used"] > 0) == ("confirmed", True)


async def test_pipeline__many_cases__one_batch_and_each_its_own_outcome(line: Line) -> None:
    filed = [line.approvers.file() for _ in range(6)]
    line.approvers.answer(filed[1], scope_covers=False)
    line.approvers.answer(filed[2], not_on_abnormal_list=False)
    for case in filed:
        await line.submit(case)
    await line.run(filed[0].id)
    await line.run(filed[2].id)
    found = [(await get(line.pool, case.id)).status for case in filed]
    assert found == [3, 2, 1, 3, 3, 3]
    assert len(await rows(line.pool, "select * from batch")) == 1


async def test_pipeline__two_workers_at_once__every_case_settles_once(line: Line) -> None:
    filed = [line.approvers.file() for _ in range(12)]
    for case in filed:
        await line.submit(case)

    async def work(name: str) -> None:
        worker = line.worker(name)
        for _ in range(30):
            await line.hurry()
            await worker.step()
            await asyncio.sleep(0)

    async def watch() -> None:
        for _ in range(60):
            await follow(line.context)
            await asyncio.sleep(0.05)

    await asyncio.gather(work("w1"), work("w2"), watch())
    for case in filed:
        await line.run(case.id)
    assert {(await get(line.pool, case.id)).status for case in filed} == {3}
    assert [await line.settlements(case.id) for case in filed] == [1] * 12
    assert {await line.on_ledger(case.id) for case in filed} == {(Status.APPROVED, 1)}


# ---- returns, supplements, officers, withdrawal, revocation


async def test_pipeline__returned_and_supplemented__approved_under_the_second_number(line: Line) -> None:
    filed = line.approvers.file()
    line.approvers.answer(filed, scope_covers=False)
    case = await line.submit(filed)
    row = await line.run(case)
    assert (row.status, row.stage) == (2, "waiting")
    amended = line.approvers.amend(filed)
    line.approvers.answer(amended)
    await line.submit(amended)
    row = await line.run(case, until=["done"])
    assert (row.status, row.sequence) == (3, 2)
    assert await line.on_ledger(case) == (Status.APPROVED, 2)


async def manual(line: Line) -> Filed:
    filed = line.approvers.file()
    line.approvers.answer(filed, not_on_abnormal_list=False)
    await line.submit(filed)
    return filed


async def decide(officer: Officer, case: str, outcome: Any = "approve") -> None:
    (item,) = [item for item in await officer.client.queue() if item["case"] == case]
    await officer.client.decide(item, outcome, "…")


async def test_pipeline__officer_decides__settled_and_the_cursor_moves_on(line: Line) -> None:
    filed, officer = await manual(line), await line.approvers.officer()
    row = await line.run(filed.id)
    assert (row.status, row.stage) == (1, "waiting")
    await decide(officer, filed.id)
    assert await take_updates(line.context) == 1
    row = await line.run(filed.id, until=["done"])
    assert (row.status, row.sequence) == (3, 2)
    assert await take_updates(line.context) == 0
    story = await line.story(filed.id)
    assert (story.count("officer-decided"), story.count("decided")) == (1, 2)


async def test_pipeline__officer_faster_than_the_chain__decision_is_not_missed(line: Line) -> None:
    filed, officer = await manual(line), await line.approvers.officer()
    await line.step_until(filed.id, "confirm")
    await decide(officer, filed.id)  # under the number that follows the acceptance, which is still on its way
    await take_updates(line.context)
    row = await line.run(filed.id, until=["done"])
    assert (row.status, row.sequence) == (3, 2)


async def test_updates__verdict_under_way_while_the_officer_decides__waited_for(line: Line) -> None:
    filed, officer = await manual(line), await line.approvers.officer()
    await line.run(filed.id)
    await rows(
        line.pool, "update case_file set stage = 'decide', lease_owner = 'w2', lease_until = now() + interval '1 min'"
    )
    await decide(officer, filed.id)
    assert await take_updates(line.context) == 0
    await rows(line.pool, "update case_file set stage = 'waiting', lease_owner = null, lease_until = null")
    assert await take_updates(line.context) == 1


async def test_updates__case_ended_meanwhile__others_are_told_once(line: Line) -> None:
    # A decided case that is no longer to be woken must neither hold up the others nor wake them again and again.
    ended, other, officer = await manual(line), await manual(line), await line.approvers.officer()
    for filed in (ended, other):
        await line.run(filed.id)
    await decide(officer, ended.id)
    await decide(officer, other.id)
    await rows(line.pool, "update case_file set stage = 'done' where id = %s", ended.id)
    assert await take_updates(line.context) == 1
    assert await take_updates(line.context) == 0
    assert (await line.story(other.id)).count("officer-decided") == 1


async def test_pipeline__withdrawn_while_it_waits__settled_as_withdrawn(line: Line) -> None:
    filed = await manual(line)
    await line.run(filed.id)
    withdrawn = line.approvers.amend(filed, kind="withdrawal")
    async with line.pool.connection() as connection:
        await cases.add_mandate(connection, filed.id, jws_hash(withdrawn.newest), withdrawn.newest)
        await cases.withdraw(connection, filed.id)
    row = await line.run(filed.id, until=["done"])
    assert (row.status, row.sequence) == (5, 2)
    assert await line.on_ledger(filed.id) == (Status.WITHDRAWN, 2)


async def test_pipeline__revoked_by_the_leads_officer__settled_as_revoked(line: Line) -> None:
    case = await line.submit(line.approvers.file())
    await line.run(case)
    officer = await line.approvers.officer()
    await officer.client.revoke(case, "以欺骗手段取得")
    assert await take_updates(line.context) == 1
    row = await line.run(case, until=["done"])
    while row.status == 3:
        row = await line.run(case, until=["done"])
    assert (row.status, row.sequence) == (6, 2)
    assert await line.on_ledger(case) == (Status.REVOKED, 2)


# ---- departments that are down


async def test_gather__department_down__waited_for_then_given_up_and_the_material_asked(
    line: Line,
) -> None:
    filed = line.approvers.file()
    case = await line.submit(filed)
    line.approvers.book.down.add("haidian-market-supervision")
    await line.step_until(case, "gather")
    for _ in range(3):
        await line.hurry()
        await line.worker().step()
    row = await get(line.pool, case)
    assert (row.stage, (row.error or {})["code"]) == ("gather", "department-down")
    await rows(line.pool, "update question set asked_at = now() - interval '5 hours' where asked_at is not null")
    row = await line.run(case)
    assert (row.status, row.verdict_outcome) == (2, "return")
    (verdict,) = await rows(line.pool, "select materials_wanted from verdict")
    assert verdict["materials_wanted"] == ["business-licence-copy"]


async def test_gather__material_of_a_department_that_is_down_brought__not_waited_for(line: Line) -> None:
    filed = line.approvers.file()
    case = await line.submit(filed)
    line.approvers.book.down.add("haidian-market-supervision")
    await line.step_until(case, "gather")
    await line.worker().step()
    other = line.approvers.amend(filed, materials=[paper("handler-identity-and-household")])
    line.approvers.answer(other)
    await line.submit(other)
    await line.step_until(case, "gather")
    await line.worker().step()
    assert (await get(line.pool, case)).stage == "gather"  # another department's material ends no wait for this one
    amended = line.approvers.amend(other, materials=[paper("business-licence-copy")])
    line.approvers.answer(amended)
    await line.submit(amended)
    await line.step_until(case, "decide")  # the window is still hours long
    states = await rows(
        line.pool, "select distinct state from question where item like 'E05.%%' and answered_at is null"
    )
    assert {"state": "brought"} in states


async def test_decide__department_down_for_the_approver__asked_again_not_returned(line: Line) -> None:
    filed = line.approvers.file()
    case = await line.submit(filed)
    await line.step_until(case, "decide")
    line.approvers.book.down.add("haidian-market-supervision")
    await line.worker().step()
    row = await get(line.pool, case)
    assert (row.stage, (row.error or {})["code"]) == ("gather", "provider-down")
    line.approvers.book.down.clear()
    row = await line.run(case)
    assert (row.status, row.sequence) == (3, 1)


async def test_decide__answer_too_old__asked_again_and_nothing_else(line: Line) -> None:
    filed = line.approvers.file()
    line.approvers.say(filed, "E09.premises", age=3_700, lasts=90_000)
    case = await line.submit(filed)
    await line.step_until(case, "decide")
    line.gateways.asked.clear()
    await line.worker().step()
    line.approvers.say(filed, "E09.premises", attempt=2)
    row = await line.run(case)
    assert row.status == 3
    assert [question.item for question in line.gateways.asked] == ["E09.premises"]


# ---- what approvers will not sign


async def test_seal__verdict_changed_meanwhile__decided_again(line: Line) -> None:
    filed = line.approvers.file()
    case = await line.submit(filed)
    await line.step_until(case, "seal")
    line.approvers.say(filed, "E06.company", attempt=2, not_on_serious_list=False)
    row = await line.run(case)
    assert (row.status, row.stage) == (1, "waiting")  # an officer confirms the refusal
    assert await line.on_ledger(case) == (Status.ACCEPTED, 1)


async def test_seal__two_cases_one_not_signed__the_other_goes_on(line: Line) -> None:
    good, changed = line.approvers.file(), line.approvers.file()
    for filed in (good, changed):
        await line.submit(filed)
    await line.step_until(good.id, "seal")
    line.approvers.say(changed, "E06.company", attempt=2)
    await line.approvers.verdict(changed)
    await line.hurry()
    await line.worker().step()
    assert (await get(line.pool, good.id)).stage == "post"
    row = await get(line.pool, changed.id)
    assert (row.stage, (row.error or {})["code"]) == ("decide", "verdict-changed")
    assert (await line.run(changed.id)).status == 3


async def test_transitions__stored__none_without_all_its_sheets(line: Line) -> None:
    names = await line.sealed(2)
    async with line.pool.connection() as connection:
        stored = await batches.transitions(connection, names)
    assert [len(stored[case][0]["sheets"]) for case in names] == [1, 1]
