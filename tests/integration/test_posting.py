"""Posting over a real store and a real chain: all of it happens once, whoever dies, forgets or lies in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Diverged, Unavailable
from orchestrator.ledger.poster import Poster
from orchestrator.pipeline import post as posting
from orchestrator.pipeline.post import follow, post, resend
from orchestrator.pipeline.seal import seal
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.store import cases
from tests.support.onchain import ask, sheet, transition
from tests.support.orchestrator import Line, get, rows

pytestmark = pytest.mark.anyio


# ---- the chain forgets, the node is gone, the poster dies


async def test_follow__block_lost__back_to_confirm_and_settled_again_once(line: Line) -> None:
    case = await line.submit(line.approvers.file())
    await line.step_until(case, "confirm")
    await line.follow_all()
    assert (await get(line.pool, case)).status == 3
    ask(line.chain.node_url, "anvil_reorg", 1, [])
    ask(line.chain.node_url, "anvil_mine", "0x1")
    assert (await line.on_ledger(case))[0] is Status.NONE
    await line.follow_all()
    row = await get(line.pool, case)
    assert (row.status, row.sequence, row.stage) == (0, 0, "confirm")
    row = await line.run(case)
    assert (row.status, row.sequence, row.stage) == (3, 1, "done")
    assert await line.on_ledger(case) == (Status.APPROVED, 1)
    # The same transaction, and the notice of it once.
    assert len(await rows(line.pool, "select * from batch")) == 1
    notices = await rows(line.pool, "select push from notice")
    assert len(notices) == len({notice["push"] for notice in notices})


async def test_post__block_lost_before_anybody_saw_it__next_batch_takes_the_next_nonce(line: Line) -> None:
    first = await line.submit(line.approvers.file())
    await line.step_until(first, "confirm")
    await line.follow_all()
    ask(line.chain.node_url, "anvil_reorg", 1, [])
    second = await line.submit(line.approvers.file())
    await line.step_until(second, "confirm")
    assert [row["nonce"] for row in await rows(line.pool, "select nonce from batch order by id")] == [0, 1]
    for case in (first, second):
        row = await line.run(case)
        assert (row.status, row.sequence) == (3, 1)


async def test_resend__same_bytes__harmless(line: Line) -> None:
    case = await line.submit(line.approvers.file())
    await line.step_until(case, "confirm")
    for _ in range(3):
        await resend(line.context)
    await line.follow_all()
    await resend(line.context)
    assert await line.on_ledger(case) == (Status.APPROVED, 1)
    assert await line.settlements(case) == 1
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
    assert (batch["state"], await line.on_ledger(case)) == ("signed", (Status.NONE, 0))
    await line.hurry()
    await heard.step()
    await line.follow_all()
    assert ((await get(line.pool, case)).status, await line.on_ledger(case)) == (3, (Status.APPROVED, 1))
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
    assert await line.on_ledger(case) == (Status.APPROVED, 1)
    states = [row["state"] for row in await rows(line.pool, "select state from batch order by id")]
    assert states == ["replaced", "confirmed"]


async def test_worker__lease_runs_out_in_mid_work__another_finishes_and_nothing_happens_twice(line: Line) -> None:
    case = await line.submit(line.approvers.file())
    await line.step_until(case, "seal")
    async with line.pool.connection() as connection:
        (held,) = await cases.claim(connection, "seal", "dead", limit=1, lease=0.05)
    moves = await seal(line.context, [held])  # sealed, signed, stored; then it dies before it moves the case
    assert moves
    await asyncio.sleep(0.1)
    row = await line.run(case)
    assert (row.status, row.sequence) == (3, 1)
    assert await line.settlements(case) == 1


# ---- our records and the chain


async def test_follow__chain_settled_what_we_did_not_seal__diverged_and_posting_rests(line: Line) -> None:
    case = await line.submit(line.approvers.file())
    strange = transition(line.chain, bytes.fromhex(case[2:]))
    poster = Poster(line.chain.rpc, line.chain.view, SigningAccount.generate().secret)
    await poster.send([(await poster.sign(0, [strange], [sheet(line.chain, [strange])], [])).raw])
    with pytest.raises(Diverged) as error:
        await line.follow_all()
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
    await line.step_until(case, "post")

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


async def test_post__one_case_of_a_sheet__the_others_travel_with_it(line: Line) -> None:
    first, second, third = await line.sealed(3)
    (carried,) = await rows(line.pool, "select transitions from sheet")
    assert len(carried["transitions"]) == 3
    # Another worker holds the other two: their sheet must be whole all the same.
    async with line.pool.connection() as connection:
        await connection.execute(
            "update case_file set lease_owner = 'w2', lease_until = now() + interval '1 min' where id <> %s", [first]
        )
    await line.worker().step()
    await line.follow_all()
    assert {await line.on_ledger(case) for case in (first, second, third)} == {(Status.APPROVED, 1)}
    assert {(await get(line.pool, case)).status for case in (first, second, third)} == {3}
    # The other worker comes late with the same sheet: refused by the ledger, settled once by our books.
    claimed = [await get(line.pool, case) for case in (second, third)]
    await post(line.context, claimed)
    await line.follow_all()
    assert [await line.settlements(case) for case in (second, third)] == [1, 1]
    assert {(await get(line.pool, case)).status for case in (second, third)} == {3}


async def test_post__passenger_that_another_seat_sent_back__refused_alone(line: Line) -> None:
    # The ledger refuses what is not signed by all that it takes, and settles the rest (I8).
    first, second = await line.sealed(2)
    await rows(line.pool, "delete from transition where case_id = %s", second)
    await rows(line.pool, "update case_file set stage = 'waiting' where id = %s", second)
    (kept,) = await rows(line.pool, "select id, transitions from sheet")
    broken = [[case, root, step if case == first else step + (1 << 40)] for case, root, step in kept["transitions"]]
    await rows(line.pool, "update sheet set transitions = %s", Jsonb(broken))
    await line.worker().step()
    await line.follow_all()
    # A sheet that was altered here signs nothing at all.
    assert await line.on_ledger(first) == (Status.NONE, 0)
    assert (await get(line.pool, first)).stage == "seal"


async def test_post__sheet_about_to_expire__sealed_anew(line: Line) -> None:
    (case,) = await line.sealed(1)
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
        names += await line.sealed(3)
    await rows(line.pool, "update case_file set stage = 'post', due_at = now()")
    for case in names:
        assert (await line.run(case)).status == 3
    sizes = await rows(line.pool, "select count(*) as n from transition group by batch order by batch")
    assert [row["n"] for row in sizes] == [3, 3, 3]


async def test_post__case_without_a_sealed_step__sealed_first(line: Line) -> None:
    (case,) = await line.sealed(1)
    await rows(line.pool, "delete from transition")
    await line.worker().step()
    assert (await get(line.pool, case)).stage == "seal"
