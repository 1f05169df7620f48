"""A benefit is not released by one officer alone: the second one countersigns, and both signatures are in the verdict."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.domain.case import Status
from orchestrator.protocol.countersign import check_officers
from orchestrator.protocol.verdict import read_verdict
from tests.support.world import LONGEST, World

pytestmark = pytest.mark.anyio

SOCIAL = "beijing-social-insurance"


async def test_countersign__benefit_claim__approved_only_once_two_officers_have_signed(world: World) -> None:
    first, second = world.officers[SOCIAL], world.seconds[SOCIAL]
    async with world.applied("benefit-termination-brought") as (client, case, applicant):
        returned = await client.settled(case, timeout=LONGEST)
        await client.amend(case, applicant.walk, [*applicant.plan.materials_after, *applicant.brings])
        accepted = await client.settled(case, after=returned["sequence"], timeout=LONGEST)
        assert accepted["status"] == Status.ACCEPTED
        (item,) = [each for each in await first.queue() if each["case"] == case]

        assert (await first.decide(item, "approve", "证明属实"))["awaits_countersign"]

        await asyncio.sleep(2)  # the orchestrator asks for news every second
        assert (await world.on_chain(case))[0] == Status.ACCEPTED
        (item,) = [each for each in await second.queue() if each["case"] == case]
        assert (item["awaits"]["outcome"], item["awaits"]["reason"]) == ("approve", "证明属实")
        await second.countersign(item, "countersign", "经复核,同意")
        approved = await client.settled(case, after=accepted["sequence"], timeout=LONGEST)
        assert approved["status"] == Status.APPROVED

        documents = await client.request("GET", f"/api/v1/cases/{case}/documents")
        seat = await world.runtime.context.view.seat_by_id(SOCIAL)
        verdict = read_verdict(documents["verdicts"][-1], seat.key_of("evidence", documents["verdicts"][-1]))
        found = check_officers(verdict, seat, two=True)
        assert found is not None
        assert found.second is not None
        assert (found.first.sub, found.second.sub) == (f"test-{SOCIAL}", f"test-second-{SOCIAL}")
