"""Who looked at my data, and withdrawing past the portal: an orchestrator that holds the withdrawal back gets no answer more."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestrator.domain.case import Status
from orchestrator.identity.accounts import DEVELOPMENT_PASSCODE
from orchestrator.protocol.answer import read_answer
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.mandate import Mandate
from orchestrator.protocol.question import Question
from tests.support.commands import Said, lianban
from tests.support.waiting import until
from tests.support.world import LONGEST, World

pytestmark = pytest.mark.anyio

DEMO = "hitech-general"
"""Its case waits for an officer: it is open when its applicant withdraws."""


async def my(world: World, number: str, *arguments: Any) -> Said:
    """`lianban my …` at the identity seat, in an empty data folder: nothing of the portal is told."""
    signed_in = ("--number", number, "--passcode", DEVELOPMENT_PASSCODE, "--identity", world.cluster.identity)
    return await lianban(Path("/nonexistent"), "my", *arguments, *signed_in)


async def verified(world: World, file: Path) -> Said:
    """`lianban verify` by an outsider with a node."""
    settings = world.cluster.settings
    node = ("--node", settings.require_node_url(), "--deployment", settings.deployment_file)
    return await lianban(file.parent, "verify", file, *node)


async def asked_again(world: World, mandate_jws: str) -> dict[str, str]:
    """What departments say to the orchestrator, with its own keys, under a mandate that it has: reason by item."""
    context, mandate = world.runtime.context, Mandate.model_validate(_payload(mandate_jws))
    by_seat: dict[int, list[Question]] = defaultdict(list)
    for granted in mandate.evidence:
        item = (await context.definitions.get(mandate.version)).item(granted.item)
        if item.source == "gateway" and item.purpose == "decide":
            question = Question(mandate=jws_hash(mandate_jws), item=granted.item, index=0, purpose="decide")
            by_seat[granted.seat].append(question)
    said = {}
    for number, questions in by_seat.items():
        seat = await context.view.seat(number)
        for envelope in (await context.gateways.ask(seat, questions, [mandate_jws])).answers:
            answer = read_answer(envelope, seat.key_of("evidence", envelope.answer))
            said[answer.item] = answer.reason or answer.result
    return said


async def test_withdraw__orchestrator_holds_it_back__no_department_answers_and_anybody_can_check(
    world: World, tmp_path: Path
) -> None:
    async with world.applied(DEMO) as (client, case, applicant):
        accepted = await client.settled(case, timeout=LONGEST)
        assert accepted["status"] == Status.ACCEPTED
        (row,) = await world.rows("select jws from mandate where case_id = %s", [case])
        assert set((await asked_again(world, row["jws"])).values()) == {"answered"}

        said = await my(world, applicant.person, "withdraw", case)
        assert said.code == 0, said.text

        async def delivered() -> Any:
            shown = orjson.loads((await my(world, applicant.person, "consents", "--json")).text)
            mine = next(each for each in shown["cases"] if each["case"] == case)
            return mine["deliveries"] if all(each["at"] for each in mine["deliveries"]) else None

        deliveries = await until(delivered)
        named = {each["seat"] for each in Mandate.model_validate(_payload(row["jws"])).model_dump()["evidence"]}
        assert named <= {each["seat"] for each in deliveries}
        # The orchestrator has its keys and the mandate, and presents nothing else.
        assert set((await asked_again(world, row["jws"])).values()) == {"withdrawn"}

        # One that is honest learns of it from the approver, and the ledger says so.
        async def on_chain() -> Any:
            return (await world.on_chain(case))[0] == Status.WITHDRAWN

        await until(on_chain)

        paper = tmp_path / "withdrawal.json"
        saved = await my(world, applicant.person, "acknowledgements", case, "--out", paper)
        assert saved.code == 0, saved.text
        checked = await verified(world, paper)
        assert checked.code in (0, 3), checked.text
        assert checked.text.count("as entry") == len(deliveries)

        looks = tmp_path / "looks.json"
        told = await my(world, applicant.person, "questions", "--out", looks)
        assert told.code == 0, told.text
        for words in (case, "refused: the consent was withdrawn", "answered", "log entry"):
            assert words in told.text, (words, told.text)
        checked = await verified(world, looks)
        assert checked.code in (0, 3), checked.text
        for words in ("every question carries its asker's signature", "anchored on chain", "without logging it"):
            assert words in checked.text, (words, checked.text)
        changed = orjson.loads(looks.read_bytes())
        changed["subject"]["id"] = "110199199203040027"
        looks.write_bytes(orjson.dumps(changed))
        assert (await verified(world, looks)).code == 1
        assert applicant.person not in await world.dump()


def _payload(jws: str) -> dict[str, Any]:
    return peek_jws(jws)[1]
