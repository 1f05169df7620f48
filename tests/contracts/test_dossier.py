"""CaseLedger's views on a case's past: its history, its dossiers, the sheets that moved it. The tree is case_ledger.tree."""

from __future__ import annotations

from typing import Any

import pytest
from world import ACCEPTED, APPROVED, FAR, RETURNED, Move, World, move, random_bytes32, seat_key, vectors

DOSSIERS = vectors("dossier.json")


def case_with(world: World, *dossiers: dict[str, Any]) -> list[Move]:
    """A case that went to Approved on the last of one or two dossiers."""
    statuses = [RETURNED, APPROVED][-len(dossiers) :]
    batch = [
        move("dossier", status, i, root=bytes.fromhex(dossier["root"][2:]))
        for i, (status, dossier) in enumerate(zip(statuses, dossiers, strict=True), 1)
    ]
    assert len(world.settle(batch, [world.sheet(seat, batch) for seat in (3, 4)]).settled) == len(dossiers)
    return batch


def entry(leaf: dict[str, Any]) -> tuple[str, str, str]:
    """A leaf of a vector as the contract takes it."""
    return leaf["kind"], leaf["salt"], leaf["content"]


def verify(world: World, batch: list[Move], leaf: Any, proof: Any, at: int = -1) -> bool:
    steps, roots = [one.step for one in batch], [one.root for one in batch]
    index = at if at >= 0 else len(batch) - 1
    return bool(world.ledger.verifyDossier(batch[0].case, steps, roots, index, entry(leaf), proof))


@pytest.mark.parametrize("dossier", DOSSIERS, ids=lambda dossier: str(len(dossier["leaves"])))
def test_verifyDossier__every_leaf_of_every_vector__holds(world: World, dossier: dict[str, Any]) -> None:
    batch = case_with(world, dossier)
    for leaf in dossier["leaves"]:
        assert verify(world, batch, leaf, leaf["proof"])


def test_verifyDossier__several_transitions__the_dossier_of_the_one_meant(world: World) -> None:
    first, last = DOSSIERS[2], DOSSIERS[3]
    batch = case_with(world, first, last)
    old, new = first["leaves"][0], last["leaves"][4]
    assert verify(world, batch, old, old["proof"], at=0)
    assert verify(world, batch, new, new["proof"], at=1)
    assert not verify(world, batch, old, old["proof"], at=1)
    assert not verify(world, batch, new, new["proof"], at=0)
    assert not verify(world, batch, new, new["proof"], at=2)


def test_verifyDossier__leaf_or_proof_of_another__does_not_hold(world: World) -> None:
    dossier, other = DOSSIERS[3], DOSSIERS[4]
    batch = case_with(world, dossier)
    [a, b] = dossier["leaves"][:2]
    assert not verify(world, batch, a, b["proof"])
    assert not verify(world, batch, a | {"kind": "invented"}, a["proof"])
    assert not verify(world, batch, a | {"salt": b["salt"]}, a["proof"])
    assert not verify(world, batch, a | {"content": b["content"]}, a["proof"])
    assert not verify(world, batch, other["leaves"][0], other["leaves"][0]["proof"])
    assert not verify(world, batch, a, a["proof"][:-1])


def histories(world: World, batch: list[Move]) -> list[tuple[bytes, list[int], list[bytes]]]:
    """What is not the history of a case with two transitions."""
    case, steps, roots = batch[0].case, [one.step for one in batch], [one.root for one in batch]
    return [
        (case, steps[1:], roots[1:]),
        (case, steps[:1], roots[:1]),
        (case, steps[::-1], roots),
        (case, steps, roots[::-1]),
        (case, steps, [random_bytes32("x"), roots[1]]),
        (case, steps, roots[1:]),
        (case, steps, [*roots, roots[1]]),
        (case, [*steps, steps[1]], [*roots, roots[1]]),
        (case, [], []),
        (random_bytes32("no case"), steps, roots),
    ]


def test_verifyDossier__witness_is_not_the_case_s_history__does_not_hold(world: World) -> None:
    batch = case_with(world, DOSSIERS[2], DOSSIERS[3])
    leaf = DOSSIERS[3]["leaves"][0]
    for case, steps, roots in histories(world, batch):
        for at in range(len(roots) + 1):
            assert not world.ledger.verifyDossier(case, steps, roots, at, entry(leaf), leaf["proof"])


def test_verifyDossier__case_that_does_not_exist__does_not_hold(world: World) -> None:
    """Its slot is zero, as is the commitment to no transition at all."""
    assert not world.ledger.verifyDossier(random_bytes32("no case"), [], [], 0, ("", bytes(32), bytes(32)), [])


def test_verifyHistory__all_transitions_in_order__holds(world: World) -> None:
    batch = case_with(world, DOSSIERS[2], DOSSIERS[3])
    assert world.ledger.verifyHistory(batch[0].case, [one.step for one in batch], [one.root for one in batch])


def test_verifyHistory__anything_else__does_not_hold(world: World) -> None:
    for case, steps, roots in histories(world, case_with(world, DOSSIERS[2], DOSSIERS[3])):
        assert not world.ledger.verifyHistory(case, steps, roots)
    assert not world.ledger.verifyHistory(random_bytes32("no case"), [], [])


def test_verifySheet__key_was_replaced_since__holds_for_the_block_of_its_day(world: World) -> None:
    batch = [move("a", APPROVED), move("b", ACCEPTED)]
    sheets = [world.sheet(seat, batch) for seat in (3, 4)]
    assert len(world.settle(batch, sheets).settled) == 2
    day = world.height
    world.rotate(4, seat_key(4, 1))
    world.consortium.suspend(3, sender=world.council)

    def holds(sheet: tuple[int, int, int, bytes], block: int, moves: list[Move] = batch) -> bool:
        seat, until, _, signature = sheet
        return bool(world.ledger.verifySheet(seat, until, [one.tuple for one in moves], signature, block))

    assert holds(sheets[0], day)
    assert holds(sheets[1], day)
    assert not holds(sheets[0], world.height), "suspended since"
    assert not holds(sheets[1], world.height), "another key since"
    assert holds(world.sheet(4, batch), world.height)
    assert not holds(world.sheet(4, batch), day)
    assert not holds(sheets[1], day, batch[:1])
    assert not holds(sheets[1], day, batch[::-1])
    assert not holds((3, *sheets[1][1:]), day)
    assert not holds((4, FAR - 1, 0, sheets[1][3]), day)
    assert not holds((4, FAR, 0, b""), day)
    assert not holds((99, FAR, 0, bytes(65)), day)
