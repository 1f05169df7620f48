"""A recall that suspends, through the whole pipeline on a real chain: suspended, told, looked at again, and what comes of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.domain.case import Status
from orchestrator.pipeline.decide import take_updates
from orchestrator.pipeline.recalls import take_recalls
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.recall import Recall, sign_recall
from orchestrator.protocol.verdict import AnswerRef
from orchestrator.protocol.wire import seat_ref
from orchestrator.store import applications, evidence, standing
from tests.support.approver import Filed
from tests.support.orchestrator import Line, rows

pytestmark = pytest.mark.anyio

SUSPENDS, REVIEWED = "E05.company", "E06.company"


@pytest.fixture
def recalls(line: Line, monkeypatch: pytest.MonkeyPatch) -> dict[int, list[str]]:
    """What providers recall, by seat: the gateways of this line answer for approvers only."""
    found: dict[int, list[str]] = {}
    approvers = line.context.gateways.send

    async def send(seat: SeatView, path: str, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if kind != "recalls":
            return await approvers(seat, path, kind, body)
        new = found.get(seat.number, [])[body["since"] :]
        return {"recalls": new, "next": body["since"] + len(new)}

    monkeypatch.setattr(line.context.gateways, "send", send)
    return found


def take_back(line: Line, filed: Filed, item: str, recalls: dict[int, list[str]]) -> str:
    """The provider takes back its answer to one item of a case; the recall."""
    world = line.approvers
    provider, envelope = world.consortium.provider(item), world.book.answers[world.question(filed, item).id]
    answer = AnswerRef(question=envelope.question, attempt=envelope.attempt, hash=jws_hash(envelope.answer))
    document = Recall(iss=seat_ref(provider), answers=(answer,), reason="登记信息有误", iat=int(time.time()))
    recalls.setdefault(provider, []).append(signed := sign_recall(document, world.consortium.keys[provider].evidence))
    return signed


async def approved(line: Line) -> Filed:
    filed = line.approvers.file()
    assert (await line.run(await line.submit(filed))).status == Status.APPROVED
    return filed


async def notices(line: Line, case: str) -> list[str]:
    """What the holder was told, by kind, oldest first."""
    async with line.pool.connection() as connection:
        found = await applications.notices(connection, "somebody")
    kinds = [str(each["push"]).partition(":")[0] for each in reversed(found) if each["case_id"] == case]
    return [kind for kind in kinds if kind in ("recalled", "suspended", "reinstated", "revoked")]


async def credential(line: Line, case: str) -> str:
    async with line.pool.connection() as connection:
        return str((await evidence.credentials(connection, [case]))[case]["jwt"])


async def test_take_recalls__answer_that_suspends__suspended_on_chain_upheld_and_approved_again(
    line: Line, recalls: dict[int, list[str]]
) -> None:
    filed = await approved(line)
    issued = await credential(line, filed.id)
    take_back(line, filed, SUSPENDS, recalls)

    assert await take_recalls(line.context) == 1
    row = await line.run(filed.id)

    assert (row.status, row.stage) == (Status.SUSPENDED, "waiting")
    assert await line.on_ledger(filed.id) == (Status.SUSPENDED, 2)
    assert await notices(line, filed.id) == ["suspended"]
    assert await take_recalls(line.context) == 0

    officer = await line.approvers.officer()
    await officer.client.uphold(filed.id, "另有证据足以证明")
    await take_updates(line.context)
    row = await line.run(filed.id)

    assert (row.status, row.stage) == (Status.APPROVED, "done")
    assert await line.on_ledger(filed.id) == (Status.APPROVED, 3)
    assert await notices(line, filed.id) == ["suspended", "reinstated"]
    assert await credential(line, filed.id) == issued
    story = await line.story(filed.id)
    assert [kind for kind in story if kind in ("recalled", "suspending", "upheld")] == [
        "recalled",
        "suspending",
        "upheld",
    ]
    pushed = "select detail ->> 'push' as push from event where case_id = %s and kind = 'pushed'"
    offered = [each["push"] for each in await rows(line.pool, pushed, filed.id)]
    assert offered
    assert len(offered) == len(set(offered))
    kinds = await rows(
        line.pool, "select kind, sequence from leaf where case_id = %s and sequence > 1 order by 2", filed.id
    )
    assert [(each["kind"], each["sequence"]) for each in kinds] == [("recall", 2), ("upholding", 3)]


async def test_take_recalls__answer_that_suspends__revoked_by_the_officers(
    line: Line, recalls: dict[int, list[str]]
) -> None:
    filed = await approved(line)
    take_back(line, filed, SUSPENDS, recalls)
    await take_recalls(line.context)
    assert (await line.run(filed.id)).status == Status.SUSPENDED

    await (await line.approvers.officer()).client.revoke(filed.id, "登记确有错误")
    await take_updates(line.context)

    assert (await line.run(filed.id)).status == Status.REVOKED
    assert await line.on_ledger(filed.id) == (Status.REVOKED, 3)
    assert await notices(line, filed.id) == ["suspended", "revoked"]


async def test_take_recalls__scenario_wants_a_review_only__stays_approved_and_holder_told(
    line: Line, recalls: dict[int, list[str]]
) -> None:
    filed = await approved(line)
    take_back(line, filed, REVIEWED, recalls)

    await take_recalls(line.context)
    await line.follow_all()

    assert await line.on_ledger(filed.id) == (Status.APPROVED, 1)
    assert "suspending" not in await line.story(filed.id)
    assert await notices(line, filed.id) == ["recalled"]
    assert filed.id in [each["case"] for each in await (await line.approvers.officer()).client.reviews()]


async def test_take_recalls__upheld_before_it_was_suspended__stays_approved(
    line: Line, recalls: dict[int, list[str]]
) -> None:
    filed = await approved(line)
    take_back(line, filed, SUSPENDS, recalls)
    await take_recalls(line.context)
    await (await line.approvers.officer()).client.uphold(filed.id, "已核实")

    row = await line.run(filed.id)

    assert (row.status, row.stage) == (Status.APPROVED, "done")
    assert await line.on_ledger(filed.id) == (Status.APPROVED, 1)
    assert "not-suspended" in await line.story(filed.id)


async def test_take_updates__upheld_while_the_suspension_is_on_its_way__counts_again_without_anybody(
    line: Line, recalls: dict[int, list[str]]
) -> None:
    filed = await approved(line)
    take_back(line, filed, SUSPENDS, recalls)
    await take_recalls(line.context)
    await line.step_until(filed.id, "confirm")
    await (await line.approvers.officer()).client.uphold(filed.id, "已核实")
    await take_updates(line.context)

    row = await line.run(filed.id, until=("done",))

    assert row.status == Status.APPROVED
    assert await line.on_ledger(filed.id) == (Status.APPROVED, 3)


async def test_take_recalls__once_more_while_suspended__waits_for_a_word_on_both(
    line: Line, recalls: dict[int, list[str]]
) -> None:
    filed = await approved(line)
    take_back(line, filed, SUSPENDS, recalls)
    await take_recalls(line.context)
    assert (await line.run(filed.id)).status == Status.SUSPENDED
    officer = await line.approvers.officer()
    await officer.client.uphold(filed.id, "已核实")
    take_back(line, filed, REVIEWED, recalls)
    await take_recalls(line.context)
    await take_updates(line.context)
    assert (await line.run(filed.id)).status == Status.SUSPENDED
    async with line.pool.connection() as connection:
        papers = (await standing.papers(connection, [filed.id]))[filed.id]
    assert (len(papers.of("recall")), len(papers.of("upholding"))) == (2, 1)

    await officer.client.uphold(filed.id, "两项均已核实")
    await take_updates(line.context)

    assert (await line.run(filed.id)).status == Status.APPROVED
    assert await line.on_ledger(filed.id) == (Status.APPROVED, 3)


async def test_suspend__orchestrator_without_a_recall__no_gateway_signs(line: Line) -> None:
    # Whoever has the orchestrator's database and keys, and no provider's.
    filed = await approved(line)
    async with line.pool.connection() as connection:
        assert await standing.suspend(connection, [filed.id]) == [filed.id]

    row = await line.run(filed.id)

    assert (row.status, row.stage) == (Status.APPROVED, "done")
    assert await line.on_ledger(filed.id) == (Status.APPROVED, 1)
