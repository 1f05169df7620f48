"""What a case can go through: returned, supplemented, amended, withdrawn, decided by an officer, revoked, pushed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import orjson
import pytest

from orchestrator.demo.applicant import ApplicantClient, ProblemError
from orchestrator.devnet.cluster import today
from orchestrator.domain.calendar import Pause
from orchestrator.domain.canonical import unb64
from orchestrator.domain.case import Status
from orchestrator.scenarios import load_calendar
from tests.support.world import LONGEST, World

pytestmark = pytest.mark.anyio

CULTURE = "haidian-culture-tourism"


async def settled(client: ApplicantClient, case: str, *, after: int = 0) -> dict[str, Any]:
    return await client.settled(case, after=after, timeout=LONGEST)


async def test_apply__evidence_alone__approved_with_credential(world: World) -> None:
    async with world.applied("gallery-passes") as (client, case, applicant):
        shown = await settled(client, case)
        assert (shown["status"], shown["sequence"]) == (Status.APPROVED, 1)
        assert await world.on_chain(case) == (Status.APPROVED, 1, shown["binding"])
        assert shown["materials_submitted"] == sorted(applicant.plan.materials_after)
        _, disclosed = await client.credential(case)
        assert any("海淀墨白画廊有限公司" in text for text in opened(disclosed))


async def test_withdraw__before_any_outcome__withdrawn_first(world: World) -> None:
    async with world.applied("gallery-passes") as (client, case, _):
        await world.hold(case)
        await client.withdraw(case)
        shown = await settled(client, case)
        assert (shown["status"], shown["sequence"]) == (Status.WITHDRAWN, 1)
        assert (await world.on_chain(case))[:2] == (Status.WITHDRAWN, 1)
        with pytest.raises(ProblemError) as refused:
            await client.withdraw(case)
        assert (refused.value.status, refused.value.code) == (409, "case-closed")


async def test_withdraw__accepted__withdrawn_and_off_the_desk(world: World) -> None:
    async with world.applied("hitech-general") as (client, case, _):
        accepted = await settled(client, case)
        assert accepted["status"] == Status.ACCEPTED
        queued = await world.officers["zgc-haidian-park"].queue()
        assert case in [item["case"] for item in queued]
        await client.withdraw(case)
        shown = await settled(client, case, after=1)
        assert (shown["status"], shown["sequence"]) == (Status.WITHDRAWN, 2)
        assert (await world.on_chain(case))[:2] == (Status.WITHDRAWN, 2)
        assert case not in [item["case"] for item in await world.officers["zgc-haidian-park"].queue()]


async def test_supplement__after_a_return__same_case_goes_on(world: World) -> None:
    async with world.applied("gallery-identity-brought") as (client, case, applicant):
        returned = await settled(client, case)
        assert (returned["status"], returned["sequence"]) == (Status.RETURNED, 1)
        assert [each["id"] for each in returned["materials_wanted"]] == ["handler-identity-and-household"]
        assert returned["deadline"]["paused"]
        held = [*applicant.plan.materials_after, *applicant.brings]
        await client.amend(case, applicant.walk, held)
        accepted = await settled(client, case, after=1)
        assert (accepted["id"], accepted["status"], accepted["sequence"]) == (case, Status.ACCEPTED, 2)
        assert accepted["materials_submitted"] == sorted(held)
        assert not accepted["deadline"]["paused"]
        approved = await world.officers_decide(client, accepted, "approve")
        assert (approved["status"], approved["sequence"]) == (Status.APPROVED, 3)
        assert (await world.on_chain(case))[:2] == (Status.APPROVED, 3)
        assert len((await client.request("GET", f"/api/v1/cases/{case}/documents"))["mandates"]) == 2


async def test_amend__declared_household_was_wrong__plan_and_materials_of_the_other_situation(world: World) -> None:
    declared = {**world.demo["gallery-non-beijing-passes"].walk.answers, "handler_household": "beijing"}
    async with world.applied("gallery-non-beijing-passes", answers=declared) as (client, case, applicant):
        returned = await settled(client, case)
        assert returned["status"] == Status.RETURNED
        assert "GAL-14" in [each["row"] for each in returned["reasons"]]
        assert returned["deadline"]["value"] == 2

        walk = replace(applicant.walk, answers={**declared, "handler_household": "other-province"})
        before, after = await asyncio.gather(client.plan(applicant.walk), client.plan(walk))
        assert (len(before["materials_before"]), len(after["materials_before"])) == (4, 5)
        await client.amend(case, walk, [each["id"] for each in after["materials_after"]])
        approved = await settled(client, case, after=1)
        assert (approved["id"], approved["status"], approved["sequence"]) == (case, Status.APPROVED, 2)
        assert approved["situation"]["handler_household"] == "other-province"
        assert approved["deadline"]["value"] == 4
        asked = {each["item"] for each in approved["evidence"]}
        assert "E03.handler" in asked


async def test_decide__manual_case__officer_approves(world: World) -> None:
    async with world.applied("gallery-abnormal") as (client, case, _):
        accepted = await settled(client, case)
        assert (accepted["status"], accepted["outcome"]) == (Status.ACCEPTED, "manual")
        assert "GAL-06" in [each["row"] for each in accepted["reasons"]]
        with pytest.raises(ProblemError) as none_yet:
            await client.credential(case)
        assert none_yet.value.status == 404
        approved = await world.officers_decide(client, accepted, "approve")
        assert (approved["status"], approved["sequence"]) == (Status.APPROVED, 2)
        await client.credential(case)


async def test_decide__refusal_by_rules__officer_confirms_and_remedies_are_named(world: World) -> None:
    async with world.applied("gallery-revoked") as (client, case, _):
        accepted = await settled(client, case)
        assert accepted["status"] == Status.ACCEPTED
        item = next(each for each in await world.officers[CULTURE].queue() if each["case"] == case)
        assert item["proposed"] == "refuse"
        refused = await world.officers_decide(client, accepted, "refuse")
        assert (refused["status"], (await world.on_chain(case))[0]) == (Status.REFUSED, Status.REFUSED)
        texts = [each["zh"] for each in refused["reasons"]]
        assert any("行政复议" in text and "行政诉讼" in text for text in texts)
        assert "GAL-01" in [each["row"] for each in refused["reasons"]]
        with pytest.raises(ProblemError):
            await client.credential(case)


async def test_revoke__approved_case__credential_and_ledger_say_so(world: World) -> None:
    async with world.applied("gallery-leased-passes") as (client, case, _):
        await settled(client, case)
        before = await client.request("GET", f"/api/v1/cases/{case}/credential")
        assert before["status"] == Status.APPROVED
        await world.officers[CULTURE].revoke(case, "备案信息虚假")
        revoked = await settled(client, case, after=1)
        assert (revoked["status"], revoked["sequence"]) == (Status.REVOKED, 2)
        assert (await world.on_chain(case))[:2] == (Status.REVOKED, 2)
        after = await client.request("GET", f"/api/v1/cases/{case}/credential")
        assert (after["status"], after["jwt"]) == (Status.REVOKED, before["jwt"])


async def test_deadline__returned_for_days__pauses(world: World) -> None:
    async with world.applied("gallery-permit-brought") as (client, case, applicant):
        returned = await settled(client, case)
        assert returned["status"] == Status.RETURNED
        # As if the case had been submitted and returned a fortnight ago.
        began, since = today() - timedelta(days=15), today() - timedelta(days=14)
        await world.rows("update case_file set day = %s where id = %s", [began, case])
        await world.rows(
            "update transition set settled_at = settled_at - interval '14 days' where case_id = %s", [case]
        )
        calendar = load_calendar()
        paused = calendar.deadline(began, 4, "working_day", pauses=[Pause(start=since, end=today())])
        assert date.fromisoformat((await client.case(case))["deadline"]["day"]) == paused.day
        assert paused.day > calendar.deadline(began, 4, "working_day").day

        await client.amend(case, applicant.walk, [*applicant.plan.materials_after, *applicant.brings])
        going_on = await settled(client, case, after=1)
        assert not going_on["deadline"]["paused"]
        listed = (await client.request("GET", "/api/v1/cases"))["cases"]
        mine = next(each for each in listed if each["id"] == case)
        assert mine["deadline"] == going_on["deadline"]


async def test_apply__consent_declined_for_one_evidence__its_material_is_asked(world: World) -> None:
    declined = ("E21.company",)
    async with world.applied("hitech-holder-passes", decline=declined) as (client, case, applicant):
        returned = await settled(client, case)
        assert returned["status"] == Status.RETURNED
        assert "corporate-tax-return" in [each["id"] for each in returned["materials_wanted"]]
        assert "E21.company" not in [each["item"] for each in returned["evidence"]]
        walk = replace(applicant.walk, materials={**applicant.walk.materials, "corporate-tax-return": {}})
        await client.amend(case, walk, [*applicant.plan.materials_after, "corporate-tax-return"])
        accepted = await settled(client, case, after=1)
        assert accepted["status"] == Status.ACCEPTED


async def test_push__registration_approved__benefit_claim_reaches_the_holder_alone(world: World) -> None:
    async with world.applied("registration-passes") as (client, case, _):
        await settled(client, case)
        mine = await notices(client, case)
        assert [each["target"] for each in mine if each["target"]] == ["unemployment-benefit-claim"]
        async with world.person(world.demo["benefit-resigned"].person) as other:
            assert (await other.request("GET", "/api/v1/me"))["notices"] == []
        for headers in (world.operator, world.auditor):
            answer = await world.http.get(f"{world.cluster.portal}/api/v1/me", headers=headers)
            assert answer.json()["notices"] == []


async def test_benefit__bank_account__reaches_the_payer_only(world: World) -> None:
    number = "9900000000000010019"
    async with world.applied("benefit-passes") as (client, case, _):
        shown = await settled(client, case)
        assert shown["status"] == Status.APPROVED
        _, disclosed = await client.credential(case)
        texts = opened(disclosed)
        assert not any(number in text for text in texts)
        assert ["account_last_four", number[-4:]] in [orjson.loads(text)[1:] for text in texts]
    held = await world.dump()
    assert case in held
    assert number not in held


def opened(disclosures: list[str]) -> list[str]:
    return [unb64(text).decode() for text in disclosures]


async def notices(client: ApplicantClient, case: str) -> list[dict[str, Any]]:
    for _ in range(100):
        found = [each for each in (await client.request("GET", "/api/v1/me"))["notices"] if each["case_id"] == case]
        if found:
            return found
        await asyncio.sleep(0.1)
    return []
