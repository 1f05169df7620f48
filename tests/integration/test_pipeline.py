"""The pipeline over a real store, a real chain and real approvers: what gets through, what goes back, and that all of it
happens once, whoever dies or lies in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Diverged, Unavailable
from orchestrator.ledger.poster import Poster
from orchestrator.pipeline import post as posting
from orchestrator.pipeline.decide import take_updates
from orchestrator.pipeline.post import follow, post, resend
from orchestrator.pipeline.seal import seal
from orchestrator.protocol.credential import Credential, open_credential, read_credential
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.store import batches, cases, evidence
from tests.support.approver import GALLERY, Approvers, Filed, Officer, open_approvers
from tests.support.onchain import OnChain, ask, automining_node, on_chain, sheet, transition
from tests.support.orchestrator import Line, get, open_line, rows

pytestmark = pytest.mark.anyio

CULTURE = 3


@pytest.fixture(scope="module")
async def chain() -> AsyncIterator[OnChain]:
    with automining_node() as url:
        async with on_chain(url, GALLERY.scenario) as chain:
            yield chain


@pytest.fixture(scope="module")
async def gallery(chain: OnChain, pg_admin_dsn: str) -> AsyncIterator[Approvers]:
    async with open_approvers(GALLERY, pg_admin_dsn, chain.consortium) as approvers:
        yield approvers


@pytest.fixture
async def line(chain: OnChain, gallery: Approvers, pg_admin_dsn: str) -> AsyncIterator[Line]:
    gallery.book.down.clear()
    async with open_line(chain, gallery, pg_admin_dsn) as line:
        await follow_all(line)
        yield line


async def follow_all(line: Line) -> int:
    moved = 0
    while True:
        before = await rows(line.pool, "select max(number) as newest from chain_block")
        moved += await follow(line.context)
        if await rows(line.pool, "select max(number) as newest from chain_block") == before:
            return moved


async def step_until(line: Line, case: str, *stages: str) -> None:
    """Works, without looking at the chain, until the case is in one of the stages."""
    for _ in range(20):
        if (await get(line.pool, case)).stage in stages:
            return
        await line.hurry()
        await line.worker().step()
    raise AssertionError(f"in {(await get(line.pool, case)).stage} for good")


async def settled_events(line: Line, case: str) -> int:
    return (await line.story(case)).count("settled")


async def on_ledger(line: Line, case: str) -> tuple[Status, int]:
    status, sequence, _ = await line.chain.view.status_of(case)
    return status, sequence


# ---- what gets through


async def test_pipeline__all_known_and_good__approved_in_one_record_with_its_credential(line: Line) -> None:
    filed = line.approvers.file()
    case = await line.submit(filed)
    row = await line.run(case)
    assert (row.status, row.sequence, row.stage) == (3, 1, "done")
    assert await on_ledger(line, case) == (Status.APPROVED, 1)
    story = await line.story(case)
    assert story[:6] == ["gathered", "decided", "sealed", "posted", "settled", "pushed"]
    async with line.pool.connection() as connection:
        kept = (await evidence.credentials(connection, [case]))[case]
        leaves = [leaf["kind"] for leaf in (await evidence.leaves(connection, [case]))[case]]
    credential = Credential(jwt=str(kept["jwt"]), sealed=str(kept["sealed"]))
    disclosures = open_credential(credential, case, line.approvers.consortium.delivery)
    key = line.chain.consortium.seat(CULTURE).keyset.key("evidence")
    assert read_credential(credential.jwt, disclosures, key).claims["entity_name"] == "海淀墨白画廊有限公司"
    assert sorted(leaves) == ["answer"] * 8 + ["credential", "form", "mandate", "verdict"]
    # The providers' log heads went along.
    heads = await rows(line.pool, "select seat, size, anchored_size from seat_head")
    assert heads
    assert all(head["size"] == head["anchored_size"] for head in heads)
    await follow_all(line)
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
    assert [await settled_events(line, case.id) for case in filed] == [1] * 12
    assert {await on_ledger(line, case.id) for case in filed} == {(Status.APPROVED, 1)}


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
    assert await on_ledger(line, case) == (Status.APPROVED, 2)


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
    await step_until(line, filed.id, "confirm")
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
    assert await on_ledger(line, filed.id) == (Status.WITHDRAWN, 2)


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
    assert await on_ledger(line, case) == (Status.REVOKED, 2)


# ---- departments that are down


async def test_gather__department_down__waited_for_then_given_up_and_the_material_asked(
    line: Line,
) -> None:
    filed = line.approvers.file()
    case = await line.submit(filed)
    line.approvers.book.down.add("haidian-market-supervision")
    await step_until(line, case, "gather")
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


async def test_decide__department_down_for_the_approver__asked_again_not_returned(line: Line) -> None:
    filed = line.approvers.file()
    case = await line.submit(filed)
    await step_until(line, case, "decide")
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
    await step_until(line, case, "decide")
    line.gateways.asked.clear()
    await line.worker().step()
    line.approvers.say(filed, "E09.premises", attempt=2)
    row = await line.run(case)
    assert row.status == 3
    assert [question.item for question in line.gateways.asked] == ["E09.premises"]


# ---- the chain forgets, the node is gone, the poster dies


async def test_follow__block_lost__back_to_confirm_and_settled_again_once(line: Line) -> None:
    case = await line.submit(line.approvers.file())
    await step_until(line, case, "confirm")
    await follow_all(line)
    assert (await get(line.pool, case)).status == 3
    ask(line.chain.node_url, "anvil_reorg", 1, [])
    ask(line.chain.node_url, "anvil_mine", "0x1")
    assert (await on_ledger(line, case))[0] is Status.NONE
    await follow_all(line)
    row = await get(line.pool, case)
    assert (row.status, row.sequence, row.stage) == (0, 0, "confirm")
    row = await line.run(case)
    assert (row.status, row.sequence, row.stage) == (3, 1, "done")
    assert await on_ledger(line, case) == (Status.APPROVED, 1)
    # The same transaction, and the notice of it once.
    assert len(await rows(line.pool, "select * from batch")) == 1
    notices = await rows(line.pool, "select push from notice")
    assert len(notices) == len({notice["push"] for notice in notices})


async def test_post__block_lost_before_anybody_saw_it__next_batch_takes_the_next_nonce(line: Line) -> None:
    first = await line.submit(line.approvers.file())
    await step_until(line, first, "confirm")
    await follow_all(line)
    ask(line.chain.node_url, "anvil_reorg", 1, [])
    second = await line.submit(line.approvers.file())
    await step_until(line, second, "confirm")
    assert [row["nonce"] for row in await rows(line.pool, "select nonce from batch order by id")] == [0, 1]
    for case in (first, second):
        row = await line.run(case)
        assert (row.status, row.sequence) == (3, 1)


async def test_resend__same_bytes__harmless(line: Line) -> None:
    case = await line.submit(line.approvers.file())
    await step_until(line, case, "confirm")
    for _ in range(3):
        await resend(line.context)
    await follow_all(line)
    await resend(line.context)
    assert await on_ledger(line, case) == (Status.APPROVED, 1)
    assert await settled_events(line, case) == 1
    (batch,) = await rows(line.pool, "select nonce, state from batch")
    assert (batch["nonce"], batch["state"]) == (0, "confirmed")


class Deaf(Poster):
    """A poster whose node takes nothing."""

    async def send(self, raws: Sequence[bytes]) -> None:
        raise Unavailable("…", detail_en="the node does not answer", code="node-down")


async def test_post__node_gone_after_the_bytes_were_stored__sent_later_settled_once(line: Line) -> None:
    secret = SigningAccount.generate().secret
    deaf = line.worker("w1", poster=Deaf(line.chain.rpc, line.chain.view, secret))
    heard = line.worker("w2", poster=Poster(line.chain.rpc, line.chain.view, secret))
    case = await line.submit(line.approvers.file())
    for _ in range(8):
        await line.hurry()
        await deaf.step()
    assert (await get(line.pool, case)).stage == "confirm"
    (batch,) = await rows(line.pool, "select state from batch")
    assert (batch["state"], await on_ledger(line, case)) == ("signed", (Status.NONE, 0))
    await line.hurry()
    await heard.step()
    await follow_all(line)
    assert ((await get(line.pool, case)).status, await on_ledger(line, case)) == (3, (Status.APPROVED, 1))
    assert len(await rows(line.pool, "select * from batch")) == 1


async def test_resend__nonce_used_by_another_transaction__sealed_anew_and_settled(line: Line) -> None:
    secret = SigningAccount.generate().secret
    poster = Poster(line.chain.rpc, line.chain.view, secret)
    deaf = line.worker("w1", poster=Deaf(line.chain.rpc, line.chain.view, secret))
    case = await line.submit(line.approvers.file())
    for _ in range(8):
        await line.hurry()
        await deaf.step()
    other = await poster.sign(0, [], [], [])
    await poster.send([other.raw])
    worker = line.worker("w2", poster=poster)
    for _ in range(8):
        await line.hurry()
        await worker.step()
        await follow(line.context)
    assert await on_ledger(line, case) == (Status.APPROVED, 1)
    states = [row["state"] for row in await rows(line.pool, "select state from batch order by id")]
    assert states == ["replaced", "confirmed"]


async def test_worker__lease_runs_out_in_mid_work__another_finishes_and_nothing_happens_twice(line: Line) -> None:
    case = await line.submit(line.approvers.file())
    await step_until(line, case, "seal")
    async with line.pool.connection() as connection:
        (held,) = await cases.claim(connection, "seal", "dead", limit=1, lease=0.05)
    moves = await seal(line.context, [held])  # sealed, signed, stored; then it dies before it moves the case
    assert moves
    await asyncio.sleep(0.1)
    row = await line.run(case)
    assert (row.status, row.sequence) == (3, 1)
    assert await settled_events(line, case) == 1


# ---- our records and the chain


async def test_follow__chain_settled_what_we_did_not_seal__diverged_and_posting_rests(line: Line) -> None:
    case = await line.submit(line.approvers.file())
    strange = transition(line.chain, bytes.fromhex(case[2:]))
    poster = Poster(line.chain.rpc, line.chain.view, SigningAccount.generate().secret)
    await poster.send([(await poster.sign(0, [strange], [sheet(line.chain, [strange])], [])).raw])
    with pytest.raises(Diverged) as error:
        await follow_all(line)
    assert error.value.code == "unknown-transition"
    other = await line.submit(line.approvers.file())
    worker = line.worker("w1", diverged="…")
    for _ in range(8):
        await line.hurry()
        await worker.step()
    assert (await get(line.pool, other)).stage == "seal"
    assert await rows(line.pool, "select * from batch") == []


async def test_post__node_on_another_chain__diverged(line: Line) -> None:
    case = await line.submit(line.approvers.file())
    await step_until(line, case, "post")

    class Elsewhere(Poster):
        async def sign(self, *args: Any, **kwargs: Any) -> Any:
            raise Diverged("节点的链号与部署文件不符", detail_en="another chain", code="wrong-chain")

    worker = line.worker("w1", poster=Elsewhere(line.chain.rpc, line.chain.view, SigningAccount.generate().secret))
    await line.hurry()
    await worker.step()
    assert worker._context.diverged
    assert (await get(line.pool, case)).stage == "post"
    await line.hurry()
    await worker.step()
    assert ((await get(line.pool, case)).attempts, await rows(line.pool, "select * from batch")) == (1, [])


# ---- packing


async def sealed(line: Line, count: int) -> list[str]:
    """Cases sealed together, on one sheet."""
    names = [await line.submit(line.approvers.file()) for _ in range(count)]
    await step_until(line, names[0], "post")
    return names


async def test_post__one_case_of_a_sheet__the_others_travel_with_it(line: Line) -> None:
    first, second, third = await sealed(line, 3)
    (carried,) = await rows(line.pool, "select transitions from sheet")
    assert len(carried["transitions"]) == 3
    # Another worker holds the other two: their sheet must be whole all the same.
    async with line.pool.connection() as connection:
        await connection.execute(
            "update case_file set lease_owner = 'w2', lease_until = now() + interval '1 min' where id <> %s", [first]
        )
    await line.worker().step()
    await follow_all(line)
    assert {await on_ledger(line, case) for case in (first, second, third)} == {(Status.APPROVED, 1)}
    assert {(await get(line.pool, case)).status for case in (first, second, third)} == {3}
    # The other worker comes late with the same sheet: refused by the ledger, settled once by our books.
    claimed = [await get(line.pool, case) for case in (second, third)]
    await post(line.context, claimed)
    await follow_all(line)
    assert [await settled_events(line, case) for case in (second, third)] == [1, 1]
    assert {(await get(line.pool, case)).status for case in (second, third)} == {3}


async def test_post__passenger_that_another_seat_sent_back__refused_alone(line: Line) -> None:
    # The ledger refuses what is not signed by all that it takes, and settles the rest (I8).
    first, second = await sealed(line, 2)
    await rows(line.pool, "delete from transition where case_id = %s", second)
    await rows(line.pool, "update case_file set stage = 'waiting' where id = %s", second)
    (kept,) = await rows(line.pool, "select id, transitions from sheet")
    broken = [[case, root, step if case == first else step + (1 << 40)] for case, root, step in kept["transitions"]]
    await rows(line.pool, "update sheet set transitions = %s", Jsonb(broken))
    await line.worker().step()
    await follow_all(line)
    # A sheet that was altered here signs nothing at all.
    assert await on_ledger(line, first) == (Status.NONE, 0)
    assert (await get(line.pool, first)).stage == "seal"


async def test_post__sheet_about_to_expire__sealed_anew(line: Line) -> None:
    (case,) = await sealed(line, 1)
    await rows(line.pool, "update sheet set valid_until = extract(epoch from now()) + 5")
    await line.worker().step()
    row = await get(line.pool, case)
    assert (row.stage, row.error) == ("seal", {"code": "sheet-expired"})
    row = await line.run(case)
    assert row.status == 3
    assert len(await rows(line.pool, "select * from batch")) == 1


async def test_post__more_than_a_batch_holds__the_rest_goes_in_the_next(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "MAX_TRANSITIONS", 5)
    names: list[str] = []
    for _ in range(3):  # three sheets of three: what a sheet holds stays together
        await rows(line.pool, "update case_file set stage = 'waiting' where stage = 'post'")
        names += await sealed(line, 3)
    await rows(line.pool, "update case_file set stage = 'post', due_at = now()")
    for case in names:
        assert (await line.run(case)).status == 3
    sizes = await rows(line.pool, "select count(*) as n from transition group by batch order by batch")
    assert [row["n"] for row in sizes] == [3, 3, 3]


async def test_post__case_without_a_sealed_step__sealed_first(line: Line) -> None:
    (case,) = await sealed(line, 1)
    await rows(line.pool, "delete from transition")
    await line.worker().step()
    assert (await get(line.pool, case)).stage == "seal"


# ---- what approvers will not sign


async def test_seal__verdict_changed_meanwhile__decided_again(line: Line) -> None:
    filed = line.approvers.file()
    case = await line.submit(filed)
    await step_until(line, case, "seal")
    line.approvers.say(filed, "E06.company", attempt=2, not_on_serious_list=False)
    row = await line.run(case)
    assert (row.status, row.stage) == (1, "waiting")  # an officer confirms the refusal
    assert await on_ledger(line, case) == (Status.ACCEPTED, 1)


async def test_seal__two_cases_one_not_signed__the_other_goes_on(line: Line) -> None:
    good, changed = line.approvers.file(), line.approvers.file()
    for filed in (good, changed):
        await line.submit(filed)
    await step_until(line, good.id, "seal")
    line.approvers.say(changed, "E06.company", attempt=2)
    await line.approvers.verdict(changed)
    await line.hurry()
    await line.worker().step()
    assert (await get(line.pool, good.id)).stage == "post"
    row = await get(line.pool, changed.id)
    assert (row.stage, (row.error or {})["code"]) == ("decide", "verdict-changed")
    assert (await line.run(changed.id)).status == 3


async def test_transitions__stored__none_without_all_its_sheets(line: Line) -> None:
    names = await sealed(line, 2)
    async with line.pool.connection() as connection:
        stored = await batches.transitions(connection, names)
    assert [len(stored[case][0]["sheets"]) for case in names] == [1, 1]
