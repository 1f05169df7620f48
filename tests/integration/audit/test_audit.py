"""The query log's audit over a real gateway, its real store and a real chain: an honest one passes, a cheater is caught."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from orchestrator.audit.evidence import Kind
from orchestrator.domain.canonical import from_hex, keccak, to_hex
from orchestrator.protocol.keyset import SeatKeys, SigningAccount
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.sheet import head_digest, rotation_digest
from orchestrator.verify.report import Mark
from tests.support.auditing import Audited
from tests.support.cheater import Garbled, an_entry, change_text, entries_of, relog, rewrite, shrink
from tests.support.gateway import MARKET
from tests.support.onchain import ask

pytestmark = pytest.mark.anyio


def kinds(lies: list[Any]) -> set[Kind]:
    return {lie.kind for lie in lies}


# ---- an honest department


async def test_follow__honest__in_order_from_head_to_head(department: Audited) -> None:
    await department.ask(2)
    await department.anchor()
    first = await department.in_order()
    assert (first.size, first.read) == (4, 4)
    await department.ask(3)
    await department.anchor()
    await department.ask()
    second = await department.in_order(promises=department.promises)
    assert (second.size, second.read, second.kept) == (12, 8, 10)
    assert "the log of 2 answers is still to be anchored" in "\n".join(second.report.lines())
    assert (await department.in_order()).read == 0


async def test_follow__nothing_asked_yet__in_order_and_said(department: Audited) -> None:
    done = await department.follow()
    assert (done.size, done.lies, department.memory) == (0, (), None)
    assert "no head is anchored yet" in "\n".join(done.report.lines())


async def test_follow__chain_key_rotated__each_head_by_the_key_of_its_block(department: Audited) -> None:
    await department.ask(2)
    await department.anchor()
    await department.ask()
    early = await department.operator.head(await department.chain.view.seat(MARKET))
    await department.in_order()
    await rotate(department)
    await department.ask()
    await department.anchor()
    done = await department.in_order(promises=department.promises, heads=[early])
    assert (done.kept, len((await department.word()).chain.keys)) == (8, 2)


async def test_follow__rotated_but_the_gateway_has_the_old_key__to_be_asked_again(department: Audited) -> None:
    await department.ask()
    keys = department.seat.keys
    await rotate(department)
    department.take(keys)
    done = await department.follow()
    assert (done.report.conclusion, done.lies) == (Mark.UNCHECKED, ())


async def test_follow__small_or_late_head_brought_to_the_ledger__a_statement_that_fits(department: Audited) -> None:
    await department.ask()
    early = await department.operator.head(await department.chain.view.seat(MARKET))
    await department.ask(2)
    await department.anchor()
    await department.anchor(early, ())
    outcomes = [str(head.outcome) for head in (await department.word()).chain.heads]
    assert outcomes == ["anchored", "refused"]
    await department.in_order()


# ---- a rewrite


@pytest.mark.parametrize("batches", [2, 3])  # four leaves are a full tree, of which proofs leave out the root
async def test_follow__anchored_entry_rewritten__caught_and_proven(department: Audited, batches: int) -> None:
    await department.ask(batches)
    await department.anchor()
    rewrite(department.seat, 1)
    assert kinds(await department.caught()) == {Kind.FORK}  # nothing came since: one size, two roots
    await department.ask()
    (lie,) = await department.caught(promises=())
    assert lie.kind is Kind.REWRITE
    assert lie.nodes


@pytest.mark.parametrize("batches", [2, 3])
async def test_follow__entry_rewritten_that_only_this_auditor_saw__caught_and_proven(
    department: Audited, batches: int
) -> None:
    await department.ask(batches)
    await department.in_order()
    rewrite(department.seat, 2)
    await department.ask()
    for _ in range(2):  # the memory of what was in order stays
        assert kinds(await department.caught()) == {Kind.REWRITE}


async def test_follow__text_of_an_entry_changed__caught_by_its_place(department: Audited) -> None:
    await department.ask(3)
    await department.anchor()
    change_text(department.seat, 4)
    done = await department.follow()
    (lie,) = done.lies
    assert (lie.kind, lie.proven, done.memory) == (Kind.REWRITE, False, None)
    assert "entry 4 as the gateway gives it" in lie.en
    assert (await department.checked(lie)).conclusion is Mark.UNCHECKED  # nobody signs what is only served


async def test_follow__rewritten_after_a_head_that_the_ledger_refused__that_head_tells(department: Audited) -> None:
    await department.ask(2)
    await department.anchor()
    await department.ask()
    signed = await department.operator.head(await department.chain.view.seat(MARKET))
    await department.anchor(signed, [secrets.token_bytes(32)])
    relog(department.seat, [*entries_of(department.seat)[:-1], an_entry(), an_entry()])
    (lie,) = await department.caught()
    assert lie.kind is Kind.REWRITE
    assert "refused by the ledger" in lie.en


# ---- a shrink


async def test_follow__anchored_entries_forgotten__caught_and_proven(department: Audited) -> None:
    await department.ask(3)
    await department.anchor()
    shrink(department.seat, 5)
    assert kinds(await department.caught()) == {Kind.SHRINK}


async def test_follow__entries_forgotten_that_were_seen__caught_and_proven(department: Audited) -> None:
    await department.ask(3)
    await department.in_order()
    shrink(department.seat, 2)
    assert kinds(await department.caught()) == {Kind.SHRINK}
    shrink(department.seat, 0)
    assert kinds(await department.caught()) == {Kind.SHRINK}


# ---- a fork


async def test_follow__another_log_for_auditors__caught_by_what_the_asker_got(
    both: tuple[Audited, Audited],
) -> None:
    department, auditors = both
    await department.ask(2)
    await auditors.ask(2)
    await auditors.anchor()
    await auditors.in_order()
    answers = department.promises[-1:]
    assert kinds(await auditors.caught(promises=answers)) == {Kind.FORK, Kind.PROMISE}
    kept = answers[0].place.head
    assert kept is not None
    assert kinds(await auditors.caught(heads=[kept])) == {Kind.FORK}


async def test_follow__both_brought_to_the_ledger__its_event_is_the_proof(
    both: tuple[Audited, Audited],
) -> None:
    department, other = both
    await department.ask(2)
    await other.ask(2)
    await department.anchor()
    await other.anchor(proof=())
    assert [str(head.outcome) for head in (await department.word()).chain.heads] == ["anchored", "conflicted"]
    assert kinds(await department.caught()) == {Kind.FORK}
    await department.ask()
    assert kinds(await department.caught()) == {Kind.FORK}
    assert department.memory is not None  # what it shows is in order all the same, and remembered
    assert department.memory.newest.head.size == 6


# ---- a promise not kept


async def test_follow__answered_then_taken_out_of_the_log__caught_and_proven(department: Audited) -> None:
    await department.ask(2)
    before = entries_of(department.seat)
    await department.ask()
    relog(department.seat, before)
    await department.ask()  # by an asker who keeps nothing
    await department.ask()
    await department.anchor()
    (lie,) = await department.caught(promises=department.promises[4:6])
    assert lie.kind is Kind.PROMISE
    assert "and 1 more, is not in the log of 8 (anchored" in lie.en
    await department.in_order(promises=department.promises[:4])


async def test_follow__answered_then_taken_out_and_nothing_since__caught_and_proven(department: Audited) -> None:
    await department.ask(2)
    before = entries_of(department.seat)
    await department.ask()
    relog(department.seat, before)
    await department.anchor()
    assert kinds(await department.caught(promises=department.promises)) == {Kind.PROMISE}


async def test_follow__head_never_anchored__caught_when_the_time_is_over(department: Audited) -> None:
    await department.ask()
    await department.anchor()
    await department.ask()
    await department.in_order(promises=department.promises, within=600)
    done = await department.follow(promises=department.promises[2:], within=600, later=-5)
    assert done.lies == ()
    late = await department.follow(promises=department.promises, within=60, later=120)
    assert kinds(list(late.lies)) == {Kind.PROMISE}
    assert len(late.lies) == 2  # the answers, and what was shown to this auditor itself
    for lie in late.lies:
        assert (await department.checked(lie, now=int(time.time()) + 120)).conclusion is Mark.PROVEN
        assert (await department.checked(lie)).conclusion is Mark.WRONG  # not yet
    await department.anchor()
    for lie in late.lies:
        assert (await department.checked(lie, now=int(time.time()) + 120)).conclusion is Mark.WRONG  # by now it is


async def test_follow__answer_without_the_head_that_came_along__looked_for_where_it_says(department: Audited) -> None:
    await department.ask(2)
    await department.anchor()
    bare = [replace(each, place=each.place.model_copy(update={"head": None})) for each in department.promises]
    done = await department.follow(promises=bare)
    assert (done.report.conclusion, done.kept, done.lies) == (Mark.UNCHECKED, 4, ())
    moved = replace(bare[0], place=bare[0].place.model_copy(update={"index": 1}))
    (lie,) = (await department.follow(promises=[moved])).lies
    assert (lie.kind, lie.proven) == (Kind.PROMISE, False)


# ---- a gateway that shows nothing, or nothing good


@pytest.mark.parametrize(
    ("path", "bend"),
    [
        ("consistency", lambda _: {"proof": [to_hex(secrets.token_bytes(32))]}),
        ("consistency", lambda _: {"proof": "none"}),
        ("consistency", lambda _: 422),
    ],
)
async def test_follow__proof_owed_and_not_given__caught_if_not_proven(
    department: Audited, path: str, bend: Any
) -> None:
    await department.ask(2)
    await department.in_order()
    await department.ask()
    inner = httpx.ASGITransport(app=department.gateway.app)
    department.transport = Garbled(inner, **{path: bend})
    done = await department.follow()
    (lie,) = done.lies
    assert (lie.kind, lie.proven) == (Kind.REWRITE, False)
    assert lie.asked is not None
    assert lie.asked.endswith("/log/consistency?first=4&second=6")
    assert (await department.checked(lie)).conclusion is Mark.UNCHECKED


@pytest.mark.parametrize("bend", [lambda _: {"entries": []}, lambda _: {"entries": [1]}, lambda _: 404])
async def test_follow__entries_withheld__caught(department: Audited, bend: Any) -> None:
    await department.ask(2)
    department.transport = Garbled(httpx.ASGITransport(app=department.gateway.app), entries=bend)
    assert kinds(list((await department.follow()).lies)) == {Kind.REWRITE}


async def test_follow__head_of_yesterday_or_of_another_key__not_taken(department: Audited) -> None:
    await department.ask()
    inner = httpx.ASGITransport(app=department.gateway.app)
    done = await department.follow(later=3600)
    assert (done.report.conclusion, done.size) == (Mark.WRONG, None)
    other = department.chain.consortium.keys[0].chain

    def forged(content: dict[str, Any]) -> dict[str, Any]:
        head = SignedHead.parse(content)
        digest = head_digest(department.chain.view.domain("CaseLedger"), MARKET, head.size, from_hex(head.root))
        return content | {"signature": to_hex(other.sign_hash(digest))}

    for bend in (forged, lambda content: content | {"statement": "a.b.c"}, lambda content: {}, lambda _: 404):
        department.transport = Garbled(inner, head=bend)
        done = await department.follow()
        assert (done.report.conclusion, done.size, done.memory) == (Mark.WRONG, None, None)


async def test_follow__gateway_silent__unchecked_and_no_lie(department: Audited) -> None:
    await department.ask(2)
    await department.anchor()
    await department.in_order()
    await department.ask()
    inner = httpx.ASGITransport(app=department.gateway.app)
    for silent in ({"head": lambda _: 503}, {"entries": lambda _: 503}):
        department.transport = Garbled(inner, **silent)
        done = await department.follow()
        assert (done.report.conclusion, done.lies, done.memory) == (Mark.UNCHECKED, (), None), silent
    department.transport = None
    await department.in_order()


# ---- evidence


async def test_check__evidence_altered__proves_nothing(department: Audited) -> None:
    await department.ask(3)
    await department.anchor()
    rewrite(department.seat, 1)
    await department.ask()
    (lie,) = await department.caught()
    old, new = lie.statements
    other = secrets.token_bytes(32)
    for statements in (
        (replace(old, root=other), new),
        (old, replace(new, root=other)),
        (old, replace(new, size=new.size + 1)),
        (old, replace(new, signature=old.signature)),
        (replace(old, on_chain=None, signature=None), new),
    ):
        altered = replace(lie, statements=statements)
        assert (await department.checked(altered)).conclusion is Mark.WRONG, statements
    for changes in ({"nodes": (other,)}, {"nodes": ()}, {"statements": (new, old)}):
        assert (await department.checked(replace(lie, **changes))).conclusion is not Mark.PROVEN, changes


async def rotate(department: Audited) -> None:
    """The department takes a new chain key, on chain and in its gateway."""
    chain, keys = department.chain, department.seat.keys
    new = SeatKeys(chain=SigningAccount.generate(), evidence=keys.evidence, request=keys.request, sealing=keys.sealing)
    seat = await chain.view.seat(MARKET)
    block = int(ask(chain.node_url, "eth_blockNumber"), 16) + 2
    domain, keyset = chain.view.domain("Consortium"), seat.keyset.document()
    digest = rotation_digest(domain, MARKET, new.chain.address, keccak(keyset), block, 1)
    signatures = [key.chain.sign_hash(digest) for key in (keys, new)]
    await chain.sender.send("Consortium", "rotate", MARKET, new.chain.address, keyset, block, *signatures)
    ask(chain.node_url, "anvil_mine", "0x2")
    department.take(new)
