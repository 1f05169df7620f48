"""`lianban replay`: an approver's IT has a settled case decided once more, and the applicant reads what would have changed it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.domain.case import Status
from tests.support.commands import lianban
from tests.support.world import World

pytestmark = pytest.mark.anyio

CULTURE = "haidian-culture-tourism"


async def test_replay__approved_case__same_decision_and_the_chain_rests_on_it(world: World) -> None:
    case = str((await world.settled("gallery-leased-passes"))["id"])
    folder = world.cluster.settings.data_dir
    said = await lianban(folder, "replay", case, "--department", CULTURE)

    assert said.code == 0, said.text
    assert "the same decision" in said.text
    assert "the dossier settled on chain holds this verdict" in said.text
    assert "GAL-99" in said.text
    assert "The outcome would have been another if" in said.text


async def test_replay__manual_case__change_in_words_for_approver_and_applicant(world: World) -> None:
    async with world.applied("gallery-abnormal") as (client, case, _):
        shown: dict[str, Any] = await client.settled(case)
        assert shown["status"] == Status.ACCEPTED
        said = await lianban(world.cluster.settings.data_dir, "replay", case, "--department", CULTURE, "--json")
        told = json.loads(said.text)

        assert (said.code, told["same"], told["outcome"]) == (0, True, {"signed": "manual", "now": "manual"})
        (change,) = [each for each in told["changes"] if each["row"] == "GAL-06"]
        (reason,) = [each for each in shown["reasons"] if each["row"] == "GAL-06"]
        assert reason["change"]["zh"] == change["zh"]
        assert change["zh"].startswith("如“")
