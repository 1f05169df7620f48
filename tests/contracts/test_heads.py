"""CaseLedger.settle: anchoring log heads. The tree is case_ledger.tree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logs import GrowingLog
from world import ACCEPTED, World, move, random_bytes32, seat_key

NOTHING = (0, bytes(32))


def grow(world: World, log: GrowingLog, leaves: int, seat: int = 3) -> tuple:
    """Appends to a log and states the new head with its proof."""
    old = log.head()
    log.append(leaves)
    return world.head(seat, old, log.head(), log.consistency(old[0]))


def anchor(world: World, leaves: int, seat: int = 3) -> GrowingLog:
    """A log of that many leaves whose head is anchored."""
    log = GrowingLog(seat)
    assert len(world.settle(heads=[grow(world, log, leaves, seat)]).anchored) == 1
    return log


def test_head__first_of_a_seat__anchored(world: World) -> None:
    log = GrowingLog("a")
    outcome = world.settle(heads=[grow(world, log, 5)])
    assert outcome.anchored == [(3, *log.head())]
    assert outcome.heads == outcome.conflicts == []
    assert tuple(world.ledger.headOf(3)) == (5, log.head()[1][:26])


def test_head__first_of_a_seat_with_any_old_root__anchored(world: World) -> None:
    head = world.head(3, (0, random_bytes32("not looked at")), (5, random_bytes32("r")), [])
    assert len(world.settle(heads=[head]).anchored) == 1


@pytest.mark.parametrize(("old", "new"), [(1, 2), (4, 5), (5, 8), (7, 20), (8, 16), (31, 33), (100, 300)])
def test_head__extends_the_anchored_one__anchored(world: World, old: int, new: int) -> None:
    log = anchor(world, old)
    outcome = world.settle(heads=[grow(world, log, new - old)])
    assert outcome.anchored == [(3, *log.head())]
    assert tuple(world.ledger.headOf(3)) == (new, log.head()[1][:26])


def test_head__log_of_a_million_leaves__anchored(world: World) -> None:
    log = GrowingLog("big", 1_000_003)
    assert len(world.settle(heads=[world.head(3, NOTHING, log.head(), [])]).anchored) == 1
    outcome = world.settle(heads=[grow(world, log, 171)])
    assert outcome.anchored == [(3, *log.head())]


def test_head__several_of_one_seat_and_of_others_in_one_batch__each_anchored_in_order(world: World) -> None:
    one, other = GrowingLog("one"), GrowingLog("other")
    heads = [grow(world, one, 3), grow(world, other, 2, seat=4), grow(world, one, 4)]
    assert [(seat, size) for seat, size, _ in world.settle(heads=heads).anchored] == [(3, 3), (4, 2), (3, 7)]


@pytest.mark.parametrize("size", [2**48, 2**48 + 1, 2**63, 2**64 - 1])
def test_head__size_of_2_48_or_more__refused(world: World, size: int) -> None:
    outcome = world.settle(heads=[world.head(3, NOTHING, (size, random_bytes32("r")), [])])
    assert outcome.heads == [(3, size, "SizeTooLarge")]


def test_head__largest_size__anchored(world: World) -> None:
    outcome = world.settle(heads=[world.head(3, NOTHING, (2**48 - 1, random_bytes32("r")), [])])
    assert [size for _, size, _ in outcome.anchored] == [2**48 - 1]


def test_head__seat_not_active__refused(world: World) -> None:
    world.consortium.suspend(3, sender=world.council)
    new = (5, random_bytes32("r"))
    heads = [world.head(3, NOTHING, new, []), world.head(99, NOTHING, new, [], key=seat_key(99))]
    heads.append((99, *NOTHING, *new, [], bytes(65)))
    outcome = world.settle(heads=heads)
    assert outcome.heads == [(seat, 5, "SeatNotActive") for seat in (3, 99, 99)]


def test_head__signature_over_something_else__refused(world: World) -> None:
    new = (5, random_bytes32("r"))
    wrong = [
        world.head(4, NOTHING, new, [], key=world.keys[3])[6],
        world.head(3, NOTHING, (6, new[1]), [])[6],
        world.head(3, NOTHING, (5, random_bytes32("s")), [])[6],
        world.head(3, NOTHING, new, [], key=world.keys[4])[6],
        world.head(3, NOTHING, new, [], chainId=world.chain_id + 1)[6],
        world.head(3, NOTHING, new, [], verifyingContract=world.consortium.address)[6],
        b"",
        bytes(65),
    ]
    outcome = world.settle(heads=[(3, *NOTHING, *new, [], signature) for signature in wrong])
    assert outcome.heads == [(3, 5, "WrongSignature")] * len(wrong)


def test_head__not_larger_than_the_anchored__stale(world: World) -> None:
    log = anchor(world, 7)
    shorter = log.head(4)
    heads = [
        world.head(3, NOTHING, shorter, []),
        world.head(3, log.head(), shorter, []),
        world.head(3, log.head(), log.head(), []),
        world.head(3, shorter, log.head(), log.consistency(4)),
        world.head(3, NOTHING, NOTHING, []),
    ]
    outcome = world.settle(heads=heads)
    assert outcome.heads == [(3, size, "Stale") for size in (4, 4, 7, 7, 0)]
    assert outcome.conflicts == []


def test_head__same_size_another_root__conflict_is_told(world: World) -> None:
    log = anchor(world, 7)
    forged = random_bytes32("forged")
    for claimed in (log.head(), log.head(4)):
        outcome = world.settle(heads=[world.head(3, claimed, (7, forged), [])])
        assert (outcome.conflicts, outcome.heads, outcome.anchored) == ([(3, 7, forged)], [], [])
    assert tuple(world.ledger.headOf(3)) == (7, log.head()[1][:26])


def test_head__empty_log_before_the_first__no_conflict(world: World) -> None:
    outcome = world.settle(heads=[world.head(3, NOTHING, (0, random_bytes32("empty")), [])])
    assert (outcome.conflicts, outcome.heads) == ([], [(3, 0, "Stale")])


def test_head__conflict_that_the_seat_did_not_sign__only_refused(world: World) -> None:
    log = anchor(world, 7)
    unsigned = world.head(3, log.head(), (7, random_bytes32("forged")), [], key=world.keys[4])
    outcome = world.settle(heads=[unsigned])
    assert (outcome.conflicts, outcome.heads) == ([], [(3, 7, "WrongSignature")])


def test_head__old_head_is_not_the_anchored__refused(world: World) -> None:
    log = anchor(world, 7)
    anchored = log.head()
    log.append(3)
    new = log.head()
    heads = [
        world.head(3, log.head(8), new, log.consistency(8)),
        world.head(3, (8, anchored[1]), new, log.consistency(8)),
        world.head(3, (7, random_bytes32("other")), new, log.consistency(7)),
        world.head(3, NOTHING, new, []),
    ]
    assert world.settle(heads=heads).heads == [(3, 10, "NotFromAnchored")] * 4
    assert len(world.settle(heads=[world.head(3, anchored, new, log.consistency(7))]).anchored) == 1


def test_head__proof_does_not_hold__refused(world: World) -> None:
    log = anchor(world, 7)
    anchored = log.head()
    log.append(3)
    proof = log.consistency(7)
    wrong = [[], proof[:-1], [*proof, proof[-1]], [*proof[:-1], random_bytes32("x")], [bytes(32)] * 300]
    heads = [world.head(3, anchored, log.head(), nodes) for nodes in wrong]
    other = GrowingLog("another log")
    other.append(10)
    heads.append(world.head(3, anchored, other.head(), other.consistency(7)))
    assert world.settle(heads=heads).heads == [(3, 10, "Inconsistent")] * len(heads)
    assert tuple(world.ledger.headOf(3)) == (7, anchored[1][:26])


def test_head__first_with_a_proof__refused(world: World) -> None:
    head = world.head(3, NOTHING, (5, random_bytes32("r")), [bytes(32)])
    assert world.settle(heads=[head]).heads == [(3, 5, "Inconsistent")]


def test_head__bad_ones_among_good__the_good_are_anchored(world: World) -> None:
    good = grow(world, GrowingLog("good"), 3, seat=4)
    bad = world.head(3, NOTHING, (2**64 - 1, random_bytes32("r")), [])
    one = move("a", ACCEPTED)
    outcome = world.settle([one], [world.sheet(3, [one])], [bad, good])
    assert outcome.settled == [one.tuple]
    assert (len(outcome.heads), len(outcome.anchored)) == (1, 1)


def test_headOf__seat_without_a_head__zero(bare: World) -> None:
    assert tuple(bare.ledger.headOf(200)) == (0, bytes(26))


def included(world: World, log: GrowingLog, place: int, **changes: Any) -> bool:
    """Whether the ledger finds a leaf under seat 3's anchored head; `changes` spoils what is handed in."""
    size, root = log.head()
    given = {
        "seat": 3,
        "size": size,
        "root": root,
        "index": place,
        "leaf": log.leaf(place),
        "proof": log.inclusion(place),
    } | changes
    return bool(world.ledger.verifyLogEntry(*given.values()))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 33])
