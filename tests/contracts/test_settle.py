"""CaseLedger.settle: transitions and sheets. The tree is case_ledger.tree; heads are in test_heads.py."""

from __future__ import annotations

from typing import Any

import pytest
from world import (
    ACCEPTED,
    APPROVED,
    CASE_SUSPENDED,
    FAR,
    NONE,
    REFUSED,
    RETURNED,
    REVOKED,
    WITHDRAWN,
    Move,
    World,
    move,
    random_bytes32,
    reverts,
    seat_key,
    step,
)

MOVES = {
    NONE: {ACCEPTED, RETURNED, APPROVED, REFUSED, WITHDRAWN},
    ACCEPTED: {RETURNED, APPROVED, REFUSED, WITHDRAWN},
    RETURNED: {ACCEPTED, APPROVED, REFUSED, WITHDRAWN},
    APPROVED: {REVOKED, CASE_SUSPENDED},
    REFUSED: set(),
    WITHDRAWN: set(),
    REVOKED: set(),
    CASE_SUSPENDED: {APPROVED, REVOKED},
}
"""I2, as the architecture states it."""
PATHS = {
    NONE: [],
    ACCEPTED: [ACCEPTED],
    RETURNED: [RETURNED],
    APPROVED: [APPROVED],
    REFUSED: [REFUSED],
    WITHDRAWN: [WITHDRAWN],
    REVOKED: [APPROVED, REVOKED],
    CASE_SUSPENDED: [APPROVED, CASE_SUSPENDED],
}
"""The shortest way to each status."""


def signed_by_all(world: World, batch: list[Move]) -> list[Any]:
    """Sheets of both approvers of binding 1 over everything."""
    return [world.sheet(seat, batch) for seat in (3, 4)]


def reasons(world: World, *batch: Move) -> list[str]:
    """Why the transitions of a fully signed batch were refused, "" for those that settled."""
    outcome = world.settle(batch, signed_by_all(world, list(batch)))
    assert outcome.sheets == []
    refused = {(case, at): reason for case, at, reason in outcome.refused}
    assert len(outcome.settled) + len(outcome.refused) == len(batch)
    return [refused.get((one.case, one.step), "") for one in batch]


# what settles


def test_settle__all_approvers_signed__case_approved(world: World) -> None:
    one = move("a", APPROVED)
    outcome = world.settle([one], signed_by_all(world, [one]))
    assert outcome.settled == [one.tuple]
    assert outcome.refused == outcome.sheets == []
    assert world.ledger.statusOf(one.case) == APPROVED
    status, sequence, binding, commitment = world.ledger.caseOf(one.case)
    assert (status, sequence, binding) == (APPROVED, 1, 1)
    assert commitment != 0


def test_settle__nothing_given__nothing_happens(world: World) -> None:
    outcome = world.settle()
    assert (outcome.settled, outcome.refused, outcome.sheets, outcome.anchored) == ([], [], [], [])


def test_settle__several_steps_of_one_case_in_one_batch__settle_in_order(world: World) -> None:
    batch = [move("a", ACCEPTED, 1), move("a", RETURNED, 2), move("a", APPROVED, 3), move("a", REVOKED, 4)]
    assert reasons(world, *batch) == ["", "", "", ""]
    assert tuple(world.ledger.caseOf(batch[0].case))[:3] == (REVOKED, 4, 1)


def test_settle__two_sheets_of_one_seat__both_count(world: World) -> None:
    batch = [move("a", APPROVED), move("b", APPROVED)]
    sheets = [world.sheet(3, batch, [0]), world.sheet(3, batch, [1]), world.sheet(4, batch)]
    assert len(world.settle(batch, sheets).settled) == 2


def test_settle__same_sheet_twice__counts_once_and_harms_nothing(world: World) -> None:
    batch = [move("a", APPROVED)]
    sheet = world.sheet(3, batch)
    assert world.settle(batch, [sheet, sheet]).reasons == ["NotSigned"]
    assert len(world.settle(batch, [sheet, sheet, world.sheet(4, batch)]).settled) == 1


