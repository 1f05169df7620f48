"""CaseLedger.verifyDossier: a leaf lies in a case's latest dossier. The tree is case_ledger.tree."""

from __future__ import annotations

from typing import Any

import pytest
from world import APPROVED, RETURNED, Move, World, move, random_bytes32, vectors

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


def verify(world: World, batch: list[Move], leaf: Any, proof: Any) -> bool:
    steps, roots = [one.step for one in batch], [one.root for one in batch]
    return bool(world.ledger.verifyDossier(batch[0].case, steps, roots, leaf, proof))


@pytest.mark.parametrize("dossier", DOSSIERS, ids=lambda dossier: str(len(dossier["leaves"])))
def test_verifyDossier__every_leaf_of_every_vector__holds(world: World, dossier: dict[str, Any]) -> None:
    batch = case_with(world, dossier)
    for leaf in dossier["leaves"]:
        assert verify(world, batch, leaf["hash"], leaf["proof"])


def test_verifyDossier__several_transitions__the_latest_dossier_counts(world: World) -> None:
    [first, last] = DOSSIERS[2], DOSSIERS[3]
    batch = case_with(world, first, last)
    assert verify(world, batch, last["leaves"][4]["hash"], last["leaves"][4]["proof"])
    assert not verify(world, batch, first["leaves"][0]["hash"], first["leaves"][0]["proof"])


def test_verifyDossier__leaf_or_proof_of_another__does_not_hold(world: World) -> None:
    dossier, other = DOSSIERS[3], DOSSIERS[4]
    batch = case_with(world, dossier)
    [a, b] = dossier["leaves"][:2]
    assert not verify(world, batch, a["hash"], b["proof"])
    assert not verify(world, batch, random_bytes32("x"), a["proof"])
    assert not verify(world, batch, other["leaves"][0]["hash"], other["leaves"][0]["proof"])
    assert not verify(world, batch, a["hash"], a["proof"][:-1])


def test_verifyDossier__witness_is_not_the_case_s_history__does_not_hold(world: World) -> None:
    first, last = DOSSIERS[2], DOSSIERS[3]
    batch = case_with(world, first, last)
    leaf, proof = last["leaves"][0]["hash"], last["leaves"][0]["proof"]
    case, steps, roots = batch[0].case, [one.step for one in batch], [one.root for one in batch]
    verify_dossier = world.ledger.verifyDossier
    assert verify_dossier(case, steps, roots, leaf, proof)
    assert not verify_dossier(case, steps[1:], roots[1:], leaf, proof)
    assert not verify_dossier(case, steps[::-1], roots, leaf, proof)
    assert not verify_dossier(case, steps, [random_bytes32("x"), roots[1]], leaf, proof)
    assert not verify_dossier(case, steps, roots[1:], leaf, proof)
    assert not verify_dossier(case, [], [], leaf, proof)
    assert not verify_dossier(random_bytes32("no case"), steps, roots, leaf, proof)


def test_verifyDossier__case_that_does_not_exist__does_not_hold(world: World) -> None:
    """Its slot is zero, as is the commitment to no transition at all."""
    assert not world.ledger.verifyDossier(random_bytes32("no case"), [], [], bytes(32), [])
