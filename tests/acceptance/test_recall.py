"""`lianban recall`: a department takes back an answer; decisions that rest on it are looked at again, open cases ask anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.demo.applicant import ApplicantClient
from orchestrator.domain.case import Status
from orchestrator.protocol.jose import jws_hash
from tests.support.commands import Said, lianban
from tests.support.waiting import until
from tests.support.world import LONGEST, World

pytestmark = pytest.mark.anyio

CULTURE = "haidian-culture-tourism"
REASON = "名录数据同步有误"


async def recalled(world: World, shown: dict[str, Any], item: str) -> Said:
    """The department of an item takes back its answer in a case."""
    (asked,) = [each for each in shown["evidence"] if each["item"] == item]
    rows = await world.rows("select question from answer where hash = %s", [asked["answer"]])
    chosen = ["--department", asked["department"], "--question", rows[0]["question"]]
    return await lianban(world.cluster.settings.data_dir, "recall", *chosen, "--reason", REASON, "--yes")


async def test_recall__approved_case__reach_shown_review_opened_holder_told_and_revoked(world: World) -> None:
    async with world.applied("gallery-leased-passes") as (client, case, _):
        shown = await client.settled(case, timeout=LONGEST)
        assert shown["status"] == Status.APPROVED

        said = await recalled(world, shown, "E06.company")

        assert said.code == 0, said.text
        assert case in said.text
        assert "1 answers, 1 cases, 1 of them decided, would be suspended: 0" in said.text

        async def noted() -> Any:
            return await world.rows("select detail from event where case_id = %s and kind = 'recalled'", [case])

        (event,) = await until(noted)
        assert event["detail"]["reason"] == REASON
        officer = world.officers[CULTURE]
        (review,) = [each for each in await officer.reviews() if each["case"] == case]
        assert (review["status"], review["reason"]) == (Status.APPROVED, REASON)

        await officer.revoke(case, "所依据的核验数据有误")

        async def revoked() -> Any:
            return (await world.on_chain(case))[0] == Status.REVOKED

        await until(revoked)
        assert case not in [each["case"] for each in await officer.reviews()]


async def test_recall__case_still_open__asked_again_and_goes_on(world: World) -> None:
    async with world.applied("gallery-abnormal") as (client, case, _):
        shown = await client.settled(case, timeout=LONGEST)
        assert shown["status"] == Status.ACCEPTED

        said = await recalled(world, shown, "E06.company")

        assert said.code == 0, said.text
        assert "still open: it will be asked again" in said.text

        async def answered_anew() -> Any:
            found = await client.case(case)
            (asked,) = [each for each in found["evidence"] if each["item"] == "E06.company"]
            return found if asked["attempt"] == 2 and found["stage"] == "waiting" else None

        found = await until(answered_anew)
        approved = await world.officers_decide(client, found, "approve")
        assert approved["status"] == Status.APPROVED
        assert case not in [each["case"] for each in await world.officers[CULTURE].reviews()]


async def suspended(world: World, client: ApplicantClient, case: str, item: str) -> dict[str, Any]:
    """An approved case whose credential a recall has suspended, as the portal shows it."""
    shown = await client.settled(case, timeout=LONGEST)
    assert shown["status"] == Status.APPROVED
    said = await recalled(world, shown, item)
    assert said.code == 0, said.text
    assert "1 answers, 1 cases, 1 of them decided, would be suspended: 1" in said.text
    found = await client.settled(case, after=shown["sequence"], timeout=LONGEST)
    assert (found["status"], found["stage"]) == (Status.SUSPENDED, "waiting")
    assert (await world.on_chain(case))[0] == Status.SUSPENDED
    return found


async def told(client: ApplicantClient, case: str) -> list[str]:
    """What stands in the holder's notices about a case's credential, in English."""
    notices = (await client.request("GET", "/api/v1/me"))["notices"]
    return [each["texts"]["en"] for each in notices if each["case_id"] == case]


async def test_recall__scenario_suspends__told_verified_as_such_and_reinstated(world: World, tmp_path: Path) -> None:
    async with world.applied("gallery-passes") as (client, case, _):
        found = await suspended(world, client, case, "E05.company")

        (recall,) = found["recalls"]
        assert (recall["department"], recall["reason"], recall["suspends"], recall["upheld_by"]) == (
            "haidian-market-supervision",
            REASON,
            True,
            [],
        )
        assert any("suspended from now on" in text for text in await told(client, case))
        jwt, disclosures = await client.credential(case)
        file = tmp_path / "credential.sd-jwt"
        file.write_text("~".join([jwt, *disclosures, ""]))
        data_dir = world.cluster.settings.data_dir
        checked = await lianban(data_dir, "verify", str(file))
        assert checked.code == 1
        assert "does not count now and may count again" in " ".join(checked.text.split())

        await world.officers[CULTURE].uphold(case, "另有证据足以证明")

        again = await client.settled(case, after=found["sequence"], timeout=LONGEST)
        assert (again["status"], again["sequence"]) == (Status.APPROVED, 3)
        assert [each["upheld_by"] for each in again["recalls"]] == [[CULTURE]]
        assert any("counts again" in text for text in await told(client, case))
        assert (await lianban(data_dir, "verify", str(file))).code == 0
        documents = await client.request("GET", f"/api/v1/cases/{case}/documents")
        dossier = await client.request("GET", f"/api/v1/cases/{case}/dossier")
        held = {(leaf["value"][0], leaf["value"][2]) for leaf in dossier["leaves"]}
        for kind, name in (("recall", "recalls"), ("upholding", "upholdings")):
            assert {(kind, jws_hash(jws)) for jws in documents[name]} <= held
        assert [status for _, status, _ in await world.events(case)] == [3, 7, 3]


async def test_recall__scenario_suspends__revoked_by_the_officers(world: World) -> None:
    async with world.applied("gallery-moved-recently") as (client, case, _):
        found = await suspended(world, client, case, "E05.company")

        await world.officers[CULTURE].revoke(case, "登记确有错误")

        revoked = await client.settled(case, after=found["sequence"], timeout=LONGEST)
        assert revoked["status"] == Status.REVOKED
        assert [status for _, status, _ in await world.events(case)] == [3, 7, 6]
        assert any("was revoked" in text for text in await told(client, case))
        assert case not in [each["case"] for each in await world.officers[CULTURE].reviews()]