def test_settle__bindings_interleaved__each_by_its_own_approvers(world: World) -> None:
    other = world.bind(approvers=[5], providers=[])
    batch = [move(i, APPROVED, binding=(1, other)[i % 2]) for i in range(5)]
    sheets = [world.sheet(3, batch, [0, 2, 4]), world.sheet(4, batch, [0, 2, 4]), world.sheet(5, batch, [1, 3])]
    assert len(world.settle(batch, sheets).settled) == 5


def test_settle__scattered_places__each_sheet_counts_where_it_covers(world: World) -> None:
    batch = [move(i, ACCEPTED) for i in range(40)]
    covered = [0, 1, 15, 16, 17, 31, 32, 39]
    outcome = world.settle(batch, [world.sheet(3, batch, covered)])
    assert outcome.settled == [batch[i].tuple for i in covered]
    assert outcome.reasons == ["NotSigned"] * 32


def test_settle__only_the_last_of_256_covered__it_alone_settles(world: World) -> None:
    batch = [move(i, ACCEPTED) for i in range(256)]
    outcome = world.settle(batch, [world.sheet(3, batch, [255])])
    assert outcome.settled == [batch[255].tuple]
    assert len(outcome.refused) == 255


def test_settle__more_than_256_transitions__reverts(world: World) -> None:
    batch = [move(i, ACCEPTED) for i in range(257)]
    with reverts("CaseLedger_BatchTooLarge", transitions=257):
        world.settle(batch)


# I2


@pytest.mark.parametrize("source", range(8))
def test_settle__every_pair_of_statuses__only_the_allowed_moves(world: World, source: int) -> None:
    """Each target on a case of its own, all in one batch, everything signed."""
    ways = [[move((source, to), at, i) for i, at in enumerate(PATHS[source], 1)] for to in range(1, 8)]
    last = [move((source, to), to, len(PATHS[source]) + 1) for to in range(1, 8)]
    batch = [one for way in ways for one in way] + last
    outcome = reasons(world, *batch)
    assert outcome[: -len(last)] == [""] * (len(batch) - len(last))
    assert outcome[-len(last) :] == ["" if to in MOVES[source] else "ForbiddenMove" for to in range(1, 8)]


@pytest.mark.parametrize("status", [0, 8, 9, 16, 11, 128, 255])
def test_settle__status_out_of_range__refused(world: World, status: int) -> None:
    assert reasons(world, move("new", status)) == ["UnknownStatus"]
    world.approve("old")
    assert reasons(world, move("old", status, 2)) == ["UnknownStatus"]


# the rest of a transition


@pytest.mark.parametrize("given", [0, 2, 65535])
def test_settle__new_case_not_at_sequence_1__refused(world: World, given: int) -> None:
    assert reasons(world, move("a", APPROVED, given)) == ["WrongSequence"]


@pytest.mark.parametrize("given", [0, 1, 3, 65535])
def test_settle__not_the_next_sequence__refused(world: World, given: int) -> None:
    assert reasons(world, move("a", ACCEPTED), move("a", APPROVED, given)) == ["", "WrongSequence"]


def test_settle__zero_root__refused(world: World) -> None:
    assert reasons(world, move("a", APPROVED, root=bytes(32))) == ["ZeroRoot"]


@pytest.mark.parametrize("binding", [0, 2, 2**40 - 1])
def test_settle__no_such_binding__refused(world: World, binding: int) -> None:
    assert reasons(world, move("a", APPROVED, binding=binding)) == ["UnknownBinding"]


def test_settle__no_binding_after_a_known_one__refused(world: World) -> None:
    """Binding 0 is what the memo of the last binding begins with."""
    assert reasons(world, move("a", ACCEPTED), move("b", ACCEPTED, binding=0)) == ["", "UnknownBinding"]


