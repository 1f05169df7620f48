"""`lianban recall`: a department takes back an answer; decisions that rest on it are looked at again, open cases ask anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orchestrator.domain.case import Status
from tests.support.commands import Said, lianban
from tests.support.world import World

pytestmark = pytest.mark.anyio

CULTURE = "haidian-culture-tourism"
REASON = "名录数据同步有误"
LONGEST = 60.0


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """What a condition gives as soon as it gives anything."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        if found := await condition():
            return found
        await asyncio.sleep(0.3)
    raise AssertionError("nothing came of it")


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
        assert "1 answers, 1 cases, 1 of them decided" in said.text

        async def told() -> Any:
            return await world.rows("select detail from event where case_id = %s and kind = 'recalled'", [case])

        (event,) = await until(told)
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
