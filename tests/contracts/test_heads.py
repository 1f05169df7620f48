"""CaseLedger.settle: anchoring log heads. The tree is case_ledger.tree."""

from __future__ import annotations

import pytest
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
        world.head(3, log.head(), log.head(), []),
        world.head(3, shorter, log.head(), log.consistency(4)),
        world.head(3, NOTHING, NOTHING, []),
    ]
    outcome = world.settle(heads=heads)
    assert outcome.heads == [(3, size, "Stale") for size in (4, 7, 7, 0)]
    assert outcome.conflicts == []


def test_head__same_size_another_root__conflict_is_told(world: World) -> None:
    log = anchor(world, 7)
    forged = random_bytes32("forged")
    outcome = world.settle(heads=[world.head(3, log.head(), (7, forged), [])])
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
        world.head(3, (7, random_bytes32("other")), new, log.consistency(7)),
        world.head(3, NOTHING, new, []),
    ]
    assert world.settle(heads=heads).heads == [(3, 10, "NotFromAnchored")] * 3
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