def test_settle__another_binding_than_the_first__refused(world: World) -> None:
    other = world.bind(region=2)
    assert reasons(world, move("a", ACCEPTED), move("a", APPROVED, 2, other)) == ["", "OtherBinding"]
    assert reasons(world, move("b", ACCEPTED, 1, other), move("b", APPROVED, 2)) == ["", "OtherBinding"]


def test_settle__binding_retired__no_new_case_but_running_ones_go_on(world: World) -> None:
    assert reasons(world, move("a", ACCEPTED)) == [""]
    world.retire(1, 5)
    assert reasons(world, move("a", APPROVED, 2), move("b", APPROVED)) == ["", "RetiredBinding"]


# I1


@pytest.mark.parametrize("status", range(1, 8))
@pytest.mark.parametrize("seats", [(), (3,), (4,), (3, 4), (0, 2, 5, 6)])
def test_settle__signatures_for_each_status__those_that_it_takes(
    world: World, status: int, seats: tuple[int, ...]
) -> None:
    """Seat 3 leads, seat 4 approves too, the others are named but have no say."""
    later = status in (REVOKED, CASE_SUSPENDED)
    if later:
        world.approve("a")
    one = move("a", status, 2 if later else 1)
    enough = {
        APPROVED: {3, 4} <= set(seats),
        RETURNED: bool({3, 4} & set(seats)),
        REFUSED: bool({3, 4} & set(seats)),
        ACCEPTED: 3 in seats,
        WITHDRAWN: 3 in seats,
        REVOKED: 3 in seats,
        CASE_SUSPENDED: 3 in seats,
    }[status]
    outcome = world.settle([one], [world.sheet(seat, [one]) for seat in seats])
    assert (outcome.settled, outcome.reasons) == (([one.tuple], []) if enough else ([], ["NotSigned"]))


# sheets


def test_sheet__validity_passed__not_counted(world: World, chain: Any) -> None:
    last = chain.pending_timestamp + 100
    one = move("a", ACCEPTED)
    sheet = world.sheet(3, [one], valid_until=last)
    chain.pending_timestamp = last + 1
    outcome = world.settle([one], [sheet])
    assert (outcome.sheets, outcome.reasons) == ([(0, 3, "Expired")], ["NotSigned"])


def test_sheet__last_second_of_its_validity__counted(world: World, chain: Any) -> None:
    last = chain.pending_timestamp + 100
    one = move("a", ACCEPTED)
    sheet = world.sheet(3, [one], valid_until=last)
    chain.pending_timestamp = last
    assert len(world.settle([one], [sheet]).settled) == 1


@pytest.mark.parametrize("bit", [2, 3, 254, 255])
def test_sheet__covers_beyond_the_batch__not_counted(world: World, bit: int) -> None:
    batch = [move("a", ACCEPTED), move("b", ACCEPTED)]
    seat, until, covers, signature = world.sheet(3, batch)
    outcome = world.settle(batch, [(seat, until, covers | 1 << bit, signature)])
    assert outcome.sheets == [(0, 3, "BeyondBatch")]
    assert outcome.reasons == ["NotSigned"] * 2


def test_sheet__covers_nothing__harms_nothing(world: World) -> None:
    one = move("a", ACCEPTED)
    outcome = world.settle([one], [world.sheet(3, [one], []), world.sheet(3, [one])])
    assert (outcome.sheets, outcome.settled) == ([], [one.tuple])


@pytest.mark.parametrize("seat", [9, 255])
def test_sheet__seat_that_does_not_exist__not_counted(world: World, seat: int) -> None:
    one = move("a", ACCEPTED)
    own = world.sheet(seat, [one], key=seat_key(seat))
    outcome = world.settle([one], [own, (seat, FAR, 1, b"\0" * 65), (seat, FAR, 1, b"")])
    assert outcome.sheets == [(i, seat, "SeatNotActive") for i in range(3)]