def test_verifyLogEntry__every_leaf_under_the_anchored_head__holds(world: World, size: int) -> None:
    log = anchor(world, size)
    assert all(included(world, log, index) for index in range(size))


def test_verifyLogEntry__log_of_a_million_leaves__holds(world: World) -> None:
    log = GrowingLog("big", 1_000_003)
    log.append(3)
    assert len(world.settle(heads=[world.head(3, NOTHING, log.head(), [])]).anchored) == 1
    assert included(world, log, 1_000_004)


def test_verifyLogEntry__head_is_not_the_anchored_one__does_not_hold(world: World) -> None:
    log = anchor(world, 5)
    size, root = log.head()
    assert not included(world, log, 2, seat=4)
    assert not included(world, log, 2, size=size + 1)
    assert not included(world, log, 2, root=random_bytes32("other"))
    world.settle(heads=[grow(world, log, 1)])
    assert not included(world, log, 2, size=size, root=root, proof=log.inclusion(2, size))
    assert not included(world, log, 2, size=size), "a size for which the path has the same shape"
    assert included(world, log, 2)


def test_verifyLogEntry__another_log_as_long_as_the_anchored__does_not_hold(world: World) -> None:
    anchor(world, 5)
    other = GrowingLog("other")
    other.append(5)
    assert not included(world, other, 2)


