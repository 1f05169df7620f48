"""The orchestrator's store on real PostgreSQL: leases, outages, evidence, settlement and its undoing."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.database import Pool
from orchestrator.domain.canonical import to_hex
from orchestrator.store import batches, cases, evidence
from orchestrator.store.batches import SettledRow
from orchestrator.store.cases import Move
from tests.support.orchestrator import get, open_store, put_case, rows

pytestmark = pytest.mark.anyio

ROOT = "0x" + "aa" * 32
OTHER_ROOT = "0x" + "bb" * 32


@pytest.fixture(scope="module")
async def pool(pg_admin_dsn: str) -> AsyncIterator[Pool]:
    async with open_store(pg_admin_dsn) as pool:
        yield pool


@pytest.fixture(autouse=True)
async def _empty(pool: Pool) -> None:
    await rows(pool, "truncate case_file, batch, chain_block, cursor, seat_head, sheet cascade")


async def claim(pool: Pool, owner: str, *, stage: str = "gather", limit: int = 256, lease: float = 60) -> list[str]:
    async with pool.connection() as connection:
        return [case.id for case in await cases.claim(connection, stage, owner, limit=limit, lease=lease)]


async def move(pool: Pool, owner: str, *moves: Move) -> None:
    async with pool.connection() as connection:
        await cases.move(connection, owner, moves)


# ---- claims and leases


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(workers=st.integers(2, 6), due=st.integers(0, 40), limit=st.integers(1, 15))
async def test_claim__many_workers_at_once__nothing_twice_nothing_left(
    pool: Pool, workers: int, due: int, limit: int
) -> None:
    await rows(pool, "truncate case_file cascade")
    there = {await put_case(pool, stage="gather") for _ in range(due)}

    async def work(owner: str) -> list[str]:
        mine: list[str] = []
        while claimed := await claim(pool, owner, limit=limit):
            assert len(claimed) <= limit
            mine += claimed
            await asyncio.sleep(random.random() / 100)
        return mine

    taken = [case for some in await asyncio.gather(*(work(f"w{n}") for n in range(workers))) for case in some]
    assert sorted(taken) == sorted(there)


async def test_claim__not_due_or_other_stage__left(pool: Pool) -> None:
    await put_case(pool, stage="decide")
    later = await put_case(pool, stage="gather")
    await rows(pool, "update case_file set due_at = now() + interval '1 hour' where id = %s", later)
    assert await claim(pool, "w") == []


async def test_claim__longest_due_first(pool: Pool) -> None:
    names = [await put_case(pool, stage="gather") for _ in range(3)]
    for age, name in enumerate(names):
        await rows(pool, "update case_file set due_at = now() - %s where id = %s", timedelta(minutes=age), name)
    assert await claim(pool, "w", limit=1) == names[2:]


async def test_claim__lease_expired__taken_over_and_the_first_owner_moves_nothing(pool: Pool) -> None:
    case = await put_case(pool, stage="gather")
    assert await claim(pool, "slow", lease=0.05) == [case]
    assert await claim(pool, "fast") == []
    await asyncio.sleep(0.1)
    assert await claim(pool, "fast") == [case]
    await move(pool, "slow", Move(case_id=case, stage="done"))
    assert (await get(pool, case)).stage == "gather"
    await move(pool, "fast", Move(case_id=case, stage="decide"))
    assert (await get(pool, case)).stage == "decide"


async def test_claim__attempts__counted_within_a_stage(pool: Pool) -> None:
    case = await put_case(pool, stage="gather")
    for attempt in (1, 2, 3):
        await claim(pool, "w")
        assert (await get(pool, case)).attempts == attempt
        await move(pool, "w", Move(case_id=case, stage="gather"))
    await claim(pool, "w")
    await move(pool, "w", Move(case_id=case, stage="decide"))
    assert (await get(pool, case)).attempts == 0


async def test_move__delay__not_due_before(pool: Pool) -> None:
    case = await put_case(pool, stage="gather")
    await claim(pool, "w")
    await move(pool, "w", Move(case_id=case, stage="gather", delay=0.3, error={"code": "department-down"}))
    assert (await get(pool, case)).error == {"code": "department-down"}
    assert await claim(pool, "w") == []
    await asyncio.sleep(0.35)
    assert await claim(pool, "w") == [case]


async def test_move__target_and_outcome__kept_until_replaced(pool: Pool) -> None:
    case = await put_case(pool, stage="gather")
    await claim(pool, "w")
    await move(pool, "w", Move(case_id=case, stage="gather", target=3, outcome="approve"))
    await claim(pool, "w")
    await move(pool, "w", Move(case_id=case, stage="seal"))
    row = await get(pool, case)
    assert (row.target, row.verdict_outcome, row.error) == (3, "approve", None)


async def test_wake__held_by_a_worker__left_alone(pool: Pool) -> None:
    free, held, elsewhere = [await put_case(pool, stage=stage) for stage in ("waiting", "waiting", "seal")]
    await rows(
        pool, "update case_file set lease_owner = 'w', lease_until = now() + interval '1 min' where id = %s", held
    )
    async with pool.connection() as connection:
        assert await cases.wake(connection, [free, held, elsewhere], "gather", only=["waiting"]) == [free]
        assert await cases.held(connection, [free, held, elsewhere], "waiting") == [held]
    assert [(await get(pool, case)).stage for case in (free, held, elsewhere)] == ["gather", "waiting", "seal"]


async def test_due_stages__only_those_with_work(pool: Pool) -> None:
    for stage in ("gather", "gather", "waiting", "done"):
        await put_case(pool, stage=stage)
    held = await put_case(pool, stage="decide")
    await rows(pool, "update case_file set lease_until = now() + interval '1 min' where id = %s", held)
    async with pool.connection() as connection:
        assert await cases.due_stages(connection) == ["gather"]


async def test_withdraw__worker_holds_the_case__its_result_no_longer_counts(pool: Pool) -> None:
    case = await put_case(pool, stage="decide")
    await claim(pool, "w", stage="decide")
    async with pool.connection() as connection:
        await cases.withdraw(connection, case)
    await move(pool, "w", Move(case_id=case, stage="seal", target=3))
    row = await get(pool, case)
    assert (row.stage, row.target) == ("seal", 5)


async def test_add_mandate__twice__once_and_in_order(pool: Pool) -> None:
    case = await put_case(pool)
    async with pool.connection() as connection:
        for digest in ("0x01", "0x02", "0x01", "0x03"):
            await cases.add_mandate(connection, case, digest, f"jws {digest}")
        assert (await cases.mandates(connection, [case]))[case] == ["jws 0x01", "jws 0x02", "jws 0x03"]


# ---- questions: outages, answers, asking again


async def question(pool: Pool, case: str, item: str = "E01.handler", *, mandate: str | None = None) -> str:
    digest, name = mandate or "0x" + secrets.token_hex(32), "0x" + secrets.token_hex(32)
    async with pool.connection() as connection:
        await cases.add_mandate(connection, case, digest, "jws")
        await evidence.add_questions(
            connection,
            [
                {
                    "id": name,
                    "case_id": case,
                    "mandate": digest,
                    "item": item,
                    "idx": 0,
                    "seat": 2,
                    "purpose": "decide",
                }
            ],
        )
    return name


async def state(pool: Pool, name: str) -> dict[str, Any]:
    (row,) = await rows(
        pool,
        "select state, tries, reason, extract(epoch from next_at - now())::float8 as wait from question where id = %s",
        name,
    )
    return row


async def outage(pool: Pool, *names: str, window: float = 100.0, first: float = 1.0, most: float = 10.0) -> None:
    async with pool.connection() as connection:
        await evidence.record_outage(connection, names, window=window, first=first, most=most)


async def test_outage__again_and_again__waits_double_up_to_the_longest(pool: Pool) -> None:
    name = await question(pool, await put_case(pool))
    for wait in (1, 2, 4, 8, 10, 10):
        await outage(pool, name)
        found = await state(pool, name)
        assert (found["state"], found["reason"]) == ("due", "unavailable")
        assert wait - 1 < found["wait"] <= wait


async def test_outage__after_very_many_tries__still_a_number(pool: Pool) -> None:
    name = await question(pool, await put_case(pool))
    await rows(pool, "update question set tries = 5000 where id = %s", name)
    await outage(pool, name)
    assert (await state(pool, name))["wait"] <= 10


async def test_outage__longer_than_the_window__given_up(pool: Pool) -> None:
    name, late = await question(pool, await put_case(pool)), await question(pool, await put_case(pool))
    await outage(pool, name, late)
    await rows(pool, "update question set asked_at = asked_at - interval '99 seconds' where id = %s", name)
    await rows(pool, "update question set asked_at = asked_at - interval '101 seconds' where id = %s", late)
    await outage(pool, name, late)
    assert ((await state(pool, name))["state"], (await state(pool, late))["state"]) == ("due", "unavailable")


async def test_questions__due__only_when_their_time_has_come(pool: Pool) -> None:
    case = await put_case(pool)
    name = await question(pool, case)
    async with pool.connection() as connection:
        assert [row.id for row in await evidence.questions(connection, [case], due=True)] == [name]
    await outage(pool, name)
    async with pool.connection() as connection:
        assert await evidence.questions(connection, [case], due=True) == []
        assert [row.tries for row in await evidence.questions(connection, [case])] == [1]
        await evidence.ask_again(connection, [case])
        assert [row.id for row in await evidence.questions(connection, [case], due=True)] == [name]


async def test_questions__of_an_older_mandate__not_asked_any_more(pool: Pool) -> None:
    case = await put_case(pool)
    await question(pool, case)
    newer = await question(pool, case)
    async with pool.connection() as connection:
        assert [row.id for row in await evidence.questions(connection, [case])] == [newer]


async def test_ask_again__some_items__only_those(pool: Pool) -> None:
    case, mandate = await put_case(pool), "0x" + "77" * 32
    one = await question(pool, case, "E01.handler", mandate=mandate)
    other = await question(pool, case, "E02.handler", mandate=mandate)
    answered = {"state": "answered", "attempt": 1, "envelope": {}, "answer_hash": "0x1", "reason": None}
    async with pool.connection() as connection:
        await evidence.record_answers(connection, [{"id": name, **answered} for name in (one, other)])
        await evidence.ask_again(connection, [case], items=["E02.handler"])
    assert [(await state(pool, name))["state"] for name in (one, other)] == ["answered", "due"]


async def test_answers_under__asked_again__the_one_in_the_dossier_is_kept_beside_the_newest(pool: Pool) -> None:
    case = await put_case(pool)
    name = await question(pool, case)
    async with pool.connection() as connection:
        for attempt, digest in enumerate(("0x" + "a1" * 32, "0x" + "a2" * 32, "0x" + "a3" * 32), start=1):
            answer = {"state": "answered", "attempt": attempt, "envelope": {"n": attempt}, "reason": None}
            await evidence.record_answers(connection, [{"id": name, "answer_hash": digest, **answer}])
        leaf = {"case_id": case, "kind": "answer", "salt": "0x" + "5a" * 32, "content": "0x" + "a1" * 32, "sequence": 1}
        await evidence.set_leaves(connection, [leaf])
        found = await evidence.answers_under(connection, case)
    assert [each["n"] for each in found] == [1, 3]


async def test_give_up__material_brought__only_what_is_still_due(pool: Pool) -> None:
    case = await put_case(pool)
    name = await question(pool, case)
    async with pool.connection() as connection:
        await evidence.give_up(connection, case, ["E02.handler"])
    assert (await state(pool, name))["state"] == "due"
    async with pool.connection() as connection:
        await evidence.give_up(connection, case, ["E01.handler"])
    assert (await state(pool, name))["state"] == "brought"


async def test_materials__brought_again__the_last_one_brought_is_the_newest(pool: Pool) -> None:
    case = await put_case(pool)
    for digest in ("0x01", "0x02", "0x01"):
        async with pool.connection() as connection:
            await evidence.add_material(connection, case, "premises-proof", digest, {"3": "AA"})
        await asyncio.sleep(0.002)
    async with pool.connection() as connection:
        found = (await evidence.materials(connection, [case]))[case]
    assert [(row["id"], row["hash"]) for row in found] == [("premises-proof", "0x01")]


async def test_leaves__resealed__salts_kept_and_what_is_not_wanted_goes(pool: Pool) -> None:
    case = await put_case(pool)

    def leaf(content: str, salt: str, sequence: int) -> dict[str, Any]:
        return {"case_id": case, "kind": "answer", "salt": salt, "content": content, "sequence": sequence}

    async with pool.connection() as connection:
        await evidence.set_leaves(connection, [leaf("0x01", "s1", 1), leaf("0x02", "s2", 1)])
        await evidence.set_leaves(connection, [leaf("0x01", "other", 1), leaf("0x02", "other", 1)])
        found = (await evidence.leaves(connection, [case]))[case]
        assert [(row["content"], row["salt"], row["sequence"]) for row in found] == [
            ("0x01", "s1", 1),
            ("0x02", "s2", 1),
        ]
        await evidence.set_leaves(connection, [leaf("0x01", "other", 1)])
        assert [row["salt"] for row in (await evidence.leaves(connection, [case]))[case]] == ["s1"]
        await connection.execute("update case_file set sequence = 1")
        # What has settled stays, wanted or not.
        await evidence.set_leaves(connection, [leaf("0x03", "s3", 2)])
        assert [row["content"] for row in (await evidence.leaves(connection, [case]))[case]] == ["0x01", "0x03"]


# ---- batches and the chain


async def sealed(pool: Pool, *, sequence: int = 1, status: int = 3, root: str = ROOT, stage: str = "confirm") -> str:
    case = await put_case(pool, stage=stage, sequence=sequence - 1, status=0 if sequence == 1 else 1)
    await seal(pool, case, sequence, status, root)
    return case


async def seal(pool: Pool, case: str, sequence: int, status: int, root: str = ROOT) -> None:
    row = {"case_id": case, "sequence": sequence, "status": status, "binding": 1, "root": root, "sheets": []}
    async with pool.connection() as connection:
        await batches.add_transitions(connection, [row])


def said(case: str, sequence: int = 1, status: int = 3, *, root: str = ROOT, block: int = 10) -> SettledRow:
    return SettledRow(case_id=case, sequence=sequence, status=status, root=root, block=block, tx_hash="0xt")


async def settle(pool: Pool, *settled: SettledRow) -> list[dict[str, Any]]:
    async with pool.connection() as connection:
        return await batches.settle(connection, settled)


async def rewind(pool: Pool, block: int) -> None:
    async with pool.connection() as connection:
        await batches.rewind(connection, block)


async def test_settle__sealed__taken_over_once(pool: Pool) -> None:
    case = await sealed(pool)
    assert await settle(pool, said(case)) == [{"id": case, "status": 3, "sequence": 1, "known": True}]
    row = await get(pool, case)
    assert (row.status, row.sequence, row.stage) == (3, 1, "push")
    assert await settle(pool, said(case)) == []


async def test_settle__never_sealed_or_otherwise__not_known(pool: Pool) -> None:
    never = await put_case(pool, stage="gather")
    for case, settled in ((never, said(never)), (other := await sealed(pool), said(other, root=OTHER_ROOT))):
        (moved,) = await settle(pool, settled)
        assert (moved["id"], moved["known"]) == (case, False)
    refused_status = await sealed(pool)
    (moved,) = await settle(pool, said(refused_status, status=4))
    assert not moved["known"]


async def test_settle__cases_of_other_operators__ignored(pool: Pool) -> None:
    assert await settle(pool, said("0x" + "99" * 32)) == []


async def test_settle__two_steps_in_one_reading__the_last_counts(pool: Pool) -> None:
    case = await sealed(pool, status=1)
    await seal(pool, case, 2, 3)
    (moved,) = await settle(pool, said(case, status=1), said(case, 2, 3))
    assert (moved["sequence"], moved["known"]) == (2, True)
    assert (await get(pool, case)).status == 3


async def test_settle__worker_holds_the_case__its_move_no_longer_counts(pool: Pool) -> None:
    case = await sealed(pool)
    await claim(pool, "w", stage="confirm")
    await settle(pool, said(case))
    await move(pool, "w", Move(case_id=case, stage="confirm"))
    assert (await get(pool, case)).stage == "push"


async def test_rewind__settled_in_a_lost_block__back_to_confirm_and_settles_again(pool: Pool) -> None:
    case = await sealed(pool)
    await settle(pool, said(case, block=10))
    await rewind(pool, 10)
    assert (await get(pool, case)).status == 3
    await claim(pool, "w", stage="push")
    await rewind(pool, 9)
    row = await get(pool, case)
    assert (row.status, row.sequence, row.stage) == (0, 0, "confirm")
    # Whoever was about to push what is settled no longer has the case.
    await move(pool, "w", Move(case_id=case, stage="done"))
    assert (await get(pool, case)).stage == "confirm"
    assert [each["known"] for each in await settle(pool, said(case, block=12))] == [True]
    assert (await get(pool, case)).sequence == 1


async def test_rewind__second_step_lost__first_stands(pool: Pool) -> None:
    case = await sealed(pool, status=1)
    await settle(pool, said(case, status=1, block=10))
    await seal(pool, case, 2, 3)
    await settle(pool, said(case, 2, 3, block=20))
    await rewind(pool, 15)
    row = await get(pool, case)
    assert (row.status, row.sequence, row.stage) == (1, 1, "confirm")
    await rewind(pool, 5)
    assert ((await get(pool, case)).status, (await get(pool, case)).sequence) == (0, 0)


async def test_rewind__batches_of_lost_blocks__wait_again(pool: Pool) -> None:
    async with pool.connection() as connection:
        for nonce in (0, 1):
            await batches.add_batch(connection, nonce=nonce, tx_hash=f"0x{nonce}", raw=b"raw")
        receipts = [{"tx_hash": f"0x{nonce}", "block": 10 + nonce, "gas_used": 1} for nonce in (0, 1)]
        await batches.confirm_batches(connection, receipts)
        assert await batches.unconfirmed(connection) == []
        await batches.rewind(connection, 10)
        assert [row["tx_hash"] for row in await batches.unconfirmed(connection)] == ["0x1"]


async def test_refuse__ledger_said_no__sealed_anew_unless_settled(pool: Pool) -> None:
    waiting, settled, elsewhere = await sealed(pool), await sealed(pool), await sealed(pool, stage="gather")
    await settle(pool, said(settled))
    refused = [{"case_id": case, "sequence": 1, "reason": "not-signed"} for case in (waiting, settled, elsewhere)]
    async with pool.connection() as connection:
        assert await batches.refuse(connection, refused) == [waiting]
    row = await get(pool, waiting)
    assert (row.stage, row.error) == ("seal", {"code": "not-signed"})
    assert [(await get(pool, case)).stage for case in (settled, elsewhere)] == ["push", "gather"]


async def test_add_transitions__resealed__replaces_unless_settled(pool: Pool) -> None:
    case = await sealed(pool)
    await seal(pool, case, 1, 3, OTHER_ROOT)
    async with pool.connection() as connection:
        assert [row["root"] for row in (await batches.transitions(connection, [case]))[case]] == [OTHER_ROOT]
    await settle(pool, said(case, root=OTHER_ROOT))
    await seal(pool, case, 1, 3, ROOT)
    async with pool.connection() as connection:
        assert [row["root"] for row in (await batches.transitions(connection, [case]))[case]] == [OTHER_ROOT]


async def test_next_nonce__stored_confirmed_and_on_chain__never_one_twice(pool: Pool) -> None:
    async with pool.connection() as connection:
        assert await batches.next_nonce(connection, 0) == 0
        assert await batches.next_nonce(connection, 7) == 7
        await batches.add_batch(connection, nonce=7, tx_hash="0x7", raw=b"")
        assert await batches.next_nonce(connection, 7) == 8
        await batches.confirm_batches(connection, [{"tx_hash": "0x7", "block": 1, "gas_used": 1}])
        # The block is gone from the chain and we have not seen it yet: 7 will be sent again.
        assert await batches.next_nonce(connection, 7) == 8
        lost = await batches.add_batch(connection, nonce=8, tx_hash="0x8", raw=b"")
        await batches.abandon(connection, [lost])
        assert await batches.next_nonce(connection, 7) == 8


async def test_abandon__batch_can_never_land__its_cases_are_sealed_anew(pool: Pool) -> None:
    carried, settled = await sealed(pool), await sealed(pool)
    async with pool.connection() as connection:
        batch = await batches.add_batch(connection, nonce=0, tx_hash="0x0", raw=b"")
        await batches.assign(connection, batch, [(carried, 1), (settled, 1)])
        await batches.settle(connection, [said(settled)])
        await batches.abandon(connection, [batch])
        assert await batches.unconfirmed(connection) == []
    assert ((await get(pool, carried)).stage, (await get(pool, settled)).stage) == ("seal", "push")


async def test_heads__larger_ones_win_and_anchored_ones_rest(pool: Pool) -> None:
    def signed(seat: int, size: int) -> dict[str, Any]:
        return {"seat": seat, "size": size, "root": to_hex(bytes([size] * 32)), "signature": "0x"}

    async with pool.connection() as connection:
        await batches.keep_heads(connection, [signed(1, 3), signed(1, 5), signed(2, 4)])
        await batches.keep_heads(connection, [signed(1, 4)])
        assert [(row["seat"], row["size"]) for row in await batches.heads_to_anchor(connection)] == [(1, 5), (2, 4)]
        await batches.anchored(connection, [{"seat": 1, "size": 5, "root": "0x05"}])
        await batches.anchored(connection, [{"seat": 1, "size": 3, "root": "0x03"}])
        assert [row["seat"] for row in await batches.heads_to_anchor(connection)] == [2]


async def test_blocks__remembered_newest_first_and_not_for_ever(pool: Pool) -> None:
    blocks = [{"number": n, "hash": f"h{n}", "parent": f"h{n - 1}"} for n in range(400)]
    async with pool.connection() as connection:
        await batches.add_blocks(connection, blocks)
        assert [row["number"] for row in await batches.last_blocks(connection, 3)] == [399, 398, 397]
        kept = await (await connection.execute("select count(*) as n from chain_block")).fetchone()
        assert kept == {"n": 257}
        await batches.rewind(connection, 390)
        assert [row["number"] for row in await batches.last_blocks(connection, 1)] == [390]


async def test_cursor__set__read_back(pool: Pool) -> None:
    async with pool.connection() as connection:
        assert await batches.cursor_value(connection, "officers:3") == 0
        await batches.set_cursor(connection, "officers:3", 12)
        assert await batches.cursor_value(connection, "officers:3") == 12