def test_sheet__seat_of_the_highest_number__counted(world: World) -> None:
    world.admit(255)
    binding = world.bind(approvers=[255])
    one = move("a", APPROVED, binding=binding)
    outcome = world.settle([one], [world.sheet(255, [one])])
    assert (outcome.sheets, outcome.settled) == ([], [one.tuple])


def test_sheet__malformed_signature__not_counted_and_the_rest_settles(world: World) -> None:
    one = move("a", ACCEPTED)
    good = world.sheet(3, [one])
    r, s, v = good[3][:32], good[3][32:64], good[3][64]
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = (order - int.from_bytes(s, "big")).to_bytes(32, "big")
    malformed = [
        b"",
        b"\0",
        r + s,
        good[3] + b"\0",
        bytes(65),
        r + s + bytes([v - 27]),
        r + s + b"\x1d",
        r + high + bytes([55 - v]),
        r + bytes(32) + bytes([v]),
        b"\xff" * 65,
        b"\xff" * 1000,
    ]
    outcome = world.settle([one], [*((3, FAR, 1, signature) for signature in malformed), good])
    assert outcome.sheets == [(i, 3, "WrongSignature") for i in range(len(malformed))]
    assert outcome.settled == [one.tuple]


def test_sheet__signature_over_something_else__not_counted(world: World) -> None:
    batch = [move("a", ACCEPTED), move("b", ACCEPTED)]
    [a, b] = batch

    def signed(covered: list[Move], seat: int = 3, key: int = 3, until: int = FAR, **domain: Any) -> bytes:
        return world.sheet(seat, covered, valid_until=until, key=world.keys[key], **domain)[3]

    wrong = [
        signed([a]),
        signed([b, a]),
        signed([a, b, b]),
        signed([a, move("b", ACCEPTED, root=random_bytes32("x"))]),
        signed([a, move("b", APPROVED)]),
        signed([a, move("c", ACCEPTED)]),
        signed(batch, seat=4),
        signed(batch, key=4),
        signed(batch, until=FAR - 1),
        signed(batch, chainId=world.chain_id + 1),
        signed(batch, verifyingContract=world.catalog.address),
        signed(batch, name="Other"),
        signed(batch, version="2"),
    ]
    outcome = world.settle(batch, [(3, FAR, 0b11, signature) for signature in wrong])
    assert outcome.sheets == [(i, 3, "WrongSignature") for i in range(len(wrong))]
    assert outcome.reasons == ["NotSigned"] * 2


def test_sheet__part_of_what_was_signed_is_in_the_batch__not_counted(world: World) -> None:
    """A seat's sheet settles whole or not at all, so that nobody picks from it."""
    both = [move("a", ACCEPTED), move("b", ACCEPTED)]
    signature = world.sheet(3, both)[3]
    assert world.settle(both[:1], [(3, FAR, 1, signature)]).sheets == [(0, 3, "WrongSignature")]


# views


def test_views__case_that_does_not_exist__all_zero(bare: World) -> None:
    case = random_bytes32("nobody's")
    assert bare.ledger.statusOf(case) == NONE
    assert tuple(bare.ledger.caseOf(case)) == (0, 0, 0, 0)
    assert bare.ledger.consortium() == bare.consortium.address
    assert bare.ledger.catalog() == bare.catalog.address


def test_caseOf__highest_numbers__unpacked(world: World) -> None:
    """The widest sequence is out of reach, so this checks the packing by its parts."""
    batch = [move("a", ACCEPTED), move("a", RETURNED, 2), move("a", ACCEPTED, 3)]
    assert reasons(world, *batch) == ["", "", ""]
    assert tuple(world.ledger.caseOf(batch[0].case))[:3] == (ACCEPTED, 3, 1)
    assert batch[2].step == step(ACCEPTED, 3, 1)