def test_verifyLogEntry__nothing_anchored__does_not_hold(world: World) -> None:
    assert not world.ledger.verifyLogEntry(3, 0, bytes(32), 0, bytes(32), [])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=st.data())
def test_verifyLogEntry__anything_changed__does_not_hold(world: World, data: st.DataObject) -> None:
    if not world.ledger.headOf(3).size:
        anchor(world, 21)
    log = GrowingLog(3)
    log.append(21)
    index = data.draw(st.integers(0, 20))
    proof = log.inclusion(index)
    match data.draw(st.sampled_from(["index", "leaf", "node", "cut", "longer", "beyond"])):
        case "index":
            spoilt: dict[str, Any] = {"index": data.draw(st.integers(0, 20).filter(lambda one: one != index))}
        case "leaf":
            spoilt = {"leaf": log.leaf((index + 1) % 21)}
        case "node":
            place = data.draw(st.integers(0, len(proof) - 1))
            spoilt = {"proof": [*proof[:place], random_bytes32("node"), *proof[place + 1 :]]}
        case "cut":
            spoilt = {"proof": data.draw(st.sampled_from([proof[1:], proof[:-1], []]))}
        case "longer":
            spoilt = {"proof": data.draw(st.sampled_from([[*proof, proof[-1]], [proof[0], *proof]]))}
        case _:
            # The last place's path fits no other place, however far beyond the end.
            index, proof = 20, log.inclusion(20)
            spoilt = {"index": data.draw(st.integers(21, 2**64 - 1))}
    assert included(world, log, index)
    assert not included(world, log, index, **spoilt)


def test_verifyExtension__heads_of_one_log__holds(world: World) -> None:
    log = GrowingLog("any")
    log.append(40)
    for old, new in [(0, 1), (1, 2), (8, 9), (8, 16), (7, 40), (39, 40)]:
        assert world.ledger.verifyExtension(*log.head(old), *log.head(new), log.consistency(old, new))


def test_verifyExtension__heads_of_two_logs__does_not_hold(world: World) -> None:
    log, other = GrowingLog("one"), GrowingLog("other")
    log.append(9)
    other.append(9)
    verify = world.ledger.verifyExtension
    assert not verify(*log.head(4), *other.head(9), other.consistency(4))
    assert not verify(*log.head(4), *other.head(9), log.consistency(4))
    assert not verify(*log.head(9), *log.head(4), log.consistency(4))
    assert not verify(*log.head(9), *log.head(9), [])
